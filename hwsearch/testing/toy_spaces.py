"""Small search spaces and made-up measurements for tests of search tactics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.spaces import Architecture, Choice, SearchSpace, TableSpace, When

FOUR = ("max accuracy", "min latency_ms", "min params", "min macs")


ONE, TWO, THREE = FOUR[:1], FOUR[:2], FOUR[:3]


def small_space() -> SearchSpace:
    """Make a conditional space of 84 architectures, small enough to be exhausted.

    Returns
    -------
    SearchSpace

    Examples
    --------
    >>> small_space().cardinality
    84
    """
    return SearchSpace(
        "conformance-small",
        [
            Choice("d", (1, 2)),
            Choice("k0", (3, 5, 7)),
            Choice("k1", (3, 5, 7), when=When("d", (2,))),
            Choice("act", ("relu", "swish"), ordinal=False),
            Choice("e1", (2, 4), when=When("d", (2,))),
            Choice("r", (16, 20)),
        ],
    )


def large_space() -> SearchSpace:
    """Make a conditional space in the manner of OFA MobileNetV3: three stages of two to three layers.

    Returns
    -------
    SearchSpace
        Too large to be exhausted.
    """
    choices = []
    for stage in range(3):
        choices.append(Choice(f"d{stage}", (2, 3)))
        for layer in range(3):
            when = When(f"d{stage}", (3,)) if layer == 2 else None
            choices.append(Choice(f"k{stage}{layer}", (3, 5, 7), when=when))
            choices.append(Choice(f"e{stage}{layer}", (3, 4, 6), when=when))
    return SearchSpace("conformance-large", choices)


def table_space(n: int = 40, space: SearchSpace | None = None) -> TableSpace:
    """Make a table of uniform architectures.

    Parameters
    ----------
    n : int
        How many.
    space : SearchSpace, optional
        Of which; default: `large_space`.

    Returns
    -------
    TableSpace
    """
    space = space or large_space()
    rows = space.sample_array(n, np.random.default_rng(n))
    return TableSpace(f"conformance-table-{n}", space.choices, rows)


def flat_space(genes: int = 8, values: int = 5) -> SearchSpace:
    """Make a space of ordinal genes without conditions.

    Parameters
    ----------
    genes : int
        How many genes.
    values : int
        How many values each of them has.

    Returns
    -------
    SearchSpace
        Of ``values ** genes`` architectures.
    """
    return SearchSpace(f"conformance-flat-{genes}", [Choice(f"x{i}", tuple(range(values))) for i in range(genes)])


def values_of(space: SearchSpace, archs: Sequence[Architecture], objectives: int) -> FloatArray:
    """Compute synthetic objectives: smooth functions of the genes' places with a trade-off.

    Parameters
    ----------
    space : SearchSpace
        Of the architectures.
    archs : sequence of Architecture
        The n architectures.
    objectives : int
        How many of the columns, at most four.

    Returns
    -------
    ndarray (n, objectives)
        Accuracy in percent, latency in ms, parameters, MACs.
    """
    size = space.encode(archs, "ordinal")
    weight = np.cos(np.arange(size.shape[1])) ** 2 + 0.2
    accuracy = 60 + 30 * (1 - np.exp(-3 * (size * weight).sum(axis=1) / weight.sum()))
    latency = 1 + (size**2 * weight[::-1]).sum(axis=1)
    params = 1e6 * (1 + size.sum(axis=1))
    macs = 1e6 * (1 + (size * weight).sum(axis=1) ** 1.5)
    return np.stack([accuracy, latency, params, macs], axis=1)[:, :objectives]


def dominated(a: FloatArray, b: FloatArray, sign: FloatArray) -> bool:
    """Tell whether b dominates a, by the definition.

    Parameters
    ----------
    a, b : ndarray (m,)
        Values in natural units.
    sign : ndarray (m,)
        1 where smaller is better, -1 where larger is.

    Returns
    -------
    bool
    """
    return bool((b * sign <= a * sign).all() and (b * sign < a * sign).any())
