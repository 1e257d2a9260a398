"""The supernet trainer: one loop for every strategy, resumable to the step.

All randomness is derived from (seed, epoch, step), so a run that was stopped and taken up again
ends with the same weights as one that was not.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hwsearch._json import JsonObject
from hwsearch._package import __version__ as hwsearch_version
from hwsearch.accuracy import subnet_score
from hwsearch.errors import MeasurementError, TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import digest
from hwsearch.supernets.kernels import EAGER, Choice, using
from hwsearch.supernets.kernels.masked import MaskedKernels
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data
from hwsearch.training.batches import check_augmentation, prepare_batch
from hwsearch.training.checkpoint import only_run, read_training, write_training
from hwsearch.training.compute_device import current, describe, on_processor
from hwsearch.training.config import TrainingConfig
from hwsearch.training.ema import WeightAverage
from hwsearch.training.ghosts import check_ghosts, run_ghosts
from hwsearch.training.interruption import Interruption
from hwsearch.training.metrics import MetricsLog
from hwsearch.training.optimizer import make_optimizer
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.superposition import Superposition
from hwsearch.training.precision import Precision
from hwsearch.training.ranks import ALONE, RankLost, Ranks
from hwsearch.training.step import run_step
from hwsearch.training.strategies.base import Strategy

log = logging.getLogger(__name__)

#: a row of figures is written, and progress is told, every so many steps
REPORTED_STEPS = 10


def assemble(strategy: Strategy, run: Run) -> Recipe:
    """Assemble the parts of a training, and refuse what cannot be served before anything is trained.

    Parameters
    ----------
    strategy : Strategy
        The strategy.
    run : Run
        What is known of the run.

    Returns
    -------
    Recipe
        The parts, prepared.

    Raises
    ------
    TrainingError
        If the training examples do not fill one batch, a batch cannot be cut into equal ghost batches, the device does not
        compute in this number format, or the strategy cannot serve the supernet, the task or the data.
    """
    if run.per_epoch < 1:
        raise TrainingError(
            f"{len(run.data)} training {run.task.examples} do not fill one batch of {run.config.batch}.",
            hint=f"Set batch to {len(run.data)} or less.",
        )
    check_augmentation(run)
    Precision(run.config.precision, run.device)
    recipe = strategy.recipe(run)
    recipe.prepare(run)
    check_ghosts(run)
    return recipe


class Trainer:
    """Trains a supernet with a strategy, resumable to the step.

    Parameters
    ----------
    supernet : Supernet
        The supernet; it is trained in place, on the device where it is, as what the strategy's `prepare_supernet` makes of it.
    strategy : Strategy
        Assembles the parts of the training.
    task : Task
        What the supernet is for.
    train : Data
        Training examples.
    config : TrainingConfig
        Hyper-parameters.
    folder : Path
        Gets the checkpoint ``training.pt`` and ``metrics.csv``.
    calibration : Data, optional
        Examples for the batch norms of the subnets scored after each epoch; None where there are none.
    validation : Data, optional
        Examples that the smallest and the largest subnet are scored on after each epoch.
    progress : callable, optional
        Called with the state of the run every ten steps and after each epoch.
    kernels : Choice
        The kernels of the step, as of `hwsearch.supernets.kernels.choose`; plain torch by default.
    ranks : Ranks
        This process among those that train together, each with a trainer of its own with the same arguments; rank 0 writes.
    origin : str
        What the weights are before the training, such as the digest of a weight file: a run is resumed with the same only.

    Attributes
    ----------
    supernet : Supernet
        The network that is trained.
    recipe : Recipe
        The parts.
    step, passes : int
        Steps, and forward and backward passes, that are done.
    history : list of dict
        One row an epoch.

    Raises
    ------
    TrainingError
        If the training examples do not fill one batch, the strategy cannot serve the supernet, the task or the data, or masked
        kernels are to be compiled.
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
        origin: str = "",
        ranks: Ranks = ALONE,
    ) -> None:
        if config.compile and isinstance(kernels.kernels, MaskedKernels):
            raise TrainingError(
                "masked kernels make graphs of their own, and the configuration has compile = true.",
                hint="Leave compile out, or use --kernels eager.",
            )
        supernet = strategy.prepare_supernet(supernet, config.seed)
        self.supernet = supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.strategy = strategy
        self.task = task
        self.train_data = train
        self.config = config
        self.folder = Path(folder)
        self.calibration = calibration
        self.validation = validation
        self.progress = progress
        self.kernels = kernels
        self.origin = origin
        self.ranks = ranks
        self.kernels_said = str(kernels)
        self.history: list[JsonObject] = []
        self.step = self.passes = 0
        self.seconds = 0.0
        self._saved_step = -1
        self._losses: dict[str, float] = {}
        self.plan = Run(supernet, task, train, config, ranks=ranks)
        self.device_said = describe(self.plan.device)
        self.recipe = assemble(strategy, self.plan)
        self.precision = Precision(config.precision, self.plan.device)
        self.optimizer = make_optimizer(self.recipe.view.named_parameters(), config)
        self.average = WeightAverage(supernet, config.ema) if config.ema else None
        train.keep_for_training(self.plan.size)

    @property
    def checkpoint(self) -> Path:
        """The file that holds the state of the run."""
        return self.folder / "training.pt"

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.plan.steps

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
            The supernet; at the end of the run with the averaged weights, where they are averaged.

        Raises
        ------
        TrainingError
            If the folder holds another run, another process trains there, a file cannot be written, or a loss or gradient is
            not finite; the last checkpoint is kept.
        RankError
            If another process of this training ends, is silent or has something else.
        KeyboardInterrupt
            After Ctrl-C, once the step is done and saved; the second one is answered at once.
        """
        with only_run(self.folder) if self.ranks.writes else nullcontext(), current(self.plan.device):
            return self._run(stop_at)

    def _run(self, stop_at: int | None) -> Supernet:
        together = self.ranks.world > 1
        if together:
            self.ranks.agree("settings, data or versions", _digest_of(self.identity()), self.step)
        if self.checkpoint.exists():
            self._load()
        if together:
            self.ranks.agree("weights or checkpoint", digest(self.supernet, str(self.step)), self.step)
        if self.config.compile:
            self.supernet.compile(dynamic=True)
        metrics = MetricsLog(self.folder, self.step) if self.ranks.writes else None
        end = min(self.total_steps, stop_at if stop_at is not None else self.total_steps)
        started, before = time.monotonic(), self.seconds
        with nullcontext() if metrics is None else closing(metrics), Interruption(patient=together) as interruption:
            try:
                if self._lacks_scores() and metrics is not None:
                    self._end_of_epoch(metrics, interruption)
                    self._write()
                while self.step < end:
                    stop = self._one_step(interruption)
                    self.seconds = before + time.monotonic() - started
                    if stop:
                        self._save()
                        interruption.answer()
                    self._after_step(metrics, interruption, last=self.step == end)
            except RankLost:
                if interruption.came:  # the others are gone for the same reason
                    interruption.answer()
                raise
        self._save()
        if interruption.came:  # behind the last step
            interruption.answer()
        if self.average is not None and self.step == self.total_steps:
            self.average.apply()
        return self.supernet

    def _after_step(self, metrics: MetricsLog | None, interruption: Interruption, last: bool) -> None:
        """Score, save and tell what falls due; only the rank that writes has `metrics`."""
        epoch = self.step % self.plan.per_epoch == 0
        if epoch and metrics is not None:
            self._end_of_epoch(metrics, interruption)
        if epoch or self.step % self.config.checkpoint_steps == 0:
            self._save()
        reported = self.step % REPORTED_STEPS == 0 or last
        if metrics is not None and reported:
            metrics.add(self.step, self._figures())
        if self.progress and metrics is not None and (reported or epoch):
            self.progress(self._status())

    def _one_step(self, interruption: Interruption) -> bool:
        """Train one step; whether the training is to stop after it."""
        recipe, run = self.recipe, self.plan
        now = recipe.schedule.at(self.step)
        if recipe.teacher is not None:
            recipe.teacher.advance(self.step)
        for event in recipe.events:
            if event.step == self.step:
                event.act()
                self.optimizer.state = defaultdict(dict)  # momenta are in the order of the channels before
        rng, picked = run.rng(now.epoch, now.within), recipe.data.pick(now)
        for group in self.optimizer.param_groups:
            group["lr"] = now.lr
        self.supernet.train()
        self.optimizer.zero_grad(set_to_none=True)
        precision, stop = self.precision, False
        batch = prepare_batch(run, picked, rng) if run.ghosts == 1 else None
        with using(self.kernels.kernels):
            if batch is not None:
                done = run_step(recipe, run, batch, now, rng, autocast=precision.autocast, scaled=precision.scaled)
            else:
                done, stop = run_ghosts(
                    recipe,
                    run,
                    picked,
                    now,
                    rng,
                    autocast=precision.autocast,
                    scaled=precision.scaled,
                    interrupted=lambda: interruption.came,
                )
        self.kernels_said = self.kernels.after_a_step()
        parameters = (p for _, p in recipe.view.named_parameters())
        norm = recipe.reducer.finish(parameters, step=self.step, unscale=lambda: precision.unscale(self.optimizer))
        if not math.isfinite(norm) and not precision.overflows:
            raise TrainingError(
                f"the gradient at step {self.step} is not finite.", hint="Lower lr, or start from another seed."
            )
        if precision.update(self.optimizer):
            recipe.sampler.update(done.seen)
            recipe.data.update(done.seen)
        if self.average is not None:
            self.average.update()
        self.passes += done.passes + self._search(now, rng)
        self.step += 1
        self._losses = done.losses
        return stop if self.ranks.world > 1 else interruption.came

    def _search(self, now: Moment, rng: np.random.Generator) -> int:
        """Update the logits of a search by gradients, where the strategy has one; the passes that it took."""
        search, view = self.recipe.search, self.recipe.view
        if search is None:
            return 0
        assert isinstance(view, Superposition)
        search.step(view, prepare_batch(self.plan, search.examples(now), rng))
        return 1

    def learning_rate(self, step: int) -> float:
        """Compute the learning rate of one step.

        Parameters
        ----------
        step : int
            The step, from 0.

        Returns
        -------
        float
            The learning rate, as the strategy's schedule says; by default linear warm-up, then cosine to zero.
        """
        return self.recipe.schedule.rate(step)

    # ------------------------------------------------------------------ what is told
    def _lacks_scores(self) -> bool:
        """Whether the run was stopped between the last step of an epoch and the row that the epoch ends with."""
        epochs, rest = divmod(self.step, self.plan.per_epoch)
        return rest == 0 < epochs and (not self.history or self.history[-1]["epoch"] < epochs)

    def _end_of_epoch(self, metrics: MetricsLog, interruption: Interruption) -> None:
        """Append a row to the history, with the scores of the ends."""
        row: JsonObject = {
            "epoch": self.step // self.plan.per_epoch,
            "seconds": round(self.seconds, 1),
            **{f"loss_{k}": round(v, 4) for k, v in self._losses.items()},
        }
        try:
            scores = self._scores(interruption) if self.validation is not None else {}
        except KeyboardInterrupt:
            self._save()  # without the row, which is made when the run is taken up
            raise
        self.history.append(row | scores)
        log.info("epoch %s", self.history[-1])
        metrics.add(self.step, scores)

    def _scores(self, interruption: Interruption) -> dict[str, float]:
        """Score the smallest and the largest subnet."""
        assert self.validation is not None
        space = self.supernet.space
        scores: dict[str, float] = {}
        with self.average.applied() if self.average is not None else nullcontext():
            net = self.supernet if self.plan.device.type == "cpu" else copy.deepcopy(self.supernet).cpu()
            for name, arch in (("smallest", space.smallest()), ("largest", space.largest())):
                try:
                    with interruption.at_once():
                        score = subnet_score(self.task, net, arch, self.calibration, self.validation)
                except MeasurementError as error:
                    raise TrainingError(
                        f"after step {self.step} the {name} subnet cannot be scored: {error.message.rstrip('.')}; the last "
                        "checkpoint is kept.",
                        hint="Lower lr, or start from another seed.",
                    ) from error
                scores[f"{self.task.score_key}_{name}"] = round(score.value, 2)
        return scores

    def _figures(self) -> dict[str, float]:
        """One row of figures."""
        return {
            "epoch": self.step / self.plan.per_epoch,
            "seconds": self.seconds,
            "lr": self.learning_rate(self.step - 1),
            "passes": self.passes,
            **{f"loss_{k}": v for k, v in self._losses.items()},
        }

    def _status(self) -> JsonObject:
        return {
            "step": self.step,
            "steps": self.total_steps,
            "examples_per_s": self.step * self.config.batch / max(self.seconds, 1e-9),
            "examples": self.task.examples,
            "kernels": self.kernels_said,
            "device": self.device_said,
            "losses": self._losses,
            "history": self.history,
        }

    # ------------------------------------------------------------------ stop and resume
    @cached_property
    def _data_digest(self) -> str:
        return self.train_data.digest

    def identity(self) -> JsonObject:
        """Describe everything that decides the weights at the end.

        Returns
        -------
        dict of str to object
            As `hwsearch.training.checkpoint.read_training` compares it.
        """
        return {
            "config": self.config.identity() | {"ghost_batches": self.plan.ghosts},
            "strategy": self.strategy.identity(),
            "parts": self.recipe.identity(),
            "space": self.supernet.space.to_dict(),
            "data": self._data_digest,
            "origin": self.origin,
            "kernels": self.kernels.kernels.identity,
            "threads": torch.get_num_threads(),
            "device": self.plan.device.type,
        }

    def _save(self) -> None:
        """Write the checkpoint, unless it is written; all ranks call this, and must have the same weights."""
        if self._saved_step == self.step:
            return
        if self.ranks.world > 1:
            self.ranks.agree("weights", digest(self.supernet), self.step)
        if self.ranks.writes:
            self._write()
        self._saved_step = self.step

    def _write(self) -> None:
        """Write the checkpoint, unless the weights are spoilt: the last good one is kept."""
        if spoilt := next((n for n, p in self.recipe.view.named_parameters() if not torch.isfinite(p).all()), None):
            raise TrainingError(
                f"after step {self.step} weights {spoilt!r} are not finite; the last checkpoint is kept.",
                hint="Lower lr, or start from another seed.",
            )
        extra = self.recipe.view.extra
        state: dict[str, Any] = {
            "identity": self.identity(),
            "step": self.step,
            "passes": self.passes,
            "seconds": self.seconds,
            "history": self.history,
            "losses": self._losses,
            "kernels_said": self.kernels_said,
            "model": self.supernet.state_dict(),
            "extra": {} if extra is None else extra.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "parts": {name: part.state_dict() for name, part in self.recipe.parts()},
            "average": {} if self.average is None else self.average.state_dict(),
            "precision": self.precision.state_dict(),
        }
        write_training(self.checkpoint, on_processor(state))

    def _load(self) -> None:
        state = read_training(self.checkpoint, self.identity())
        try:
            self.supernet.load_state_dict(state["model"])
            if self.recipe.view.extra is not None:
                self.recipe.view.extra.load_state_dict(state["extra"])
            self.optimizer.load_state_dict(state["optimizer"])
            for name, part in self.recipe.parts():
                part.load_state_dict(state["parts"][name])
            if self.recipe.search is not None and isinstance(self.recipe.view, Superposition):
                self.recipe.search.adopt(self.recipe.view, state["parts"]["search"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.precision.load_state_dict(state["precision"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise TrainingError(
                f"{str(self.folder)!r} holds a run of another supernet: {error}", hint="Use another folder."
            ) from error
        self.step, self.passes = state["step"], state["passes"]
        self._saved_step, self._losses = self.step, state.get("losses", {})
        self.kernels_said = state.get("kernels_said", self.kernels_said)
        self.seconds, self.history = state["seconds"], state["history"]


def _digest_of(identity: JsonObject) -> str:
    """Digest of what all ranks must be told alike."""
    text = json.dumps([hwsearch_version, torch.__version__, identity], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
