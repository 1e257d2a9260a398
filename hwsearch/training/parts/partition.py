"""Parts of a search space: bands of a cost, and groups of values of one gene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import TrainingError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.spaces.choice import Value
from hwsearch.spaces.rows import unique_rows
from hwsearch.supernets.base import Supernet

#: architectures that stand for a space; all of them where there are no more
POOL = 4096


@dataclass(frozen=True)
class Cell:
    """A part of a search space, by the architectures that stand for it.

    Attributes
    ----------
    name : str
        What it is called.
    space : SearchSpace
        The whole space.
    rows : IntArray
        Distinct canonical rows ``(n, genes)`` in ascending order of MACs.
    macs : FloatArray
        Their MACs, shape ``(n,)``.
    """

    name: str
    space: SearchSpace
    rows: IntArray
    macs: FloatArray

    def smallest(self) -> Architecture:
        """Get the architecture of the fewest MACs.

        Returns
        -------
        Architecture
            The smallest of the cell.
        """
        return self.space.from_array(self.rows[:1])[0]

    def largest(self) -> Architecture:
        """Get the architecture of the most MACs.

        Returns
        -------
        Architecture
            The largest of the cell.
        """
        return self.space.from_array(self.rows[-1:])[0]

    def sample(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Draw architectures of the cell, each with equal probability.

        Parameters
        ----------
        n : int
            How many; they may repeat.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        list of Architecture
            The architectures.
        """
        return self.space.from_array(self.rows[rng.integers(len(self.rows), size=n)])


def pool(supernet: Supernet, rng: np.random.Generator) -> Cell:
    """Draw architectures that stand for a space: all of them, or some that are spread over its costs.

    Uniform genes crowd in the middle of the costs; here half of the pool is uniform, and half is tilted towards the ends.

    Parameters
    ----------
    supernet : Supernet
        Has the space, and counts MACs.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Cell
        The whole space as one cell.
    """
    space = supernet.space
    if space.cardinality <= POOL:
        rows = space.enumerate_array()
    else:
        top = space.sizes - 1
        tilt = rng.beta(0.6, 0.6, size=(POOL // 2, 1))
        tilted = rng.binomial(np.broadcast_to(top, (POOL // 2, len(top))), tilt)
        even = rng.integers(0, space.sizes, size=(POOL // 2, len(top)))
        rows = unique_rows(space.canonical(np.concatenate([np.stack([0 * top, top]), tilted, even])))
    macs = np.asarray(supernet.macs_array(rows), dtype=np.float64)
    order = np.argsort(macs, kind="stable")
    return Cell("all", space, rows[order], macs[order])


def bands(whole: Cell, n: int, by: Literal["log-macs", "quantile"] = "log-macs") -> list[Cell]:
    """Cut a space into bands of MACs.

    Parameters
    ----------
    whole : Cell
        The space.
    n : int
        How many bands.
    by : {"log-macs", "quantile"}
        Bands that are equally wide in the logarithm of MACs, or that hold equally many architectures of the pool.

    Returns
    -------
    list of Cell
        From the smallest MACs to the largest; bands without architectures are left out.

    Raises
    ------
    TrainingError
        If fewer than two bands hold any.
    """
    if by == "quantile":
        edges = np.quantile(whole.macs, np.linspace(0, 1, n + 1)[1:-1])
    else:
        edges = np.geomspace(whole.macs[0], whole.macs[-1], n + 1)[1:-1]
    member = np.searchsorted(edges, whole.macs, side="right")
    found = [
        Cell(f"band-{k}", whole.space, whole.rows[member == k], whole.macs[member == k])
        for k in range(n)
        if (member == k).any()
    ]
    if len(found) < 2:
        raise TrainingError(
            f"space {whole.space.name!r} has no two bands of MACs: its subnets run from {whole.macs[0]:.3g} to "
            f"{whole.macs[-1]:.3g}.",
            hint="Use another strategy, such as 'uniform'.",
        )
    return found


def gene_groups(whole: Cell, gene: str, groups: Sequence[Sequence[Value]]) -> list[Cell]:
    """Cut a space by groups of values of one gene.

    Parameters
    ----------
    whole : Cell
        The space.
    gene : str
        A gene that is always active.
    groups : sequence of sequences of values
        Every value of the gene once.

    Returns
    -------
    list of Cell
        One cell a group.

    Raises
    ------
    TrainingError
        If there is no such gene, it is not always active, or the groups are not a partition of its values.
    """
    space = whole.space
    choice = next((c for c in space.choices if c.name == gene), None)
    if choice is None or choice.when is not None:
        always = [c.name for c in space.choices if c.when is None and len(c.values) > 1]
        raise TrainingError(f"gene {gene!r} cannot be split in space {space.name!r}.", hint=f"Use one of {always}.")
    if sorted(map(str, (v for g in groups for v in g))) != sorted(map(str, choice.values)):
        raise TrainingError(
            f"the groups {[list(g) for g in groups]} are not a partition of {choice.values} of {gene!r}."
        )
    column = whole.rows[:, space.names.index(gene)]
    found = []
    for group in groups:
        member = np.isin(column, [choice.values.index(v) for v in group])
        name = f"{gene}={','.join(map(str, group))}"
        found.append(Cell(name, space, whole.rows[member], whole.macs[member]))
    return found
