"""One step: the forward and backward passes of its subnets on one batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hwsearch.errors import TrainingError
from hwsearch.spaces import Architecture
from hwsearch.tasks.data import Inputs
from hwsearch.training.finite import origin
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.features import last_features
from hwsearch.training.parts.feedback import PROBE_EXAMPLES, Seen
from hwsearch.training.parts.loss import Outputs
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run

#: distance of the seeds of dropout of two ghost batches: no step of another one has the same
GHOST_SEED = 1 << 40


@dataclass(frozen=True)
class Stepped:
    """Result of a step.

    Attributes
    ----------
    losses : dict of str to float
        Loss by name of the draw.
    seen : list of Seen
        The passes, for parts that adapt.
    passes : int
        Forward and backward passes.
    """

    losses: dict[str, float]
    seen: list[Seen]
    passes: int


def run_step(
    recipe: Recipe,
    run: Run,
    batch: Batch,
    now: Moment,
    rng: np.random.Generator,
    *,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    scaled: Callable[[Tensor], Tensor] = lambda loss: loss,
) -> Stepped:
    """Run the passes of one batch; the summed gradients are left in the parameters, which do not change.

    Parameters
    ----------
    recipe : Recipe
        The parts, prepared for this run.
    run : Run
        The run; its supernet is in training mode, its gradients are cleared.
    batch : Batch
        The examples.
    now : Moment
        The step.
    rng : numpy.random.Generator
        Source of all randomness.
    autocast : callable
        Makes the context of the forward passes.
    scaled : callable
        Scales a loss before its backward pass (fp16).

    Returns
    -------
    Stepped
        Losses and feedback.

    Raises
    ------
    TrainingError
        If a loss is not finite; with the place where that began.
    """
    draws = recipe.sampler.sample(now, rng)
    done = run_passes(recipe, run, batch, now, draws, autocast=autocast, scaled=scaled)
    return Stepped(done.losses, done.seen + probe(recipe, run, now), done.passes)


def run_passes(
    recipe: Recipe,
    run: Run,
    batch: Batch,
    now: Moment,
    draws: Sequence[Draw],
    *,
    ghost: int = 0,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    scaled: Callable[[Tensor], Tensor] = lambda loss: loss,
) -> Stepped:
    """Run the passes of subnets that are drawn already on one batch, or on one ghost batch of it.

    Parameters
    ----------
    recipe, run, batch, now, autocast, scaled
        As of `run_step`.
    draws : sequence of Draw
        The subnets, a teacher first.
    ghost : int
        Number of the ghost batch, from 0; each has dropout of its own.

    Returns
    -------
    Stepped
        Losses and feedback.

    Raises
    ------
    TrainingError
        If a loss is not finite; with the place where that began.
    """
    losses: dict[str, float] = {}
    seen: list[Seen] = []
    recipe.view.begin(now)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.config.seed * 1_000_003 + now.step + ghost * GHOST_SEED)  # for dropout
        with autocast():
            teacher = recipe.teacher.outputs(batch) if recipe.teacher is not None else None
        for draw in draws:
            recipe.view.bind(draw.arch)
            inputs = batch.at(run.supernet.input_size(draw.arch), run.task)
            with autocast():
                out = _outputs(recipe, run, inputs)
                loss = recipe.loss(out, batch, draw, teacher, now)
            if draw.role == "teacher":
                teacher = out.detach()
            losses[draw.name] = value = float(loss.detach())
            if not math.isfinite(value):
                raise _not_finite(recipe, run, inputs, draw, now, value)
            seen.append(_backward(recipe, run, batch, now, draw, out, loss, scaled))
    return Stepped(losses, seen, len(draws))


def probe(recipe: Recipe, run: Run, now: Moment) -> list[Seen]:
    """Run the probes of the sampler forward, where somebody subscribed to them for this step.

    Parameters
    ----------
    recipe, run, now
        As of `run_step`.

    Returns
    -------
    list of Seen
        Empty where nobody did.
    """
    return _probed(recipe, run) if run.bus.wants("probe_loss", now.step) else []


def _outputs(recipe: Recipe, run: Run, inputs: Inputs) -> Outputs:
    with last_features(run.supernet, recipe.loss.needs_features()) as features:
        logits = recipe.view.forward(inputs)
    return Outputs(logits, features[0] if features else None)


def _backward(
    recipe: Recipe,
    run: Run,
    batch: Batch,
    now: Moment,
    draw: Draw,
    out: Outputs,
    loss: Tensor,
    scaled: Callable[[Tensor], Tensor],
) -> Seen:
    """Run the backward pass, and collect what parts subscribed to."""
    net, bus = run.supernet, run.bus
    norms: list[Tensor] = []
    scale = draw.scale * float(scaled(loss.new_ones(())))  # feedback is of the loss itself
    per_example = bus.wants("per_example", now.step)
    if per_example or batch.weight is not None:
        # the loss is a mean over examples: rows of its gradient at the outputs are those of the examples
        def weigh(gradient: Tensor) -> Tensor | None:
            rows = gradient.flatten(1).norm(dim=1)
            norms.append(rows.detach() * (len(rows) / scale))
            return None if batch.weight is None else gradient * batch.weight.view(-1, *[1] * (gradient.ndim - 1))

        out.logits.register_hook(weigh)
    wanted = bus.wants("gradient", now.step) or bus.wants("gradient_norms", now.step)
    before = {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None} if wanted else {}
    scaled(draw.scale * loss if draw.scale != 1.0 else loss).backward()  # type: ignore[no-untyped-call]
    recipe.reducer.add(draw, net)
    gradient: dict[str, Tensor] | None = None
    if wanted:
        own = {
            n: p.grad - before[n] if n in before else p.grad.clone()
            for n, p in net.named_parameters()
            if p.grad is not None
        }
        gradient = {n: g / scale for n, g in own.items()}
    return Seen(
        draw.arch,
        float(loss.detach()),
        batch.index,
        norms[0] if per_example else None,
        {n: float(g.norm()) for n, g in gradient.items()}
        if gradient and bus.wants("gradient_norms", now.step)
        else None,
        gradient if bus.wants("gradient", now.step) else None,
    )


@torch.no_grad()
def _probed(recipe: Recipe, run: Run) -> list[Seen]:
    """Run the probes of the sampler forward, with the statistics of their own batch; running statistics stay."""
    n = min(PROBE_EXAMPLES, len(run.data))
    index = np.linspace(0, len(run.data) - 1, n).astype(np.int64)
    inputs, targets = run.examples(index, run.size)
    batch = Batch(inputs, targets, index, run.size)
    kept = {name: value.clone() for name, value in run.supernet.named_buffers()}

    def loss(arch: Architecture) -> float:
        recipe.view.bind(arch)
        outputs = recipe.view.forward(batch.at(run.supernet.input_size(arch), run.task))
        return float(run.task.loss(outputs, targets))

    seen = [Seen(arch, loss(arch), index, probe=True) for arch in recipe.sampler.probes()]
    for name, value in run.supernet.named_buffers():
        value.copy_(kept[name])
    return seen


def _not_finite(recipe: Recipe, run: Run, inputs: Inputs, draw: Draw, now: Moment, value: float) -> TrainingError:
    where = origin(run.supernet, lambda: recipe.view.forward(inputs))
    return TrainingError(
        f"the loss at step {now.step} is not finite: {draw.name} is {value} (subnet {draw.arch.id}, learning rate "
        f"{now.lr:.3g}); {where}.",
        hint="Lower lr, or start from another seed; the last checkpoint is kept.",
    )
