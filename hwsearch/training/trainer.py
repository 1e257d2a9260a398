"""The supernet trainer: one loop for every strategy, resumable to the step.

All randomness is derived from (seed, epoch, step), so a run that was stopped and taken up again
ends with the same weights as one that was not.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hwsearch._json import JsonObject
from hwsearch._typing import IntArray
from hwsearch.accuracy import subnet_score
from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import read_checkpoint
from hwsearch.supernets.kernels import EAGER, Choice, using
from hwsearch.tasks.base import Augmentation, Task
from hwsearch.tasks.data import Data
from hwsearch.training.strategies.base import Strategy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingConfig:
    """Hyper-parameters of a run; all of them must be equal when a run is taken up again.

    Parameters
    ----------
    epochs : int
        Passes over the training examples.
    batch : int
        Examples a step.
    lr : float
        Peak learning rate of SGD with Nesterov momentum; linear warm-up, then cosine to zero.
    momentum : float
        Of SGD.
    weight_decay : float
        On convolution and linear weights only (not on norms, biases, kernel transforms).
    warmup : float
        Share of the steps in which the learning rate rises.
    clip : float
        Largest norm of the summed gradient.
    padding : int
        Images: zero padding of the random crop, in pixels; they are also mirrored at random.
    seed : int
        Seed of all randomness.
    compile : bool
        Wrap the supernet in `torch.compile` (measured slower on CPU, see docs/how-to/training.md).
    checkpoint_steps : int
        Steps between two checkpoints.
    """

    epochs: int = 30
    batch: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup: float = 0.05
    clip: float = 5.0
    padding: int = 4
    seed: int = 0
    compile: bool = False
    checkpoint_steps: int = 200


class Trainer:
    """Trains a supernet with a strategy, resumable to the step.

    Parameters
    ----------
    supernet : Supernet
        The supernet; it is trained in place.
    strategy : Strategy
        What one step does.
    task : Task
        What the supernet is for.
    train : Data
        Training examples.
    config : TrainingConfig
        Hyper-parameters.
    folder : Path
        Gets the checkpoint.
    calibration : Data, optional
        Examples for the batch norms of the subnets scored after each epoch; None where there are none.
    validation : Data, optional
        Examples that the smallest and the largest subnet are scored on after each epoch.
    progress : callable, optional
        Called with the state of the run every ten steps.
    kernels : Choice
        The kernels of the step, as of `hwsearch.supernets.kernels.choose`; plain torch by default.

    Raises
    ------
    TrainingError
        If the training examples do not fill one batch.
    """

    def __init__(
        self,
        supernet: Supernet,
        strategy: Strategy,
        task: Task,
        train: Data,
        config: TrainingConfig,
        folder: Path,
        *,
        calibration: Data | None = None,
        validation: Data | None = None,
        progress: Callable[[JsonObject], None] | None = None,
        kernels: Choice = Choice(EAGER, "by default"),
    ) -> None:
        self.supernet = supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.strategy = strategy
        self._strategy = _settings(strategy)
        self.task = task
        self.train_data = train
        self.config = config
        self.folder = Path(folder)
        self.calibration = calibration
        self.validation = validation
        self.progress = progress
        self.kernels = kernels
        self.history: list[JsonObject] = []
        self.step = 0
        self.seconds = 0.0
        self.steps_per_epoch = len(train) // config.batch
        if self.steps_per_epoch < 1:
            raise TrainingError(f"{len(train)} training {task.examples} do not fill one batch of {config.batch}.")
        self.total_steps = self.steps_per_epoch * config.epochs
        decayed, plain = _parameter_groups(supernet)
        self.optimizer = torch.optim.SGD(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=config.lr,
            momentum=config.momentum,
            nesterov=True,
        )
        self.size = supernet.input_size(supernet.space.largest())
        train.keep(self.size)

    @property
    def checkpoint(self) -> Path:
        """The file that holds the state of the run."""
        return self.folder / "training.pt"

    # ------------------------------------------------------------------ the loop
    def run(self, *, stop_at: int | None = None) -> Supernet:
        """Train to the end, from the last checkpoint if there is one.

        Parameters
        ----------
        stop_at : int, optional
            Stop after this many steps, as if interrupted.

        Returns
        -------
        Supernet
            The supernet.

        Raises
        ------
        TrainingError
            If the folder holds another run, or a loss or gradient is not finite.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            self._load()
        c = self.config
        if c.compile:
            self.supernet.compile(dynamic=True)
        end = min(self.total_steps, stop_at if stop_at is not None else self.total_steps)
        augmentation = Augmentation(crop_padding=c.padding)
        order: IntArray | None = None
        started = time.monotonic()
        before = self.seconds
        losses: dict[str, float] = {}
        while self.step < end:
            epoch, within = divmod(self.step, self.steps_per_epoch)
            if order is None or within == 0:
                order = np.random.default_rng([c.seed, epoch]).permutation(len(self.train_data))
            rng = np.random.default_rng([c.seed, epoch, within])
            indices = order[within * c.batch : (within + 1) * c.batch]
            inputs, targets = self.task.training_batch(self.train_data, indices, self.size, rng, augmentation)
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate(self.step)
            self.supernet.train()
            self.optimizer.zero_grad(set_to_none=True)
            done = self.step / self.total_steps
            with using(self.kernels.kernels):
                losses = self.strategy.step(self.supernet, self.task, inputs, targets, done, rng)
            if not all(math.isfinite(v) for v in losses.values()):
                raise TrainingError(
                    f"the loss at step {self.step} is not finite: {losses}.",
                    hint="Lower lr, or start from another seed.",
                )
            norm = nn.utils.clip_grad_norm_(self.supernet.parameters(), c.clip)
            if not math.isfinite(float(norm)):
                raise TrainingError(
                    f"the gradient at step {self.step} is not finite.", hint="Lower lr, or start from another seed."
                )
            self.optimizer.step()
            self.step += 1
            self.seconds = before + time.monotonic() - started
            if self.step % self.steps_per_epoch == 0:
                self._end_of_epoch(losses)
                self._save()
            elif self.step % c.checkpoint_steps == 0:
                self._save()
            if self.progress and (self.step % 10 == 0 or self.step == end):
                self.progress(self._status(losses))
        self._save()
        return self.supernet

    def learning_rate(self, step: int) -> float:
        """Compute the learning rate of one step: linear warm-up, then cosine to zero.

        Parameters
        ----------
        step : int
            The step, from 0.

        Returns
        -------
        float
            The learning rate.
        """
        c = self.config
        warmup = max(1, round(c.warmup * self.total_steps))
        if step < warmup:
            return c.lr * (step + 1) / warmup
        return c.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, self.total_steps - warmup)))

    def _end_of_epoch(self, losses: dict[str, float]) -> None:
        row: JsonObject = {
            "epoch": self.step // self.steps_per_epoch,
            "seconds": round(self.seconds, 1),
            **{f"loss_{k}": round(v, 4) for k, v in losses.items()},
        }
        if self.validation is not None:
            space = self.supernet.space
            for name, arch in (("smallest", space.smallest()), ("largest", space.largest())):
                score = subnet_score(self.task, self.supernet, arch, self.calibration, self.validation)
                row[f"{self.task.score_key}_{name}"] = round(score.value, 2)
        self.history.append(row)
        log.info("epoch %s", row)

    def _status(self, losses: dict[str, float]) -> JsonObject:
        return {
            "step": self.step,
            "steps": self.total_steps,
            "examples_per_s": self.step * self.config.batch / max(self.seconds, 1e-9),
            "examples": self.task.examples,
            "losses": losses,
            "history": self.history,
        }

    # ------------------------------------------------------------------ stop and resume
    def _save(self) -> None:
        state = {
            "config": asdict(self.config),
            "space": self.supernet.space.to_dict(),
            "strategy": self._strategy,
            **self._arithmetic(),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "model": self.supernet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def _arithmetic(self) -> JsonObject:
        """Tell what the weights depend on to the bit besides the settings; a run is resumed with the same only."""
        return {"kernels": self.kernels.kernels.identity, "threads": torch.get_num_threads()}

    def _load(self) -> None:
        try:
            state = read_checkpoint(self.checkpoint)
            config, space, model = state["config"], state["space"], state["model"]
            strategy = state.get("strategy", self._strategy)
        except Exception as error:
            raise TrainingError(
                f"the checkpoint {str(self.checkpoint)!r} cannot be read: {error}.", hint="Remove it to start anew."
            ) from error
        changed = [k for k, v in asdict(self.config).items() if config.get(k) != v]
        changed += ["search space"] * (space != self.supernet.space.to_dict())
        changed += ["strategy"] * (strategy != self._strategy)
        changed += [f"{k} {state[k]}, not {v}" for k, v in self._arithmetic().items() if state.get(k, v) != v]
        if changed:
            raise TrainingError(
                f"{str(self.folder)!r} holds a run with other settings ({', '.join(changed)}).",
                hint="Use another folder, or the same settings (--kernels and OMP_NUM_THREADS among them).",
            )
        try:
            self.supernet.load_state_dict(model)
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"{str(self.folder)!r} holds a run of another supernet: {error}", hint="Use another folder."
            ) from error
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]


def _settings(strategy: Strategy) -> JsonObject:
    """Describe the strategy by its name and plain settings, to tell one run from another."""
    plain = {k: v for k, v in vars(strategy).items() if isinstance(v, (bool, int, float, str))}
    return {"strategy": type(strategy).__name__, **plain}


def _parameter_groups(net: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in net.named_parameters():
        (plain if parameter.ndim < 2 or name.endswith("_matrix") else decayed).append(parameter)
    return decayed, plain
