"""Bands and groups are partitions of a space."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwsearch.errors import TrainingError
from hwsearch.training.parts.partition import bands, gene_groups, pool
from hwsearch.training.strategies.uniform import Uniform


def test_bands_cover_the_space_and_are_ordered(start) -> None:
    case = start(Uniform())
    whole = pool(case.net, np.random.default_rng(0))
    assert whole.smallest() == case.run.space.smallest() and whole.largest() == case.run.space.largest()
    for by in ("log-macs", "quantile"):
        found = bands(whole, 3, by)  # type: ignore[arg-type]
        assert sum(len(c.rows) for c in found) == len(whole.rows)
        assert all(a.macs.max() <= b.macs.min() for a, b in itertools.pairwise(found))
    sizes = [len(c.rows) for c in bands(whole, 3, "quantile")]
    assert max(sizes) - min(sizes) < 0.15 * len(whole.rows)


def test_groups_of_a_gene_are_a_partition(start) -> None:
    whole = pool(start(Uniform()).net, np.random.default_rng(0))
    low, high = gene_groups(whole, "d[0]", ((1,), (2,)))
    assert {a["d[0]"] for a in low.space.from_array(low.rows)} == {1}
    assert {a["d[0]"] for a in high.space.from_array(high.rows)} == {2}
    assert len(low.rows) + len(high.rows) == len(whole.rows)
    with pytest.raises(TrainingError, match="are not a partition"):
        gene_groups(whole, "d[0]", ((1,), (1, 2)))
    with pytest.raises(TrainingError, match="gene 'ks' cannot be split"):
        gene_groups(whole, "ks", ((1,),))
