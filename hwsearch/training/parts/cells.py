"""Subnets of cells: of all bands with equal or given probability, or a sandwich within one."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, PrivateAttr
from typing_extensions import override

from hwsearch._typing import FloatArray
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.partition import Cell, bands, pool
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import SubnetSampler

#: purpose of the generator that draws the pool of a space
POOL_RNG = 7


class BandSampler(SubnetSampler):
    """Draw a band of MACs, then a subnet of it.

    Attributes
    ----------
    bands : int
        How many bands.
    by : {"log-macs", "quantile"}
        How they are cut (`hwsearch.training.parts.partition.bands`).
    draws : int
        Subnets a step.
    """

    bands: int = Field(5, ge=2)
    by: Literal["log-macs", "quantile"] = "log-macs"
    draws: int = Field(4, ge=1)
    _cells: list[Cell] = PrivateAttr(default_factory=list)

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        self._cells = bands(pool(run.supernet, run.rng(POOL_RNG)), self.bands, self.by)

    @property
    def probabilities(self) -> FloatArray:
        """Probability of each band, shape ``(bands,)``; equal by default."""
        return np.full(len(self._cells), 1 / len(self._cells))

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        chosen = rng.choice(len(self._cells), size=self.draws, p=self.probabilities)
        return [Draw(self._cells[k].sample(1, rng)[0], f"band-{k}", cell=int(k)) for k in chosen]


class CellSandwichSampler(SubnetSampler):
    """The largest, the smallest and random subnets of one cell; the largest teaches.

    A strategy gives it the cell by `use`.

    Attributes
    ----------
    name : str
        Name of the cell.
    random : int
        Random subnets a step.
    teach : bool
        Whether the largest of the cell is the teacher.
    """

    name: str
    random: int = Field(2, ge=0)
    teach: bool = True
    _cell: Cell | None = PrivateAttr(None)

    def use(self, cell: Cell) -> CellSandwichSampler:
        """Take the cell.

        Parameters
        ----------
        cell : Cell
            The cell.

        Returns
        -------
        CellSandwichSampler
            This sampler.
        """
        self._cell = cell
        return self

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        cell = self._cell
        assert cell is not None, "a strategy gives the cell"
        first: Literal["teacher", "plain"] = "teacher" if self.teach else "plain"
        other: Literal["student", "plain"] = "student" if self.teach else "plain"
        drawn = [Draw(arch, "random", other) for arch in cell.sample(self.random, rng)]
        return [Draw(cell.largest(), "largest", first), Draw(cell.smallest(), "smallest", other), *drawn]
