"""A backbone and its tasks: what `add_task`, `export_task` and a campaign's ``[[task]]`` do with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import hwsearch
from hwsearch._files import check_place
from hwsearch._json import JsonObject
from hwsearch.devices.threads import compute_threads
from hwsearch.errors import CheckpointError, DataError, SupernetError, TrainingError
from hwsearch.exporters import lower, verify, write_bundle
from hwsearch.exporters.bundle import IS_CARD, IS_MODEL
from hwsearch.exporters.card import intact_card
from hwsearch.spaces import Architecture
from hwsearch.store import utc_now
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import digest
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.supermasks import MaskedNetwork, signed_constants
from hwsearch.supernets.task_bank import INDEX, TaskBank, read_index
from hwsearch.tasks.base import Task
from hwsearch.tasks.classification import ClassificationTask
from hwsearch.tasks.data import NO_LIMIT, Data
from hwsearch.training.allocator import keep_freed_memory
from hwsearch.training.checkpoint import differences, only_run
from hwsearch.training.ranges import EXAMPLES, Range
from hwsearch.training.task_training import SupermaskConfig, TaskTraining

#: passes over the training examples
EPOCHS = Range(1, 1_000_000, whole=True)
#: what is told of a task in ``backbone.json``, besides what the bank needs, and of which kind it is
TOLD: dict[str, type | tuple[type, ...]] = {
    "score": dict,
    "settings": dict,
    "transfer": dict,
    "density": (int, float),
    "trained": (int, float),
    "free": (int, float),
    "seconds": (int, float),
}


@dataclass(frozen=True)
class NewTask:
    """A task that a backbone is to have.

    Attributes
    ----------
    name : str
        Of the task.
    examples, test : Data
        What it learns from, and what it is scored on.
    config : SupermaskConfig
        Settings of the training.
    """

    name: str
    examples: Data
    test: Data
    config: SupermaskConfig

    @property
    def settings(self) -> JsonObject:
        """Settings that must not change under the task's name."""
        return {"config": self.config.identity(), "data": self.examples.digest}


@dataclass(frozen=True)
class Backbone:
    """The largest subnet of a supernet, with the tasks of one folder; made by `open_backbone`.

    Attributes
    ----------
    supernet : str
        Name of its entry.
    net : Supernet
        The supernet.
    arch : Architecture
        The backbone in its space.
    kind : Task
        What the supernet is for: a classification.
    bank : TaskBank
        The folder.
    """

    supernet: str
    net: Supernet
    arch: Architecture
    kind: Task
    bank: TaskBank

    @property
    def size(self) -> int:
        """Input size."""
        return self.net.input_size(self.arch)

    def known(self, new: NewTask) -> JsonObject | None:
        """Look a task up, and check that it is the one asked for; one that is not there must be possible.

        Parameters
        ----------
        new : NewTask
            What is asked for.

        Returns
        -------
        dict or None
            Its row; None if it is not there yet.

        Raises
        ------
        TrainingError
            If it is there with other classes, data or settings.
        CheckpointError
            If its masks are of another backbone, or damaged.
        ConfigError
            If no task can have this name.
        DataError
            If the network cannot take the data.
        """
        self.bank.file(new.name)  # its name
        row = self.bank.row(new.name)
        if row is None:
            _check_inputs(self.bank.network, new.examples, self.size)
            return None
        _same(row, new, self.bank.folder)
        self.bank.load(new.name)
        return row

    def add(self, new: NewTask, progress: Callable[[JsonObject], None] | None = None) -> JsonObject:
        """Train a task that is not there yet, from where an interrupted training stopped.

        Parameters
        ----------
        new : NewTask
            The task.
        progress : callable, optional
            Called with the state of the training every ten steps.

        Returns
        -------
        dict
            Its row.

        Raises
        ------
        TrainingError
            If the training diverges, or another process trains in the folder or has added a task.
        OutputError
            If a file is there that hwsearch did not write.
        """
        bank, kind, config, place = self.bank, self.kind, new.config, self.bank.folder
        with only_run(place):
            if (read_index(place) or {"tasks": []})["tasks"] != bank.rows:
                raise TrainingError(f"another process has added a task to {str(place)!r} meanwhile.", hint="Try again.")
            bank.check_place(new.name)
            earlier = {r["name"]: bank.load(r["name"]) for r in bank.rows}
            state = place / "training" / f"{new.name}.pt"
            training = TaskTraining(
                bank.network,
                new.name,
                kind,
                new.examples,
                self.size,
                config,
                earlier=earlier,
                checkpoint=state,
                progress=progress,
            )
            network, masked = training.run()
            score = kind.evaluate(network.cut(masked), new.test, self.size)
            used = network.taken([*earlier.values(), masked])
            total = sum(m.numel() for m in used.values())
            found = training.transfer
            facts = {
                "score": {
                    "name": kind.score_name,
                    kind.score_field: round(score.value, 3),
                    "standard_error": round(score.standard_error, 3),
                    kind.examples: score.n,
                    "data": new.test.name,
                },
                "density": sum(int(m.sum()) for m in masked.masks.values()) / total,
                "own_head": bool(masked.head),
                "trained": round(training.trained, 6) if config.mask_steps < config.steps else 0.0,
                "free": round(1 - sum(int(m.sum()) for m in used.values()) / total, 6),
                "transfer": {
                    "from": found.best if found else "",
                    "accuracy": round(found.accuracies.get(found.best, 0.0), 4) if found else 0.0,
                    "chance": round(found.chance, 4) if found else 1.0,
                },
                "steps": training.step,
                "seconds": round(training.seconds, 1),
                "settings": new.settings,
                "version": hwsearch.__version__,
                "added_at": utc_now(),
            }
            row = bank.commit(network, masked, facts)
            state.unlink(missing_ok=True)
        return row

    def export(self, task: str, path: Path) -> JsonObject:
        """Write one task as a plain network: ONNX file and card.

        Parameters
        ----------
        task : str
            Its name.
        path : Path
            The ONNX file.

        Returns
        -------
        dict
            The card, with the ``path``.

        Raises
        ------
        CheckpointError
            If there is no such task, or it is of another backbone, or damaged.
        ExportError
            If ONNX Runtime and torch differ by more than 1e-5 of the largest output.
        OutputError
            If a file is there that hwsearch did not write.
        """
        facts = self._facts(task)
        cut = self.bank.network.cut(self.bank.load(task))
        check_place(path, IS_MODEL)
        check_place(path.with_suffix(".json"), IS_CARD)
        parts = [
            (p, lower(p.net, p.inputs, outputs=p.outputs, output_axes=p.output_axes))
            for p in self.net.parts(self.arch, cut)
        ]
        given = torch.randn((8, *self.net.input_shape(self.arch)), generator=torch.Generator().manual_seed(0))
        difference = verify(parts[0][1], cut, given, tolerance=1e-5)
        card = {**facts, "difference_from_torch": difference, "written_at": utc_now()}
        return write_bundle(path, parts, card) | {"path": str(path)}

    def exported(self, task: str, path: Path) -> JsonObject | None:
        """Look for the export of a task as it is now.

        Parameters
        ----------
        task : str
            Its name.
        path : Path
            The ONNX file.

        Returns
        -------
        dict or None
            The card, with the ``path``; None if a file is missing, was not written whole, or is of other weights, classes or
            preprocessing.

        Raises
        ------
        CheckpointError
            If there is no such task, or it is of another backbone, or damaged.
        """
        facts = json.loads(json.dumps(self._facts(task)))  # as a card is read
        card = intact_card(path.with_suffix(".json"), ("task", "backbone"))
        if card is None or card["files"][0]["file"] != path.name or any(card.get(k) != v for k, v in facts.items()):
            return None
        return card | {"path": str(path)}

    def _facts(self, task: str) -> JsonObject:
        """Describe what an export of a task is made from; the row has the digest of its masked network."""
        masked = self.bank.load(task)
        return {
            "task": self.bank.row(task),
            "classes": list(masked.classes),
            "backbone": {"supernet": self.supernet, "start": self.bank.about["start"]},
            "preprocess": self.kind.preprocess.to_dict() if hasattr(self.kind, "preprocess") else {},
        }


def prepare_training() -> None:
    """Set threads and memory of this process for a training."""
    torch.set_num_threads(compute_threads())
    keep_freed_memory()


def classifier(entry: SupernetEntry) -> Task:
    """Get what a supernet is for, which must be a classification.

    Parameters
    ----------
    entry : SupernetEntry
        Of the supernet.

    Returns
    -------
    Task
        A classification.

    Raises
    ------
    TrainingError
        If it is none.
    """
    kind = entry.find_task()
    if not isinstance(kind, ClassificationTask):
        raise TrainingError(
            f"supernet {entry.name!r} is for {kind.name}, which is no classification.",
            hint="Tasks of one backbone differ in their classes.",
        )
    return kind


def task_examples(kind: Task, data: str) -> tuple[Data, Data]:
    """Read the examples of a task.

    Parameters
    ----------
    kind : Task
        A classification.
    data : str
        A data set with splits ``train`` and ``test``.

    Returns
    -------
    examples, test : Data
        What it learns from, and what it is scored on; of the same classes.

    Raises
    ------
    DataError
        If they are missing, cannot be read, or have one class only.
    """
    examples = kind.read(kind.split(data, "train"), limit=NO_LIMIT)
    test = kind.read(kind.split(data, "test"), limit=NO_LIMIT, classes=examples.classes)
    if len(examples.classes) < 2:
        raise DataError(
            f"the training data {examples.name!r} have {len(examples.classes)} class.", hint="Two or more are needed."
        )
    return examples, test


def task_steps(examples: int, epochs: int, steps: int | None, batch: int) -> int:
    """Compute the steps of a task's training.

    Parameters
    ----------
    examples : int
        Of the training.
    epochs : int
        Passes over them.
    steps : int, optional
        In place of `epochs`.
    batch : int
        Examples a step.

    Returns
    -------
    int
        Steps for mask and weights together.

    Raises
    ------
    TrainingError
        If `epochs` or `batch` is no whole number, or too small.
    """
    for name, value, allowed in (("epochs", epochs, EPOCHS), ("batch", batch, EXAMPLES)):
        if not allowed.holds(value):
            raise TrainingError(f"{name} = {repr(value)[:40]} is not valid: give {allowed}.")
    return epochs * max(1, examples // batch) if steps is None else steps


def open_backbone(
    entry: SupernetEntry, net: Supernet, kind: Task, place: Path, *, given: str = "", hint: str = ""
) -> Backbone:
    """Open a folder of tasks on a supernet's largest subnet, with the folder's weights where it has any.

    Parameters
    ----------
    entry : SupernetEntry
        Of the supernet.
    net : Supernet
        The supernet; where nothing is `given`, the backbone gets random signs of one magnitude a layer.
    kind : Task
        What it is for.
    place : Path
        The folder.
    given : str
        Words for the weights of `net`, from which the folder's backbone must have started. Without them any backbone will do.
    hint : str
        What to do where it started from others.

    Returns
    -------
    Backbone
        With the folder's tasks.

    Raises
    ------
    SupernetError
        If no mask can lie over the network.
    CheckpointError
        If the folder is of another backbone, or cannot be read.
    """
    index = read_index(place)
    arch = net.space.largest()
    plain = net.subnet(arch)
    if len(net.parts(arch, plain)) != 1:
        raise SupernetError(f"supernet {entry.name!r} is deployed in several parts, over which no mask can lie.")
    if not given:
        signed_constants(plain)
    start = digest(plain)
    if index is not None and given and index["backbone"]["start"] != start:
        raise CheckpointError(
            f"{str(place)!r} has a backbone that started from other weights than {given}.",
            hint=hint,
        )
    # the file may have brought another number of classes than the entry has; all other shapes are compared with the weights
    code = net.structure().replace(f"out_features={net.classes},", "out_features=classes,")
    structure = hashlib.sha256(code.encode()).hexdigest()[:12]
    about = {"supernet": entry.name, "space": net.space.name, "structure": structure, "start": start}
    bank = TaskBank(place, MaskedNetwork(plain, net.classes), about)
    for row in bank.rows:
        if lacking := [name for name, kind_of in TOLD.items() if not isinstance(row.get(name), kind_of)]:
            raise CheckpointError(
                f"the list of tasks {str(place / INDEX)!r} is damaged: task {row['name']!r} has no {lacking[0]}."
            )
    return Backbone(entry.name, net, arch, kind, bank)


def _same(row: JsonObject, new: NewTask, place: Path) -> None:
    """Refuse a task that is there with other classes, data or settings."""
    name, examples = row["name"], new.examples
    if list(examples.classes) != row["classes"]:
        raise TrainingError(
            f"task {name!r} of {str(place)!r} has {len(row['classes'])} classes ({_few(row['classes'])}), and the data "
            f"{examples.name!r} have {len(examples.classes)} ({_few(examples.classes)}).",
            hint="Add them as a task of another name.",
        )
    if changed := differences(row["settings"], new.settings):
        raise TrainingError(
            f"{str(place)!r} has a task {name!r} of other settings ({'; '.join(changed)}).",
            hint="Give the new task another name.",
        )


def _few(classes: list[str] | tuple[str, ...]) -> str:
    return ", ".join(classes[:4]) + (", …" if len(classes) > 4 else "")


@torch.no_grad()
def _check_inputs(network: MaskedNetwork, examples: Data, size: int) -> None:
    """Check on two examples that the network takes such inputs."""
    inputs, _ = next(examples.head(2).batches(size, 2))
    try:
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        fits = bool(torch.isfinite(network.net(*given)).all())
    except (RuntimeError, TypeError, IndexError) as error:
        raise DataError(f"the network cannot take the training data {examples.name!r}: {error}.") from error
    if not fits:
        raise DataError(f"the outputs of the backbone on {examples.name!r} are not finite.", hint="Check the weights.")
