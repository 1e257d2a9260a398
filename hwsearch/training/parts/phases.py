"""Phases of a run, and the genes that may vary in each."""

from __future__ import annotations

import re

import numpy as np
from pydantic import Field, PrivateAttr
from typing_extensions import override

from hwsearch._typing import BoolArray
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import SubnetSampler
from hwsearch.training.parts.schedule import RatedBy

#: kinds of genes by their names, in the order in which progressive shrinking opens them; any other gene is a width
KINDS = {
    "resolution": re.compile(r"^(r|resolution)$"),
    "kernel": re.compile(r"(^|\.)(ks|kernel)(\[|$)"),
    "depth": re.compile(r"(^|\.)(d|depth|layers)(\[|$)"),
}
#: phase → kinds that vary in it
OPEN = {
    "largest": (),
    "kernel": ("resolution", "kernel"),
    "depth": ("resolution", "kernel", "depth"),
    "width": ("resolution", "kernel", "depth", "width"),
}


def kind_of(gene: str) -> str:
    """Tell what a gene changes, by its name.

    Parameters
    ----------
    gene : str
        Name of the gene.

    Returns
    -------
    str
        ``resolution``, ``kernel``, ``depth`` or ``width``.

    Examples
    --------
    >>> [kind_of(g) for g in ("r", "ks[3]", "kernel[stem]", "d[0]", "decoder.layers", "e[2]", "encoder.embed")]
    ['resolution', 'kernel', 'kernel', 'depth', 'depth', 'width', 'width']
    """
    return next((kind for kind, pattern in KINDS.items() if pattern.search(gene)), "width")


class Phases(RatedBy):
    """Name phases by the share of the run at which they begin.

    Attributes
    ----------
    base : Schedule
        The learning rate.
    starts : tuple of (float, str)
        Share and name, in ascending order from 0.
    """

    starts: tuple[tuple[float, str], ...]

    @override
    def phase(self, step: int) -> str:
        begun = [name for share, name in self.starts if step >= round(share * self._run.steps)]
        return begun[-1] if begun else self.starts[0][1]


class OpenedSampler(SubnetSampler):
    """Random subnets in which only the genes of the phase vary; the others keep their largest value.

    Attributes
    ----------
    draws : int
        Subnets a step; one where nothing varies yet.
    """

    draws: int = Field(4, ge=1)
    _closed: dict[str, BoolArray] = PrivateAttr()

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        kinds = [kind_of(c.name) if len(c.values) > 1 else "" for c in run.space.choices]
        self._closed = {}
        for phase, opened in OPEN.items():
            self._closed[phase] = np.array([kind not in opened for kind in kinds])

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        space, closed = self._run.space, self._closed[now.phase]
        if closed.all():
            return [Draw(space.largest(), "largest")]
        rows = rng.integers(0, space.sizes, size=(self.draws, len(space.choices)))
        rows[:, closed] = (space.sizes - 1)[closed]
        return [Draw(arch) for arch in space.from_array(rows)]
