"""Sums of curved kernels against the kernels one by one."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch.searchers.bayesian.space_kernel import SpaceKernel
from hwsearch.spaces import Choice, SearchSpace, When
from predictors.curved import CurvedSums
from predictors.kernel import Kernel
from predictors.schema import Schema


def space() -> SearchSpace:
    stems = [Choice("d", (1, 2, 3))]
    when = [None, When("d", (2, 3)), When("d", (3,))]
    return SearchSpace(
        "nested",
        stems
        + [Choice(f"k[{i}]", (3, 5, 7), when=when[i]) for i in range(3)]
        + [Choice(f"e[{i}]", (3, 4, 6), when=when[i]) for i in range(3)],
    )


@pytest.mark.parametrize("precision", [np.float64, np.float32])
@pytest.mark.parametrize("known", [None, lambda rows: np.log1p(np.abs(rows).sum(axis=1, keepdims=True))])
def test_sums_are_those_of_the_kernels(precision, known) -> None:
    """With genes that are off, so that rows differ in how many are active, and blocks that are no genes."""
    whole = space().enumerate_array()
    kernel = SpaceKernel(space(), whole, known)
    rng = np.random.default_rng(0)
    rows, seen = (whole[rng.permutation(len(whole))[:n]] for n in (60, 17))
    a, b = kernel.row_features(rows, precision), kernel.row_features(seen, precision)
    weights = rng.exponential(size=(2, len(kernel.curved))).astype(precision)
    curves = kernel.curves(a, b)
    one, none, two = CurvedSums(kernel, b, [weights[0], None, weights[1]])(a)
    assert none is None
    for found, w in ((one, weights[0]), (two, weights[1])):
        assert found is not None and found.dtype == precision
        assert found == pytest.approx(np.tensordot(w, curves, 1), rel=1e-4 if precision is np.float32 else 1e-9)


def test_a_kernel_of_facts_alone_has_no_table() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    schema = Schema.of_facts(3)
    kernel = Kernel(schema, schema.split(X))
    features = kernel.features(schema.split(X))
    (found,) = CurvedSums(kernel, features, [np.full(len(kernel.curved), 2.0)])(features)
    assert found == pytest.approx(2.0 * kernel.curves(features, features).sum(axis=0))


def test_parts_without_weight_are_not_needed() -> None:
    whole = space().enumerate_array()
    kernel = SpaceKernel(space(), whole)
    features = kernel.row_features(whole[:20])
    weights = np.zeros(len(kernel.curved))
    weights[0] = 1.0
    (found,) = CurvedSums(kernel, features, [weights])(features)
    assert found == pytest.approx(kernel.curves(features, features)[0])


def test_a_kernel_without_curved_parts_sums_to_nothing() -> None:
    whole = space().enumerate_array()
    kernel = SpaceKernel(space(), whole).with_curved([])
    features = kernel.row_features(whole[:5])
    (found,) = CurvedSums(kernel, features, [np.empty(0)])(features)
    assert found is not None and found.shape == (5, 5) and not found.any()
