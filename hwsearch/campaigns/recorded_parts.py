"""Stand-ins for a campaign's network, task, data and runtimes: what a record says of them, without the things themselves."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from torch import Tensor, nn
from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray, IntArray
from hwsearch.devices.runtimes.base import Form, Runtime, Session, Workload
from hwsearch.errors import CampaignError
from hwsearch.spaces import SearchSpace
from hwsearch.supernets.base import Supernet
from hwsearch.tasks import catalogue as tasks
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data, Inputs
from hwsearch.tasks.score import Score

#: what of a task is recorded beside its preprocessing
FACTS = (
    "examples",
    "score_name",
    "score_label",
    "score_key",
    "score_unit",
    "small_difference",
    "standard_error_kind",
    "counts_correct",
)


def _refuse(what: str) -> NoReturn:
    raise CampaignError(
        f"{what} is not recorded in the campaign's store.", hint="Open the campaign with its own parts."
    )


class RecordedNetwork:
    """Supernet as a record knows it: its space, and the costs of the architectures that were measured.

    Parameters
    ----------
    space : SearchSpace
        The search space.
    classes : int
        Number of outputs.
    costs : callable
        Finds costs by architecture ids; None where one is not recorded.
    network : callable
        Builds the supernet itself, for costs that are not recorded.
    """

    def __init__(
        self,
        space: SearchSpace,
        classes: int,
        costs: Callable[[list[str]], dict[str, FloatArray] | None],
        network: Callable[[], Supernet],
    ) -> None:
        self.space, self.classes, self._costs, self._network = space, classes, costs, network

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        """Return the recorded costs; see `hwsearch.supernets.base.Supernet.cost_features`.

        Parameters
        ----------
        rows : IntArray
            Rows of genes, shape ``(n, genes)``.

        Returns
        -------
        dict of str to FloatArray
            ``macs``, ``params`` and what else tells costs, each of shape ``(n,)``.
        """
        found = self._costs([a.id for a in self.space.from_array(rows)])
        return self._network().cost_features(rows) if found is None else found

    macs_array, params_array = Supernet.macs_array, Supernet.params_array
    macs, params, features_array, schema = Supernet.macs, Supernet.params, Supernet.features_array, Supernet.schema


@dataclass(frozen=True)
class RecordedPreparation:
    """The description of a preprocessing.

    Attributes
    ----------
    description : dict
        As the preprocessing described itself.
    """

    description: JsonObject

    def to_dict(self) -> dict[str, Any]:
        """Return the description.

        Returns
        -------
        dict of str to object
            Plain values.
        """
        return dict(self.description)


class RecordedTask(Task):
    """A task of the user's own, as far as it is recorded; only its nouns and units are known without its code.

    Parameters
    ----------
    facts : dict
        Of `describe_task`.
    task : callable
        Gives the task itself, to read its scores.
    """

    name = "recorded"
    score_name = ""

    def __init__(self, facts: JsonObject, task: Callable[[], Task]) -> None:
        self._task = task
        for key in FACTS:
            setattr(self, key, facts[key])

    @override
    def read(
        self, text: str, *, limit: int, classes: tuple[str, ...] | None = None, vocabulary: Path | None = None
    ) -> Data:
        _refuse("how data are read")

    @override
    def evaluate(self, net: nn.Module, data: Data, size: int, *, batch: int = 250) -> Score:
        _refuse("how a network is scored")

    @override
    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        _refuse("the loss")

    @override
    def unpack(self, record: bytes, n: int) -> Score:
        return self._task().unpack(record, n)

    @override
    def no_better_than(self, value: float, standard_error: float, data: Data) -> str | None:
        return self._task().no_better_than(value, standard_error, data)


def describe_task(task: Task) -> JsonObject:
    """Describe a task for a record.

    Parameters
    ----------
    task : Task
        What a network is for.

    Returns
    -------
    dict
        Nouns, units and preprocessing; ``registered`` is its name where it is an installed task, whose code may be used.
    """
    registered = task.name if task.name in tasks.names() and type(task) is tasks.TASKS.load(task.name) else None
    return {k: getattr(task, k) for k in FACTS} | {
        "registered": registered,
        "preprocess": task.preprocess.to_dict(),
    }


def recorded_task(facts: JsonObject, task: Callable[[], Task]) -> Task:
    """Make the task that `describe_task` described.

    Parameters
    ----------
    facts : dict
        The description.
    task : callable
        Gives the task itself, where its own code is needed.

    Returns
    -------
    Task
        With the recorded preprocessing.
    """
    name = facts["registered"]
    found = tasks.find(name) if name in tasks.names() else RecordedTask(facts, task)
    found.preprocess = RecordedPreparation(facts["preprocess"])
    return found


@dataclass(frozen=True)
class RecordedData(Data):
    """Examples of one split as a record knows them.

    Attributes
    ----------
    name, known_digest : str
        Where they come from, and their digest.
    classes : tuple of str
        Names of the classes.
    examples : int
        How many there are.
    """

    name: str
    known_digest: str
    classes: tuple[str, ...]
    examples: int

    @override
    def __len__(self) -> int:
        return self.examples

    @property
    @override
    def digest(self) -> str:
        return self.known_digest

    @override
    def take(self, indices: IntArray) -> Self:
        _refuse("the content of the examples")

    @override
    def key(self, i: int) -> Hashable:
        _refuse("the content of the examples")

    @override
    def batches(self, size: int, batch: int) -> Iterator[tuple[Inputs, Tensor]]:
        _refuse("the content of the examples")


class RecordedRuntime(Runtime):
    """Device as a record knows it: what it is, not how to run something on it.

    Parameters
    ----------
    form : {"onnx", "torch", "genes"}
        What its runtime takes.
    facts : dict
        What it said of itself when it was last measured on.
    """

    form: ClassVar[Form]

    def __init__(self, form: Form, facts: JsonObject) -> None:
        self.form = form  # type: ignore[misc]
        self._facts = facts

    @override
    def facts(self) -> JsonObject:
        return dict(self._facts)

    @override
    def load(self, workload: Workload) -> Session:
        _refuse("the device")

    @override
    def verify(self, workload: Workload) -> dict[str, int]:
        _refuse("the device")
