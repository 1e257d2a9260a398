"""Fine-tuning of one extracted subnet: what weight sharing cost it, some steps of training give back.

A subnet inherits weights that were trained for all subnets together. Once-for-All (Cai et al., 2020, arXiv
1908.09791) gains 0.5 to 2 points by fine-tuning its picks; a subnet cut from a plain network needs it to work at all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hwsearch._json import JsonObject
from hwsearch.accuracy.recalibrate import batch_norms
from hwsearch.errors import TrainingError, nearest
from hwsearch.supernets.checkpoint import digest, read_checkpoint
from hwsearch.tasks.base import Augmentation, Task
from hwsearch.tasks.data import Data, forward
from hwsearch.training.ranges import EXAMPLES, RATE, SEED, SHARE, STEPS, Range, check_ranges

#: a checkpoint is written that often
CHECKPOINT_SECONDS = 15.0


def finetune_config(settings: Mapping[str, float | bool | None]) -> FinetuneConfig:
    """Make the hyper-parameters of a fine-tuning of settings by name.

    Parameters
    ----------
    settings : mapping of str to value
        Parameters of `FinetuneConfig`.

    Returns
    -------
    FinetuneConfig
        With defaults where `settings` says nothing.

    Raises
    ------
    TrainingError
        If a setting is unknown or out of range.
    """
    known = [f.name for f in fields(FinetuneConfig)]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise TrainingError(f"unknown fine-tuning setting {unknown[0]!r}.", hint=nearest(unknown[0], known))
    return FinetuneConfig(**settings)  # type: ignore[arg-type]


RANGES = {
    "steps": STEPS,
    "batch": EXAMPLES,
    "lr": replace(RATE, optional=True),
    "momentum": Range(0, 1, below=True),
    "weight_decay": Range(0, 1e3),
    "warmup": SHARE,
    "label_smoothing": Range(0, 1, below=True),
    "clip": Range(0, 1e9, above=True),
    "seed": SEED,
}


@dataclass(frozen=True)
class FinetuneConfig:
    """Hyper-parameters of a fine-tuning.

    Parameters
    ----------
    steps, batch : int
        Optimiser steps, and examples in each.
    lr : float, optional
        Peak learning rate after a linear warm-up, then cosine to zero; None takes 0.01 for networks with batch norms (SGD
        with Nesterov momentum) and 5e-5 for others (AdamW).
    momentum, weight_decay : float
        Of SGD; only matrices and kernels decay.
    warmup : float
        Share of the steps in which the learning rate rises.
    label_smoothing : float
        Share of the target given to all classes.
    clip : float
        Largest norm of the gradient.
    flip : bool
        Images are mirrored at random.
    seed : int
        Seed of all randomness.

    Raises
    ------
    TrainingError
        If a value is out of range.
    """

    steps: int = 200
    batch: int = 64
    lr: float | None = None
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup: float = 0.1
    label_smoothing: float = 0.0
    clip: float = 5.0
    flip: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, RANGES)


def finetune(
    task: Task,
    net: nn.Module,
    data: Data,
    size: int,
    config: FinetuneConfig,
    *,
    progress: Callable[[int, float], None] | None = None,
    checkpoint: Path | None = None,
) -> JsonObject:
    """Train a static network on labelled examples, in place; batch norms end with the statistics of training.

    Deterministic in the seed, dropout included.

    Parameters
    ----------
    task : Task
        What the network is for.
    net : torch.nn.Module
        The network.
    data : Data
        Examples it may learn from, never those that judge it.
    size : int
        Input size, as `hwsearch.tasks.data.Data.batches` takes it.
    config : FinetuneConfig
        Hyper-parameters.
    progress : callable, optional
        Called with (steps done, mean loss of late) after each step.
    checkpoint : Path, optional
        A file that keeps the state every `CHECKPOINT_SECONDS` and at the end; the same call on the same weights and data
        goes on from it, to the same weights. Whoever keeps the result removes it.

    Returns
    -------
    dict of str to object
        The settings, all losses, and the number of examples seen.

    Raises
    ------
    TrainingError
        If the loss is not finite, the data do not fill a batch, or the checkpoint cannot be read.
    """
    if len(data) < config.batch:
        raise TrainingError(f"{len(data)} examples of {data.name!r} do not fill one batch of {config.batch}.")
    data.keep_for_training(size)
    convolutional = bool(batch_norms(net))
    optimiser = _optimiser(net, config, convolutional)
    peak = optimiser.param_groups[0]["lr"]
    training = net.training
    stamp = {"settings": asdict(config), "data": data.digest, "size": size, "start": digest(net)}
    losses = _resume(checkpoint, net, optimiser, stamp) if checkpoint else []
    kept = time.monotonic()
    order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
    per_epoch = len(data) // config.batch
    net.train()
    try:
        for step in range(len(losses), config.steps):
            epoch, place = divmod(step, per_epoch)
            if order[0] != epoch:
                order = (epoch, np.random.default_rng([config.seed, epoch]).permutation(len(data)))
            indices = order[1][place * config.batch : (place + 1) * config.batch]
            rng = np.random.default_rng([config.seed, step, 1])
            inputs, targets = task.training_batch(data, indices, size, rng, Augmentation(mirror=config.flip))
            for group in optimiser.param_groups:
                group["lr"] = peak * _schedule(step, config)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed * 1_000_003 + step)  # for dropout
                outputs = forward(net, inputs)
            loss = task.loss(outputs, targets, label_smoothing=config.label_smoothing)
            if not math.isfinite(float(loss.detach())):
                raise TrainingError(f"the loss at step {step} is {float(loss.detach())}.", hint="Lower lr.")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), config.clip)
            optimiser.step()
            losses.append(float(loss.detach()))
            if checkpoint and (len(losses) == config.steps or time.monotonic() - kept >= CHECKPOINT_SECONDS):
                _keep(checkpoint, net, optimiser, stamp, losses)
                kept = time.monotonic()
            if progress is not None:
                progress(step + 1, float(np.mean(losses[-20:])))
    finally:
        net.train(training)
    return {**asdict(config), "lr": peak, "losses": losses, "examples": len(losses) * config.batch, "data": data.name}


def _keep(path: Path, net: nn.Module, optimiser: torch.optim.Optimizer, stamp: JsonObject, losses: list[float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    state = {**stamp, "losses": losses, "net": net.state_dict(), "optimiser": optimiser.state_dict()}
    torch.save(state, partial)
    partial.replace(path)


def _resume(path: Path, net: nn.Module, optimiser: torch.optim.Optimizer, stamp: JsonObject) -> list[float]:
    """Return the losses of the steps that a checkpoint has done, after taking its state; none where it is of another run."""
    if not path.exists():
        return []
    try:
        state = read_checkpoint(path)
        if any(state[k] != v for k, v in stamp.items()):
            return []
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        return [float(v) for v in state["losses"]]
    except Exception as error:  # torch raises many kinds
        raise TrainingError(
            f"the checkpoint {str(path)!r} cannot be used: {error}.", hint="Remove it to start anew."
        ) from error


def _optimiser(net: nn.Module, config: FinetuneConfig, convolutional: bool) -> torch.optim.Optimizer:
    """Make the optimiser: SGD for networks with batch norms, AdamW for others; only matrices and kernels decay."""
    decayed = [p for p in net.parameters() if p.ndim > 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay if convolutional else 0.01},
        {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if convolutional:
        return torch.optim.SGD(groups, lr=config.lr or 0.01, momentum=config.momentum, nesterov=True)
    return torch.optim.AdamW(groups, lr=config.lr or 5e-5)


def _schedule(step: int, config: FinetuneConfig) -> float:
    warm = max(1, round(config.warmup * config.steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, config.steps - warm)))
