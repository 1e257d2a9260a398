"""Hypothesis strategies of conditional spaces, and plain references, shared by the tests of spaces."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

from hwsearch.spaces import Architecture, Choice, SearchSpace, When

Genes = dict[str, int | str]


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """One to five genes of one to three values; a gene may hang on any earlier one, so conditions nest."""
    choices: list[Choice] = []
    for i in range(draw(st.integers(1, 5))):
        size = draw(st.integers(1, 3))
        words = draw(st.booleans())
        values = (
            ("conv", "pool", "skip")[:size]
            if words
            else tuple(sorted(draw(st.sets(st.integers(0, 9), min_size=size, max_size=size))))
        )
        when = None
        if choices and draw(st.booleans()):
            parent = draw(st.sampled_from(choices))
            on = draw(st.sets(st.sampled_from(parent.values), min_size=1))
            when = When(parent.name, tuple(v for v in parent.values if v in on))
        choices.append(Choice(f"g[{i}]", values, when, ordinal=not words))
    return SearchSpace("toy", choices)


@st.composite
def space_and_rows(draw: st.DrawFn) -> tuple[SearchSpace, np.ndarray]:
    """A space and some raw rows (n, genes): every gene has an index, whether active or not."""
    space = draw(spaces())
    row = st.tuples(*(st.integers(0, len(c.values) - 1) for c in space.choices))
    return space, np.array(draw(st.lists(row, min_size=2, max_size=6)), dtype=np.int64)


def active_genes(space: SearchSpace, genes: Genes) -> Genes:
    """What a person would say matters: a gene whose condition, and all conditions above it, hold."""
    kept: Genes = {}
    for choice in space.choices:
        if choice.when is None or kept.get(choice.when.name) in choice.when.values:
            kept[choice.name] = genes[choice.name]
    return kept


def brute_force(space: SearchSpace) -> list[Genes]:
    """Every distinct network of the space, in lexicographic order of the value indices."""
    raw = itertools.product(*(c.values for c in space.choices))
    kept = (active_genes(space, dict(zip(space.names, values, strict=True))) for values in raw)
    return list({tuple(k.items()): k for k in kept}.values())


def differing(a: Architecture, b: Architecture) -> set[str]:
    return {n for n in a if n in b and a[n] != b[n]}
