"""Mutation, crossover, neighbours and distance: properties of random spaces, and cases by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.spaces import Choice, SearchSpace, TableSpace, When
from tests.spaces.strategies import differing, space_and_rows, spaces


@given(spaces())
@settings(max_examples=50, deadline=None)
def test_neighbours_differ_in_one_gene_and_every_single_change_is_there(space: SearchSpace) -> None:
    for arch in itertools.islice(space.enumerate(), 6):
        near = space.neighbours(arch)
        assert len(set(near)) == len(near) and arch not in near
        changes = set()
        for other in near:
            assert other in space
            assert space.distance(arch, other) == space.distance(other, arch) == 1
            (gene,) = differing(arch, other)
            changes.add((gene, other[gene]))
        values = {c.name: c.values for c in space.choices}
        assert changes == {(n, v) for n in arch for v in values[n] if v != arch[n]}


@settings(deadline=None)
@given(spaces())
def test_distance_is_zero_only_between_equals(space: SearchSpace) -> None:
    archs = list(itertools.islice(space.enumerate(), 12))
    for a, b in itertools.product(archs, archs):
        assert space.distance(a, b) == len(differing(a, b))
        assert (space.distance(a, b) == 0) == (a == b)


@settings(deadline=None)
@given(space_and_rows(), st.integers(0, 2**32), st.sampled_from([None, 0.0, 0.5, 1.0]))
def test_mutation_changes_something_and_stays_inside(
    case: tuple[SearchSpace, np.ndarray], seed: int, rate: float | None
) -> None:
    space, rows = case
    for arch in space.from_array(rows):
        child = space.mutate(arch, np.random.default_rng(seed), rate)
        assert child in space
        movable = any(len(c.values) > 1 for c in space.choices if c.name in arch)
        assert bool(differing(arch, child)) == movable
        assert child == space.mutate(arch, np.random.default_rng(seed), rate)


@settings(deadline=None)
@given(space_and_rows(), st.integers(0, 2**32))
def test_children_are_inside_and_take_their_genes_from_their_parents(
    case: tuple[SearchSpace, np.ndarray], seed: int
) -> None:
    space, rows = case
    rng = np.random.default_rng(seed)
    for a, b in itertools.combinations(space.from_array(rows), 2):
        pair = space.to_array([a, b])
        children = space.crossover_array(pair[:1].repeat(16, axis=0), pair[1:].repeat(16, axis=0), rng)
        for child in {*space.from_array(children), space.crossover(a, b, rng)}:
            assert child in space
            for name, value in child.items():
                parents = {p[name] for p in (a, b) if name in p}
                assert value in parents or not parents
        assert space.crossover(a, a, rng) == a


def test_genes_switched_on_by_a_neighbour_are_first_middle_and_last_together() -> None:
    on = When("deep", (1,))
    space = SearchSpace(
        "toy", [Choice("deep", (0, 1)), Choice("a", (1, 2, 3, 4, 5), on), Choice("b", (6, 7, 8, 9), on)]
    )
    found = space.neighbours_array(np.array([0, -1, -1]))
    assert found.tolist() == [[1, 0, 0], [1, 2, 1], [1, 4, 3]]


def test_neighbours_keep_what_is_active_and_fill_only_what_is_not() -> None:
    space = SearchSpace(
        "toy", [Choice("deep", (0, 1)), Choice("a", (1, 2, 3)), Choice("b", (4, 5, 6), When("deep", (1,)))]
    )
    found = space.neighbours_array(np.array([0, 2, -1]))
    assert found.tolist() == [[1, 2, 0], [1, 2, 1], [1, 2, 2], [0, 0, -1], [0, 1, -1]]


class Drawn:
    """A generator whose uniform numbers are given."""

    def __init__(self, *draws: list[list[float]]) -> None:
        self.draws = [np.array(draw, dtype=np.float32) for draw in draws]

    def random(self, shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
        assert self.draws[0].shape == tuple(shape)
        return self.draws.pop(0)


def test_the_default_rate_is_one_over_the_number_of_genes() -> None:
    """Four genes: those whose number is below 1/4 move, by one and a drawn step; the least one where none is below."""
    space = SearchSpace("toy", [Choice(f"g{i}", (0, 1, 2)) for i in range(4)])
    rows = np.zeros((3, 4), dtype=np.int64)
    chance = [[0.24, 0.26, 0.49, 0.01], [0.26, 0.30, 0.49, 0.9], [0.0, 0.1, 0.2, 0.249]]
    steps = [
        [0.0, 0.0, 0.0, 0.9],
        [0.9, 0.0, 0.0, 0.0],
        [0.0, 0.9, 0.0, 0.9],
    ]  # of two steps: 0 the first, 0.9 the second
    found = space.mutate_array(rows, Drawn(chance, steps))
    assert found.tolist() == [[1, 0, 0, 2], [2, 0, 0, 0], [1, 2, 1, 2]]


def test_mutations_change_as_many_genes_as_a_binomial_draw_would() -> None:
    genes = 20
    space = SearchSpace("toy", [Choice(f"g{i}", (0, 1, 2)) for i in range(genes)])
    rows = space.sample_array(20_000, np.random.default_rng(0))
    changed = (space.mutate_array(rows, np.random.default_rng(1)) != rows).sum(axis=1)
    # one gene a row on average, and one more where none was drawn
    assert abs(changed.mean() - (1 + (1 - 1 / genes) ** genes)) < 0.03
    some = (space.mutate_array(rows, np.random.default_rng(1), 0.5) != rows).mean()
    assert abs(some - 0.5) < 0.01


def test_values_after_a_mutation_are_uniform_over_the_others() -> None:
    space = SearchSpace("toy", [Choice("a", (0, 1, 2, 3))])
    rows = np.full((9_000, 1), 2)
    counts = np.bincount(space.mutate_array(rows, np.random.default_rng(0))[:, 0], minlength=4)
    assert counts[2] == 0 and (np.abs(counts[[0, 1, 3]] - 3_000) < 200).all()


def test_crossover_by_hand() -> None:
    """Below one half a gene comes from the first parent; one inactive there comes from the other; new ones are drawn."""
    space = SearchSpace(
        "toy",
        [Choice("x", (0, 1)), Choice("y", (0, 1)), Choice("z", (0, 1, 2), When("x", (1,))), Choice("w", (0, 1, 2))],
    )
    a, b = np.array([[0, 0, -1, 0]]), np.array([[1, 1, 2, 2]])
    found = space.crossover_array(a, b, Drawn([[0.7, 0.2, 0.2, 0.6]], [[0.0] * 4]))
    assert found.tolist() == [[1, 0, 2, 2]]
    hidden = SearchSpace("toy", [Choice("x", (0, 1, 2)), Choice("y", (0, 1)), Choice("z", (0, 1, 2), When("x", (2,)))])
    assert hidden.crossover_array(
        np.array([[0, 0, -1]]), np.array([[1, 1, -1]]), Drawn([[0.2, 0.7, 0.2]], [[0.9] * 3])
    ).tolist() == [[0, 1, -1]]


@pytest.mark.parametrize("crossover", [0.0, 0.6, 1.0])
def test_breeding_is_crossover_then_mutation(crossover: float) -> None:
    """The same children from the same randomness, also of genes with more values than a byte holds twice."""
    many = Choice("many", tuple(range(100)))
    choices = [Choice("depth", (1, 2, 3)), Choice("k[1]", (3, 5, 7), When("depth", (2, 3))), many]
    space = SearchSpace("bred", [*choices, Choice("k[2]", (3, 5), When("depth", (3,)))])
    for other in (space, TableSpace("listed", space.choices, space.sample_array(60, np.random.default_rng(1)))):
        rows = other.sample_array(80, np.random.default_rng(0))
        a, b = rows[:40], rows[40:]
        found = other.breed_array(a, b, np.random.default_rng(2), crossover, 0.3)
        rng = np.random.default_rng(2)
        crossed = other.crossover_array(a, b, rng)
        single = rng.random(len(a)) >= crossover
        crossed[single] = a[single]
        assert np.array_equal(found, other.mutate_array(crossed, rng, 0.3)) and found.dtype == np.int64
