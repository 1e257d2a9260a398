"""The parts of the kernel: covariances of unit variance, found from the names and values of genes."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch import spaces
from hwsearch.searchers.bayesian.space_kernel import SpaceKernel
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.choice import Choice, When


def space() -> SearchSpace:
    """Two stages of up to three layers, with a kernel size and an expansion each."""
    choices = []
    for stage in range(2):
        choices.append(Choice(f"d[{stage}]", (1, 2, 3)))
    for layer in range(6):
        deep = {0: None, 1: (2, 3), 2: (3,)}[layer % 3]
        when = When(f"d[{layer // 3}]", deep) if deep else None
        choices += [Choice(f"ks[{layer}]", (3, 5, 7), when=when), Choice(f"e[{layer}]", (3, 4, 6), when=when)]
    return SearchSpace("layers", choices)


@pytest.fixture(scope="module")
def kernel() -> SpaceKernel:
    sample = space().sample_array(300, np.random.default_rng(0))
    return SpaceKernel(
        space(), sample, lambda rows: np.stack([(rows + 1.0).sum(axis=1), (rows >= 0).sum(axis=1)], axis=1)
    )


def test_each_part_is_a_covariance_of_unit_variance(kernel: SpaceKernel) -> None:
    sample = kernel.row_features(space().sample_array(300, np.random.default_rng(0)))
    for name, matrix in zip(kernel.names, kernel.stack(sample, sample), strict=True):
        assert np.linalg.eigvalsh(matrix).min() > -1e-8, name
        assert np.trace(matrix) / 300 - matrix.mean() == pytest.approx(1.0), name


def test_kinds_and_slots_are_found(kernel: SpaceKernel) -> None:
    assert {"values", "switched on", "trends", "trends alike", "counts", "values alike", "slots", "fact"} <= set(
        kernel.names
    )
    plain = SpaceKernel(
        spaces.load("nas-bench-201"), spaces.load("nas-bench-201").sample_array(100, np.random.default_rng(0))
    )
    assert "counts" in plain.names and "trends" not in plain.names and "slots" not in plain.names


def test_effects_of_near_places_are_alike_and_those_of_far_places_less() -> None:
    """Of a chain of eight equal genes: two architectures that each change one gene covary by exp(-distance / 2)."""
    chain = SearchSpace("chain", [Choice(f"w[{i}]", (1, 2)) for i in range(8)])
    kernel = SpaceKernel(chain, chain.enumerate_array())
    part = next(part for part in kernel.linear if part.name == "values alike")
    covariance = part.map @ part.map.T
    first = covariance[1, [1, 3, 5, 15]]  # the second value of genes 0, 1, 2 and 7
    assert first == pytest.approx(np.exp(-np.array([0, 1, 2, 7]) / 2.0))
    assert covariance[1, 2] == pytest.approx(0.0, abs=1e-12)  # another value


def test_facts_are_features_of_their_own_and_constant_ones_say_nothing() -> None:
    rng = np.random.default_rng(0)
    sample = space().sample_array(100, rng)
    twice = SpaceKernel(space(), sample, lambda rows: np.ones((len(rows), 2)), lambda rows: rows.sum(axis=1))
    assert "fact" not in twice.names and {"source", "source curved"} <= set(twice.names)
    # nor do those that vary by no more than rounding does, as a share of their size
    rounded = lambda rows: np.stack([1e9 + 1e-3 * rows[:, 0], 1e-6 * rows[:, 1]], axis=1)  # noqa: E731
    described = SpaceKernel(space(), sample, rounded).row_features(sample)["fact"]
    assert (described[:, 0] == 0.0).all() and described[:, 1].std() == pytest.approx(1.0 / np.sqrt(2.0))
    features = twice.row_features(sample)
    assert features["source"].mean() == pytest.approx(0.0, abs=1e-12)
    assert features["source"].std() == pytest.approx(1.0)


def test_curves_of_a_row_with_itself_are_the_diagonal(kernel: SpaceKernel) -> None:
    features = kernel.row_features(space().sample_array(20, np.random.default_rng(1)))
    full = kernel.curves(features, features)
    assert kernel.own_curves(features) == pytest.approx(np.array([np.diag(one) for one in full]))
    assert kernel.average(features) == pytest.approx(kernel.stack(features, features).mean(axis=0))


# ---------------------------------------------------------------------- by the definitions, pair of rows by pair of rows
def mixed() -> SearchSpace:
    """Two kinds at three places, of which one gene can be off; one unordered gene and one that is like none."""
    choices = [Choice(f"k[{i}]", (3, 5, 7)) for i in range(3)]
    choices += [Choice(f"e[{i}]", (1, 2), when=When("k[0]", (5, 7)) if i == 2 else None) for i in range(3)]
    return SearchSpace("mixed", [*choices, Choice("act", ("relu", "swish"), ordinal=False), Choice("width", (1, 2, 4))])


KINDS, PLACES = ["k", "k", "k", "e", "e", "e", "act", "width"], [0, 1, 2, 0, 1, 2, 0, 0]
SIZES = [3, 3, 3, 2, 2, 2, 2, 3]


def facts(rows: np.ndarray) -> np.ndarray:
    """Two columns that vary, of different size, and one that does not."""
    return np.stack([1000.0 * rows[:, 0] + rows[:, 7], 0.1 * rows[:, 1], np.full(len(rows), 5.0)], axis=1)


def definition(name: str, r: np.ndarray, s: np.ndarray) -> float:
    """The kernel of two rows, not centred and not scaled: what the effects that both rows have in common covary by."""
    genes = range(8)
    on = [g for g in genes if r[g] >= 0 and s[g] >= 0]
    pairs = [(g, h) for g in genes for h in genes if KINDS[g] == KINDS[h] and r[g] >= 0 and s[h] >= 0]
    near = lambda g, h: np.exp(-abs(PLACES[g] - PLACES[h]) / 2.0)  # noqa: E731
    size = lambda x, g: (x[g] + 1) / SIZES[g] if KINDS[g] != "act" else 0.0  # noqa: E731
    slots = [(p, q) for p in range(3) for q in range(3) if min(r[p], r[3 + p], s[q], s[3 + q]) >= 0]
    same = [(p, q) for p, q in slots if r[p] == s[q] and r[3 + p] == s[3 + q]]
    equal = sum(r[g] == s[g] for g in on)
    apart = ((r >= 0).sum() + (s >= 0).sum() - 2 * equal) / 8.0

    def counts(x: np.ndarray) -> np.ndarray:
        kinds = dict.fromkeys(KINDS)
        return np.array([sum(x[g] == v for g in genes if KINDS[g] == kind) for kind in kinds for v in range(3)]) / 8.0

    return float(
        {
            "values": lambda: equal,
            "switched on": lambda: len(on),
            "trends": lambda: sum(size(r, g) * size(s, g) for g in on),
            "counts": lambda: sum(r[g] == s[h] for g, h in pairs),
            "values alike": lambda: sum(near(g, h) for g, h in pairs if r[g] == s[h]),
            "trends alike": lambda: sum(near(g, h) * size(r, g) * size(s, h) for g, h in pairs),
            "slots": lambda: sum(p == q for p, q in same),
            "slots alike": lambda: sum(np.exp(-abs(p - q) / 2.0) for p, q in same),
            "slot counts": lambda: len(same),
            "genes near": lambda: np.exp(-apart / 0.5),
            "genes far": lambda: np.exp(-apart / 2.0),
            "genes rough": lambda: np.exp(-np.sqrt(apart)),
            "pairs": lambda: (equal / 8.0) ** 2,
            "counts curved": lambda: np.exp(-((counts(r) - counts(s)) ** 2).sum() / 0.1),
        }[name]()
    )


def test_each_kernel_is_its_definition() -> None:
    """Linear parts centred by the sample, all scaled to unit variance over it; between other rows than the sample's."""
    rng = np.random.default_rng(0)
    sample, a, b = (mixed().sample_array(n, rng) for n in (14, 6, 4))
    kernel = SpaceKernel(mixed(), sample)
    found = dict(zip(kernel.names, kernel.stack(kernel.row_features(a), kernel.row_features(b)), strict=True))
    for name, matrix in found.items():
        pairs = {"aa": (a, b), "as": (a, sample), "sb": (sample, b), "ss": (sample, sample)}
        full = {k: np.array([[definition(name, r, s) for s in y] for r in x]) for k, (x, y) in pairs.items()}
        expected = full["aa"]
        if name in [part.name for part in kernel.linear]:
            expected = expected - full["as"].mean(axis=1)[:, None] - full["sb"].mean(axis=0) + full["ss"].mean()
        assert matrix == pytest.approx(expected / (np.trace(full["ss"]) / 14 - full["ss"].mean()), abs=1e-7), name
    assert list(found) == [
        *("values", "switched on", "trends", "counts", "values alike", "trends alike"),
        *("slots", "slots alike", "slot counts"),
        *("genes near", "genes far", "genes rough", "pairs", "counts curved"),
    ]


def test_facts_are_standardised_by_the_sample() -> None:
    """Each column that varies counts alike, as a share of all columns; their distances are those of the standardised ones."""
    rng = np.random.default_rng(1)
    sample, a, b = (mixed().sample_array(n, rng) for n in (25, 6, 4))
    kernel = SpaceKernel(mixed(), sample, facts)
    found = dict(zip(kernel.names, kernel.stack(kernel.row_features(a), kernel.row_features(b)), strict=True))
    described = facts(sample)[:, :2]
    x, y, z = ((facts(rows)[:, :2] - described.mean(axis=0)) / described.std(axis=0) for rows in (a, b, sample))
    assert found["fact"] == pytest.approx(x @ y.T / 2)  # two columns of unit variance
    square = lambda u, v: ((u[:, None] - v[None]) ** 2).sum(axis=2) / 3  # noqa: E731
    own = np.exp(-square(z, z) / 2.0)
    assert found["fact curved"] == pytest.approx(np.exp(-square(x, y) / 2.0) / (1.0 - own.mean()))
    assert kernel.row_features(a)["fact"][:, 2] == pytest.approx(np.zeros(6))


def test_features_of_a_precision_are_of_it_in_every_block() -> None:
    sample = mixed().sample_array(25, np.random.default_rng(1))
    kernel = SpaceKernel(mixed(), sample, facts, lambda rows: rows[:, 1])
    rough, exact = kernel.row_features(sample, np.float32), kernel.row_features(sample)
    assert set(exact) == {"values", "slots", "fact", "source", "genes", "counts"}
    for name, block in rough.items():
        assert block.dtype == np.float32 and exact[name].dtype == np.float64
        assert block == pytest.approx(exact[name], abs=1e-6)


CURVED = ["genes near", "genes far", "genes rough", "pairs"]


@pytest.mark.parametrize(
    ("choices", "names"),
    [
        # three genes like no other
        ([Choice("a", (1, 2)), Choice("b", (1, 2, 3)), Choice("c[0]", (1, 2))], ["values", "trends", *CURVED]),
        ([Choice("a", (1, 2), ordinal=False), Choice("b", ("x", "y"), ordinal=False)], ["values", *CURVED]),
        # one can be off
        (
            [Choice("a", (1, 2)), Choice("b", (1, 2, 3), when=When("a", (2,)))],
            ["values", "switched on", "trends", *CURVED],
        ),
        # alike by their values, at no places
        ([Choice("a", (1, 2)), Choice("b", (1, 2))], ["values", "trends", "counts", *CURVED, "counts curved"]),
        # at places, unordered and ordered
        (
            [Choice(f"w[{i}]", ("x", "y"), ordinal=False) for i in range(3)],
            ["values", "counts", "values alike", *CURVED, "counts curved"],
        ),
        (
            [Choice(f"w[{i}]", (1, 2)) for i in range(3)],
            ["values", "trends", "counts", "values alike", "trends alike", *CURVED, "counts curved"],
        ),
        # two kinds at one place only, and at places that are not the same
        ([Choice("w[0]", (1, 2)), Choice("v[0]", (1, 2, 3))], ["values", "trends", *CURVED]),
        (
            [Choice(f"w[{i}]", (1, 2)) for i in range(2)] + [Choice(f"v[{i}]", (1, 2)) for i in range(3)],
            ["values", "trends", "counts", "values alike", "trends alike", *CURVED, "counts curved"],
        ),
    ],
)
def test_which_parts_a_space_has(choices: list[Choice], names: list[str]) -> None:
    few = SearchSpace("few", choices)
    assert SpaceKernel(few, few.enumerate_array()).names == names
