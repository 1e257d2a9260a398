"""Ghost batches: the equal parts of a step's batch, computed one after the other, or shared out over processes.

Hoffer et al., "Train longer, generalize better", 2017, arXiv 1705.08741. Each part is normalised by its own statistics, so a
part needs nothing of the others until the gradients are added. What one process computes with N ghost batches is, bit for
bit, what N processes compute with one each: draws depend on seed and step alone, augmentation and dropout on the number of
the part as well, and gradients are added in the order of the parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor

from hwsearch.errors import TrainingError
from hwsearch.training.batches import prepare_batch
from hwsearch.training.parts.data import Picked
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.feedback import Seen
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.ranks import RankError, number
from hwsearch.training.step import Stepped, probe, run_passes

#: purpose of the generators of augmentation, one a ghost batch
GHOST_RNG = 29


def check_ghosts(run: Run) -> None:
    """Refuse numbers of ghost batches and processes that do not go into each other, before training.

    Parameters
    ----------
    run : Run
        The run, after its parts were prepared.

    Raises
    ------
    TrainingError
        If batches cannot be cut into equal parts or shared out, or a part wants whole gradients as feedback.
    """
    ghosts, world, batch = run.ghosts, run.ranks.world, run.config.batch
    if ghosts % world:
        raise TrainingError(
            f"ghost_batches={ghosts} cannot be shared out over {world} processes.",
            hint=f"Choose a multiple of {world}, or leave it out.",
        )
    if batch % ghosts:
        raise TrainingError(
            f"batch={batch} cannot be cut into {ghosts} equal ghost batches.",
            hint=f"Choose a multiple of {ghosts}, such as {max(1, round(batch / ghosts)) * ghosts}.",
        )
    if ghosts > 1 and "gradient" in run.bus.channels:
        raise TrainingError(
            "this strategy looks at the gradient of each subnet, which is not kept with ghost batches.",
            hint="Train in one process without ghost_batches.",
        )


def run_ghosts(
    recipe: Recipe,
    run: Run,
    picked: Picked,
    now: Moment,
    rng: np.random.Generator,
    *,
    autocast: Callable[[], AbstractContextManager[object]],
    scaled: Callable[[Tensor], Tensor],
    interrupted: Callable[[], bool] = lambda: False,
) -> tuple[Stepped, bool]:
    """Run the passes of this process's ghost batches; the reducer keeps their gradients until `Sum.finish`.

    Parameters
    ----------
    recipe, run, now, autocast, scaled
        As of `hwsearch.training.step.run_step`.
    picked : Picked
        The examples of the whole batch.
    rng : numpy.random.Generator
        Source of the draws.
    interrupted : callable
        Tells whether this process is to stop after the step; asked at its end.

    Returns
    -------
    stepped : Stepped
        Losses, averaged over all ghost batches, and their feedback.
    stop : bool
        Whether any process is to stop.

    Raises
    ------
    TrainingError
        If a loss is not finite, here or in another process.
    RankError
        If another process has other draws, or is silent.
    """
    net, ranks = run.supernet, run.ranks
    draws: list[Draw] = []
    kept = {name: value.clone() for name, value in net.named_buffers()}
    moving = [name for name, value in kept.items() if value.is_floating_point()]
    rows: list[Tensor] = []
    failure: TrainingError | None = None
    try:
        draws = recipe.sampler.sample(now, rng)
        for ghost in run.own_ghosts:
            _restore(net, kept)  # statistics move from the same values in every part, and are averaged
            batch = prepare_batch(
                run, part_of(picked, ghost, run.ghosts), run.rng(now.epoch, now.within, GHOST_RNG, ghost)
            )
            done = run_passes(recipe, run, batch, now, draws, ghost=ghost, autocast=autocast, scaled=scaled)
            rows.append(_packed(run, now, done.seen))
            buffers = dict(net.named_buffers())
            recipe.reducer.keep(
                recipe.view.named_parameters(), [(buffers[name], kept[name]) for name in moving], first=len(rows) == 1
            )
        # counters have moved alike in all parts and stay; the rest follows with the gradients
        _restore(net, {name: kept[name] for name in moving})
    except TrainingError as error:
        failure = error
    stop = interrupted()
    if ranks.world > 1:
        stop = _compared(recipe, run, now, draws, picked, failure, stop)
    if failure is not None:
        raise failure
    own = torch.cat(rows)
    found = ranks.gather(own, now.step).view(run.ghosts, -1)
    seen = [one for ghost in range(run.ghosts) for one in _unpacked(run, now, draws, picked, ghost, found[ghost])]
    losses = {draw.name: sum(found[:, k].tolist()) / run.ghosts for k, draw in enumerate(draws)}
    return Stepped(losses, seen + probe(recipe, run, now), len(draws)), stop


def part_of(picked: Picked, ghost: int, ghosts: int) -> Picked:
    """Cut the examples of one ghost batch out of a step's.

    Parameters
    ----------
    picked : Picked
        All of them, a multiple of `ghosts`.
    ghost, ghosts : int
        Number of the part, from 0, and how many there are.

    Returns
    -------
    Picked
        The part.

    Examples
    --------
    >>> part_of(Picked(np.arange(6)), 1, 3).index
    array([2, 3])
    """
    n = len(picked.index) // ghosts
    part = slice(ghost * n, (ghost + 1) * n)
    return Picked(picked.index[part], None if picked.weight is None else picked.weight[part])


def step_digest(now: Moment, draws: Sequence[Draw], picked: Picked, trained: Sequence[str]) -> str:
    """Compute a digest of all that ranks must have alike in a step.

    Parameters
    ----------
    now : Moment
        The step.
    draws : sequence of Draw
        The subnets.
    picked : Picked
        The examples of the whole batch.
    trained : sequence of str
        Names of the parameters that have gradients.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    told = [(d.arch.id, d.name, d.role, d.scale, d.cell) for d in draws]
    h = hashlib.sha256(repr((now.step, now.lr, told, list(trained))).encode())
    h.update(np.ascontiguousarray(picked.index, dtype=np.int64).tobytes())
    if picked.weight is not None:
        h.update(np.ascontiguousarray(picked.weight, dtype=np.float64).tobytes())
    return h.hexdigest()


def _compared(
    recipe: Recipe,
    run: Run,
    now: Moment,
    draws: Sequence[Draw],
    picked: Picked,
    failure: TrainingError | None,
    interrupted: bool,
) -> bool:
    """Compare the ranks before anything is added; whether any of them was interrupted."""
    ranks = run.ranks
    digest = step_digest(now, draws, picked, recipe.reducer.trained)
    row = [now.step, number(digest), failure is not None, interrupted]
    steps, digests, failed, stop = ranks.gather(torch.tensor(row, dtype=torch.float64), now.step).unbind(1)
    if bool(failed.any()):
        texts = ranks.messages(str(failure or ""), now.step)
        if failure is None:
            first = int(failed.argmax())
            raise RankError(f"rank {first} of {ranks.world} stopped: {texts[first]}")
        return False
    ranks.check("steps done", steps, now.step)
    ranks.check("subnets, examples or weights in use", digests, now.step)
    return bool(stop.any())


def _restore(net: torch.nn.Module, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in net.named_buffers():
            if name in values:
                value.copy_(values[name])


def _packed(run: Run, now: Moment, seen: Sequence[Seen]) -> Tensor:
    """Put the feedback of one ghost batch into one row: losses, then norms of examples, then norms of gradients."""
    parts = [torch.tensor([one.loss for one in seen], dtype=torch.float64)]
    if run.bus.wants("per_example", now.step):
        parts += [one.per_example.double().cpu() for one in seen if one.per_example is not None]
    if run.bus.wants("gradient_norms", now.step):
        names = [name for name, _ in run.supernet.named_parameters()]
        for one in seen:
            norms = one.gradient_norms or {}
            parts.append(torch.tensor([norms.get(name, -1.0) for name in names], dtype=torch.float64))
    return torch.cat(parts)


def _unpacked(run: Run, now: Moment, draws: Sequence[Draw], picked: Picked, ghost: int, row: Tensor) -> list[Seen]:
    """Take a row apart again."""
    index = part_of(picked, ghost, run.ghosts).index
    n, b = len(draws), len(index)
    losses, rest = row[:n].tolist(), row[n:]
    examples: list[Tensor | None] = [None] * n
    norms: list[dict[str, float] | None] = [None] * n
    if run.bus.wants("per_example", now.step):
        examples, rest = list(rest[: n * b].view(n, b)), rest[n * b :]
    if run.bus.wants("gradient_norms", now.step):
        names = [name for name, _ in run.supernet.named_parameters()]
        norms = [
            {name: value for name, value in zip(names, values, strict=True) if value >= 0}
            for values in rest.view(n, len(names)).tolist()
        ]
    return [Seen(d.arch, losses[k], index, examples[k], norms[k]) for k, d in enumerate(draws)]
