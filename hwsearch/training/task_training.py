"""Train one task of a masked backbone: first its mask, then the weights that no earlier task uses."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from hwsearch._json import JsonObject
from hwsearch.accuracy import recalibrate
from hwsearch.errors import TrainingError
from hwsearch.supernets.checkpoint import digest, read_checkpoint
from hwsearch.supernets.supermasks import MaskedNetwork, MaskedTask
from hwsearch.tasks.base import Augmentation, Task
from hwsearch.tasks.data import Data
from hwsearch.training.checkpoint import differences, write_training
from hwsearch.training.interruption import Interruption
from hwsearch.training.ranges import EXAMPLES, RATE, SEED, SHARE, STEPS, Range, check_ranges
from hwsearch.training.supermasks import ExclusiveUpdate, Transfer, masked_weight, new_scores, top_mask

#: seconds between checkpoints, and steps between reports
CHECKPOINT_SECONDS, REPORTED_STEPS = 30.0, 10


#: of a task's settings
RANGES = {
    "steps": STEPS,
    "density": Range(0, 1, above=True),
    "weight_share": SHARE,
    "batch": EXAMPLES,
    "lr": RATE,
    "weight_lr": RATE,
    "weight_decay": Range(0, 1e3),
    "padding": Range(0, 1000, whole=True),
    "seed": SEED,
}


@dataclass(frozen=True)
class SupermaskConfig:
    """Hyper-parameters of one task's training.

    Parameters
    ----------
    steps : int
        Steps of the whole training.
    density : float
        Share of each layer's weights that the task uses.
    weight_share : float
        Share of the steps that train weights, after those that train the mask; 0 leaves all weights as they are (SupSup).
    batch : int
        Examples a step.
    lr, weight_lr : float
        Peak learning rates of Adam for scores, and for weights; a head of the task's own learns with the former, then the latter.
    weight_decay : float
        Decoupled decay of the weights that are trained.
    padding : int
        Images: zero padding of the random crop, in pixels.
    transfer : bool
        Start from the mask of the earlier task whose features suit best, where one is above chance.
    seed : int
        Seed of all randomness.

    Raises
    ------
    TrainingError
        If a value is out of range.
    """

    steps: int
    density: float = 0.1
    weight_share: float = 0.5
    batch: int = 64
    lr: float = 0.01
    weight_lr: float = 0.001
    weight_decay: float = 0.0
    padding: int = 0
    transfer: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, RANGES)

    def identity(self) -> JsonObject:
        """Describe the settings.

        Returns
        -------
        dict of str to object
            Their values by name.
        """
        return asdict(self)

    @property
    def mask_steps(self) -> int:
        """Steps that train the mask."""
        return self.steps - round(self.weight_share * self.steps)


class TaskTraining:
    """The training of one task; the network given is not changed.

    Parameters
    ----------
    network : MaskedNetwork
        The backbone with the weights that earlier tasks left.
    name : str
        The new task.
    task : Task
        What it is for: a classification.
    data : Data
        Examples it learns from.
    size : int
        Input size, as `Data.batches` takes it.
    config : SupermaskConfig
        Hyper-parameters.
    earlier : mapping of str to MaskedTask
        Tasks that must not change.
    exclusive : bool
        Keep the weights of earlier tasks as they are. Without it (SSNeT) they forget.
    checkpoint : Path, optional
        A file that keeps the state, so that the same training goes on from it.
    progress : callable, optional
        Called with the state every ten steps.

    Attributes
    ----------
    step : int
        Steps that are done; each is one forward and backward pass.
    transfer : Transfer or None
        What was found about earlier masks; None where nothing was asked.
    trained : float
        Share of the weights under the mask that no earlier task uses, known once weights are trained.
    """

    def __init__(
        self,
        network: MaskedNetwork,
        name: str,
        task: Task,
        data: Data,
        size: int,
        config: SupermaskConfig,
        *,
        earlier: Mapping[str, MaskedTask] | None = None,
        exclusive: bool = True,
        checkpoint: Path | None = None,
        progress: Callable[[JsonObject], None] | None = None,
    ) -> None:
        if len(data) < config.batch:
            raise TrainingError(
                f"{len(data)} {task.examples} of {data.name!r} do not fill one batch of {config.batch}.",
                hint="Lower batch.",
            )
        self.network, self.name, self.task, self.data, self.size = network, name, task, data, size
        self.config, self.checkpoint, self.progress = config, checkpoint, progress
        self.earlier = dict(earlier or {})
        self.exclusive = exclusive
        self.step, self.seconds, self.trained = 0, 0.0, 1.0
        self.transfer: Transfer | None = None
        self._net = network.cut(_blank(network))  # a copy, for its layers and statistics; weights are handed in
        self._layers = network.masked(len(data.classes))
        self._weights = {n: nn.Parameter(network.weight(n).clone()) for n in self._layers}
        self._masks: dict[str, Tensor] = {}
        self._losses: list[float] = []
        self._history: list[JsonObject] = []
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))
        self._identity = {
            "config": config.identity(),
            "task": name,
            "classes": list(data.classes),
            "data": data.digest,
            "backbone": digest(network.net),
            "earlier": sorted(t.digest for t in self.earlier.values()),
            "exclusive": exclusive,
        }

    def run(self) -> tuple[MaskedNetwork, MaskedTask]:
        """Train to the end, from the checkpoint where there is one.

        Returns
        -------
        network : MaskedNetwork
            The backbone after it.
        task : MaskedTask
            The task, with the digest of its network.

        Raises
        ------
        TrainingError
            If the loss is not finite, or the checkpoint is of another training or cannot be written.
        KeyboardInterrupt
            After Ctrl-C, once the step is done and saved.
        """
        state = self._read()
        c = self.config
        self.data.keep_for_training(self.size)
        self._start(state)
        began, before, saved = time.monotonic(), self.seconds, time.monotonic()
        with Interruption() as interruption:
            while self.step < c.steps:
                if self.step == c.mask_steps:
                    self._freeze_masks()
                self._one_step()
                self.seconds = before + time.monotonic() - began
                if interruption.came or time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self._save()
                    saved = time.monotonic()
                if interruption.came:
                    interruption.answer()
                if self.progress and (self.step % REPORTED_STEPS == 0 or self.step == c.steps):
                    try:
                        self.progress(self._status())
                    except KeyboardInterrupt:
                        self._save()
                        raise
        if not self._masks:
            self._freeze_masks()
        return self._result()

    # ------------------------------------------------------------------ parts of a run
    def _start(self, state: JsonObject | None) -> None:
        """Make scores, head and optimizer, and bring them to the state of the checkpoint."""
        c, classes = self.config, len(self.data.classes)
        generator = torch.Generator().manual_seed(c.seed)
        start: dict[str, Tensor] = {}
        if state is None and c.transfer and self.earlier and c.mask_steps:
            self.transfer = Transfer(self.network, self.earlier, self.data, self.size, c.seed)
            if self.transfer.best:
                start = self.earlier[self.transfer.best].masks
        self._scores = {n: nn.Parameter(new_scores(w.shape, generator, start.get(n))) for n, w in self._weights.items()}
        self._head: dict[str, nn.Parameter] = {}
        if classes != self.network.classes:
            inputs = self.network.weight(self.network.head_weight).shape[1]
            bound = 1 / math.sqrt(inputs)
            self._head["weight"] = nn.Parameter((2 * torch.rand(classes, inputs, generator=generator) - 1) * bound)
            self._head["bias"] = nn.Parameter(torch.zeros(classes))
            task = _blank(self.network, self.name, self.data.classes, {k: v.detach() for k, v in self._head.items()})
            self._net.set_submodule(self.network.head, self.network.new_head(task))
        self._net.train()
        self._masks = {}
        self._optimizer = torch.optim.Adam([*self._scores.values(), *self._head.values()], lr=c.lr)
        self._update: ExclusiveUpdate | None = None
        if state is None:
            return
        self.step, self.seconds = int(state["step"]), float(state["seconds"])
        known = state["transfer"]
        if known is not None:
            self.transfer = Transfer(self.network, {}, self.data, self.size, c.seed)
            self.transfer.best, self.transfer.chance = str(known["best"]), float(known["chance"])
            self.transfer.accuracies = {str(k): float(v) for k, v in known["accuracies"].items()}
        with torch.no_grad():
            for group, values in ((self._scores, "scores"), (self._head, "head")):
                for name, parameter in group.items():
                    parameter.copy_(state[values][name])
            for name in self.network.statistics:
                self._net.get_buffer(name).copy_(state["statistics"][name])
        if state["frozen"]:
            self._freeze_masks()  # before the trained weights come, as entries that are not free are put back
            with torch.no_grad():
                for name, weight in self._weights.items():
                    weight.copy_(state["weights"][name])
        self._optimizer.load_state_dict(state["optimizer"])

    def _freeze_masks(self) -> None:
        """Keep the masks that the scores choose; from now on weights are trained."""
        c = self.config
        self._masks = {n: top_mask(s, c.density) for n, s in self._scores.items()}
        taken = self.network.taken(self.earlier.values() if self.exclusive else ())
        free = {n: m & ~taken[n] for n, m in self._masks.items()}
        total = sum(int(m.sum()) for m in self._masks.values())
        self.trained = sum(int(m.sum()) for m in free.values()) / max(1, total)
        groups = [
            {"params": [*self._weights.values()], "weight_decay": c.weight_decay},
            {"params": [*self._head.values()], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=c.weight_lr)
        self._update = ExclusiveUpdate(self._optimizer, {self._weights[n]: f for n, f in free.items()})

    def _one_step(self) -> None:
        c = self.config
        per_epoch = max(1, len(self.data) // c.batch)
        epoch, place = divmod(self.step, per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, np.random.default_rng([c.seed, epoch]).permutation(len(self.data)))
        indices = self._order[1][place * c.batch : (place + 1) * c.batch]
        rng = np.random.default_rng([c.seed, self.step, 1])
        inputs, targets = self.task.training_batch(
            self.data, indices, self.size, rng, Augmentation(crop_padding=c.padding)
        )
        masking = self._update is None
        first, last, peak = (0, c.mask_steps, c.lr) if masking else (c.mask_steps, c.steps, c.weight_lr)
        for group in self._optimizer.param_groups:
            group["lr"] = 0.5 * peak * (1 + math.cos(math.pi * (self.step - first) / (last - first)))
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(c.seed * 1_000_003 + self.step)  # for dropout
            outputs = functional_call(self._net, self._handed(masking), given)
        loss = self.task.loss(outputs, targets)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss at step {self.step} is {value}.", hint=f"Lower {'lr' if masking else 'weight_lr'}."
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        (self._update or self._optimizer).step()
        self.step += 1
        self._losses = [*self._losses[-19:], value]
        if self.step % per_epoch == 0 or self.step in (c.mask_steps, c.steps):
            row = {"step": self.step, "trains": "mask" if masking else "weights"}
            self._history.append(row | {"loss": round(float(np.mean(self._losses)), 4)})

    def _handed(self, masking: bool) -> dict[str, Tensor]:
        """Return the tensors that take the place of the network's own in a forward pass."""
        zero = torch.zeros(())
        found: dict[str, Tensor] = {f"{self.network.head}.{k}": v for k, v in self._head.items()}
        for name, weight in self._weights.items():
            if masking:
                found[name] = masked_weight(weight.detach(), self._scores[name], self.config.density)
            else:
                found[name] = torch.where(self._masks[name], weight, zero)
        return found

    def _result(self) -> tuple[MaskedNetwork, MaskedTask]:
        """Put the weights into a copy of the backbone, and compute the task's statistics anew."""
        network = MaskedNetwork(copy.deepcopy(self.network.net), self.network.classes)
        with torch.no_grad():
            for name, weight in self._weights.items():
                network.net.get_parameter(name).copy_(weight)
        none = {n: torch.zeros(network.weight(n).shape, dtype=torch.bool) for n in network.names}
        statistics = {n: self._net.get_buffer(n).clone() for n in network.statistics}
        head = {k: v.detach().clone() for k, v in self._head.items()}
        task = MaskedTask(self.name, tuple(self.data.classes), none | self._masks, statistics, head)
        net = network.cut(task)
        order = np.random.default_rng(0).permutation(len(self.data))[:1000]
        recalibrate(net, self.data.take(order), self.size)
        statistics = {n: net.get_buffer(n).clone() for n in network.statistics}
        task = MaskedTask(self.name, task.classes, task.masks, statistics, head, digest(net))
        return network, task

    # ------------------------------------------------------------------ state
    def _save(self) -> None:
        if self.checkpoint is None:
            return
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        known = self.transfer
        plain = lambda group: {k: v.detach() for k, v in group.items()}  # noqa: E731
        state = {
            "identity": self._identity,
            "step": self.step,
            "seconds": self.seconds,
            "frozen": self._update is not None,
            "scores": plain(self._scores),
            "weights": plain(self._weights) if self._update else {},
            "head": plain(self._head),
            "statistics": {n: self._net.get_buffer(n) for n in self.network.statistics},
            "optimizer": self._optimizer.state_dict(),
            "transfer": None
            if known is None
            else {"best": known.best, "chance": known.chance, "accuracies": known.accuracies},
        }
        write_training(self.checkpoint, state)

    def _read(self) -> dict[str, Any] | None:
        if self.checkpoint is None or not self.checkpoint.exists():
            return None
        try:
            state = read_checkpoint(self.checkpoint)
            changed = differences(state["identity"], self._identity)
        except Exception as error:  # a file of anything
            raise TrainingError(
                f"the checkpoint {str(self.checkpoint)!r} cannot be read: {error}.", hint="Remove it to start anew."
            ) from error
        if changed:
            raise TrainingError(
                f"{str(self.checkpoint)!r} is of a training of other settings ({'; '.join(changed)}).",
                hint="Give the same settings, remove it to start anew, or give the task another name.",
            )
        return state

    def _status(self) -> JsonObject:
        return {
            "step": self.step,
            "steps": self.config.steps,
            "examples": self.task.examples,
            "examples_per_s": self.step * self.config.batch / max(1e-9, self.seconds),
            "kernels": "eager",
            "device": "cpu",
            "losses": {"loss": float(np.mean(self._losses))} if self._losses else {},
            "history": self._history,
        }


def _blank(
    network: MaskedNetwork, name: str = "", classes: tuple[str, ...] = (), head: Mapping[str, Tensor] | None = None
) -> MaskedTask:
    """Make a task that uses all weights, with statistics of nothing seen."""
    masks = {n: torch.ones(network.weight(n).shape, dtype=torch.bool) for n in network.names}
    fresh = lambda n: torch.ones if n.endswith("var") else torch.zeros  # noqa: E731
    statistics = {n: fresh(n)(network.net.get_buffer(n).shape) for n in network.statistics}
    return MaskedTask(name, classes, masks, statistics, dict(head or {}))
