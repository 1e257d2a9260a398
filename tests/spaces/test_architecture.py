"""Ids that never change, and errors that say what is wrong and what is near."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from hwsearch.errors import SpaceError, UnknownArchitectureGene
from hwsearch.spaces import Architecture, Choice, SearchSpace, When, from_json


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(
        "tiny",
        [
            Choice("r", (128, 160)),
            Choice("depth", (1, 2)),
            Choice("kernel[0]", (3, 5, 7)),
            Choice("kernel[1]", (3, 5, 7), When("depth", (2,))),
            Choice("act", ("relu", "h_swish"), ordinal=False),
        ],
    )


GENES = {"r": 160, "depth": 1, "kernel[0]": 5, "kernel[1]": 7, "act": "relu"}


def test_ids_are_those_of_the_first_release(space: SearchSpace) -> None:
    """A store keeps ids for years: these two literals may never change."""
    assert space.architecture(GENES).id == "6fbfbbbf2268"
    assert space.architecture(GENES | {"depth": 2}).id == "37288cae9157"


def test_ids_do_not_depend_on_order_inactive_genes_or_number_type(space: SearchSpace) -> None:
    expected = space.architecture(GENES)
    assert space.architecture(dict(reversed(GENES.items()))) == expected
    assert space.architecture(GENES | {"kernel[1]": 3}).id == expected.id
    assert space.architecture(GENES | {"r": 160.0, "kernel[0]": np.int64(5)}).id == expected.id


def test_ids_differ_between_spaces(space: SearchSpace) -> None:
    other = SearchSpace("other", space.choices)
    assert other.architecture(GENES).id != space.architecture(GENES).id
    assert other.architecture(GENES) != space.architecture(GENES)
    assert other.architecture(GENES) not in space
    with pytest.raises(SpaceError, match="belongs to space 'other', not to 'tiny'"):
        space.to_array([other.architecture(GENES)])
    with pytest.raises(SpaceError, match="belongs to space 'tiny', not to 'other'"):
        other.check_space(space.architecture(GENES))
    other.check_space(other.architecture(GENES))


def test_an_architecture_is_a_mapping_without_its_inactive_genes(space: SearchSpace) -> None:
    arch = space.architecture(GENES)
    assert dict(arch) == {"r": 160, "depth": 1, "kernel[0]": 5, "act": "relu"}
    assert arch.integer("r") == 160 and len(arch) == 4 and "kernel[1]" not in arch
    assert arch.get("kernel[1]") is None
    assert copy.deepcopy(arch) == arch
    with pytest.raises(UnknownArchitectureGene, match=r"'kernel\[1\]' is not active .* Did you mean 'kernel\[0\]'"):
        arch["kernel[1]"]


def test_unknown_genes_and_values_name_the_near_ones(space: SearchSpace) -> None:
    with pytest.raises(
        UnknownArchitectureGene, match=r"'dept' is not a gene .*\(config.toml, line 12\).*Did you mean 'depth'\?"
    ):
        space.architecture(GENES | {"dept": 2}, source="config.toml, line 12")
    with pytest.raises(UnknownArchitectureGene, match=r"'kernel\[0\]=4' is not one of \(3, 5, 7\) in space 'tiny'"):
        space.architecture(GENES | {"kernel[0]": 4})
    with pytest.raises(UnknownArchitectureGene, match="Did you mean 'h_swish'"):
        space.architecture(GENES | {"act": "hswish"})
    with pytest.raises(UnknownArchitectureGene):
        space.architecture(GENES | {"kernel[1]": 4})  # inactive, and still checked


def test_missing_genes_are_named(space: SearchSpace) -> None:
    with pytest.raises(SpaceError, match="no value for r, act"):
        space.architecture({"depth": 1, "kernel[0]": 3})
    with pytest.raises(SpaceError, match=r"no value for kernel\[1\]"):
        space.architecture({"r": 128, "depth": 2, "kernel[0]": 3, "act": "relu"})


def test_foreign_genes_and_indices_are_refused(space: SearchSpace) -> None:
    for wrong in ({"depth": 3}, {"width": 8}):
        forged = Architecture("tiny", wrong)
        assert forged not in space
        with pytest.raises(UnknownArchitectureGene):
            space.to_array([forged])
    for row in ([2, 0, 0, 0, 0], [0, -1, 0, 0, 0], [0, 1, 0, -1, 0], [0, 0, 0, 0, 9]):
        with pytest.raises(SpaceError, match="holds no index of a value of gene"):
            space.from_array(np.array([row]))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([], "no choices"),
        ([Choice("a", (1, 2)), Choice("a", (1, 2))], "names a choice twice: a"),
        ([Choice("b", (1,), When("a", (1,))), Choice("a", (1, 2))], "not an earlier choice"),
        ([Choice("b", (1,), When("b", (1,)))], "not an earlier choice"),
        ([Choice("a", (1, 2)), Choice("b", (1,), When("a", (3,)))], r"a=\['3'\], which is not one of \(1, 2\)"),
    ],
)
def test_inconsistent_spaces_are_refused(choices: list[Choice], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        SearchSpace("bad", choices)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "no values"),
        ((1, 1), "a value twice"),
        ((2, 1), "ascending order"),
        (([1], [2]), r"\[1\] is no value of a gene"),
        ((1, None), "None is no value of a gene"),
        ((1.0, float("nan")), "nan is no value of a gene"),
        ((b"x",), "b'x' is no value of a gene"),
        ((np.array([1]),), "is no value of a gene"),
    ],
)
def test_inconsistent_choices_are_refused(values: tuple[int, ...], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Choice("a", values)
    assert Choice("a", (2, 1), ordinal=False).values == (2, 1)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"name": "x"}', '{"name": "x", "choices": ["a"]}', '{"name": "x", "choices": 3}']
)
def test_what_is_not_a_space_is_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="this is not"):
        from_json(text)


def test_unknown_encodings_are_refused(space: SearchSpace) -> None:
    with pytest.raises(SpaceError, match=r"unknown encoding 'one-hot'\. Did you mean 'onehot'"):
        space.encode([space.smallest()], "one-hot")


def test_numpys_scalars_become_pythons() -> None:
    choice = Choice("ks", tuple(np.array([3, 5, 7])), When("depth", tuple(np.array([2]))))
    assert choice.values == (3, 5, 7) and {type(v) for v in (*choice.values, *choice.when.values)} == {int}
    space = SearchSpace(
        "s", [Choice("depth", (1, 2)), choice, Choice("r", tuple(np.linspace(0, 1, 3, dtype=np.float32)))]
    )
    assert from_json(space.to_json()) == space
