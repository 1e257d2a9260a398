"""Properties of random conditional spaces, each proved against plain enumeration."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.errors import SpaceError
from hwsearch.spaces import Architecture, Choice, SearchSpace, When, from_json

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


@given(spaces())
def test_enumeration_and_cardinality_are_the_brute_force_ones(space: SearchSpace) -> None:
    expected = brute_force(space)
    archs = list(space.enumerate())
    assert space.cardinality == len(expected) == len(archs) == len({a.id for a in archs})
    assert [a.to_dict() for a in archs] == expected
    assert all(a in space for a in archs)


@given(spaces())
def test_smallest_and_largest_take_the_ends(space: SearchSpace) -> None:
    for arch, end in ((space.smallest(), 0), (space.largest(), -1)):
        assert arch.to_dict() == active_genes(space, {c.name: c.values[end] for c in space.choices})


@given(spaces())
def test_a_space_survives_json(space: SearchSpace) -> None:
    again = from_json(space.to_json())
    assert again == space and hash(again) == hash(space)
    assert again.cardinality == space.cardinality
    assert list(again.enumerate()) == list(space.enumerate())


@given(spaces())
def test_architectures_survive_json(space: SearchSpace) -> None:
    for arch in space.enumerate():
        again = space.architecture(json.loads(json.dumps(arch.to_dict())))
        assert again == arch and again.id == arch.id and hash(again) == hash(arch)


@given(space_and_rows())
def test_canonical_form_is_idempotent_and_leaves_its_input_alone(case: tuple[SearchSpace, np.ndarray]) -> None:
    space, rows = case
    before = rows.copy()
    once = space.canonical(rows)
    assert np.array_equal(rows, before)
    assert np.array_equal(space.canonical(once), once)
    for raw, row in zip(rows, once, strict=True):
        genes = {c.name: c.values[j] for c, j in zip(space.choices, raw, strict=True)}
        assert {n for n, j in zip(space.names, row, strict=True) if j >= 0} == set(active_genes(space, genes))


@given(space_and_rows())
def test_arrays_and_architectures_turn_into_each_other(case: tuple[SearchSpace, np.ndarray]) -> None:
    space, rows = case
    archs = space.from_array(rows)
    assert np.array_equal(space.to_array(archs), space.canonical(rows))
    assert space.from_array(space.to_array(archs)) == archs


@given(space_and_rows())
def test_inactive_genes_do_not_matter(case: tuple[SearchSpace, np.ndarray]) -> None:
    space, rows = case
    for raw in rows:
        genes = {c.name: c.values[j] for c, j in zip(space.choices, raw, strict=True)}
        assert (
            space.architecture(genes)
            == space.architecture(active_genes(space, genes))
            == space.from_array(raw[None])[0]
        )


@given(spaces())
@pytest.mark.parametrize("encoding", ["onehot", "ordinal"])
def test_encodings_tell_all_architectures_apart(encoding: str, space: SearchSpace) -> None:
    archs = list(space.enumerate())
    features = space.encode(archs, encoding)
    assert features.shape == (len(archs), len(space.feature_names(encoding)))
    assert len(np.unique(features, axis=0)) == len(archs)
    assert features.min() >= 0 and features.max() <= 1


@given(spaces())
def test_onehot_columns_mean_what_their_names_say(space: SearchSpace) -> None:
    archs = list(space.enumerate())
    names = space.feature_names("onehot")
    for arch, row in zip(archs, space.encode(archs), strict=True):
        assert {n for n, v in zip(names, row, strict=True) if v} == {f"{k}={v}" for k, v in arch.items()}


@given(spaces())
def test_ordinal_columns_grow_with_the_value(space: SearchSpace) -> None:
    archs = list(space.enumerate())
    for arch, row in zip(archs, space.encode(archs, "ordinal"), strict=True):
        for choice, x in zip(space.choices, row, strict=True):
            assert x == (
                (choice.values.index(arch[choice.name]) + 1) / len(choice.values) if choice.name in arch else 0
            )


def differing(a: Architecture, b: Architecture) -> set[str]:
    return {n for n in a if n in b and a[n] != b[n]}


@given(spaces())
@settings(max_examples=50)
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


@given(spaces())
def test_distance_is_zero_only_between_equals(space: SearchSpace) -> None:
    archs = list(itertools.islice(space.enumerate(), 12))
    for a, b in itertools.product(archs, archs):
        assert space.distance(a, b) == len(differing(a, b))
        assert (space.distance(a, b) == 0) == (a == b)


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


def test_size_counts_deep_chains_without_walking_them() -> None:
    choices = [Choice("g0", (0, 1, 2))]
    choices += [Choice(f"g{i}", (0, 1, 2), When(f"g{i - 1}", (1, 2))) for i in range(1, 60)]
    expected = 3
    for _ in range(59):
        expected = 1 + 2 * expected
    assert SearchSpace("chain", choices).cardinality == expected


def test_a_large_space_is_not_enumerated() -> None:
    space = SearchSpace("large", [Choice(f"g{i}", tuple(range(10))) for i in range(7)])
    with pytest.raises(SpaceError, match=r"1e\+07 architectures, more than 1,000,000"):
        next(space.enumerate())
