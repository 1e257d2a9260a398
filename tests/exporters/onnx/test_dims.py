from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.exporters.onnx.dims import Atom, Dim, NoRuleError, broadcast, same

A, B = (Dim.of(Atom(name, (name, 0))) for name in "ab")
#: operands with their values where a is 6 and b is 35
LEAVES = [(A, 6), (B, 35), (2, 2), (7, 7), (0, 0)]
OPERATIONS: list[Callable[[Any, Any], Any]] = [operator.add, operator.sub, operator.mul]


def value(size: Any) -> int:
    """The number of a size where a is 6 and b is 35, by its terms."""
    if isinstance(size, int):
        return size
    total = 0
    for atoms, factor in size.terms.items():
        for atom in atoms:
            of, divisor = atom.source
            factor *= value(of) // divisor if isinstance(of, Dim) else {"a": 6, "b": 35}[atom.name]
        total += factor
    return total


expressions = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.tuples(st.sampled_from(OPERATIONS), inner, inner).map(
        lambda t: (t[0](t[1][0], t[2][0]), t[0](t[1][1], t[2][1]))
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(expressions, st.integers(1, 9))
def test_sizes_calculate_as_integers_do(pair: tuple[Any, int], divisor: int) -> None:
    size, number = pair
    assert value(size) == number
    assert value(size // divisor) == number // divisor
    assert isinstance(size - size, int) and size - size == 0
    assert same(size * divisor // divisor, size)


def test_quotients_of_products_are_exact_or_refused() -> None:
    assert same(A * B * 12 // (A * 4), B * 3)
    assert same((A * B + A * 2) // A, B + 2)
    for wrong in (lambda: A // B, lambda: (A * 3) // (A * 2), lambda: A // (A + 1)):
        with pytest.raises(NoRuleError):
            wrong()
    assert (A * 6 + 5) % 3 == 2
    with pytest.raises(NoRuleError):
        A % 2


def test_comparisons_that_depend_on_the_size_are_refused() -> None:
    assert A + 1 > A and A <= A and A != A + 2 and A == A * 1
    assert A != "a" and A != None  # noqa: E711
    for question in (lambda: A > 3, lambda: A == B, lambda: bool(A), lambda: int(A), lambda: range(A), lambda: A / 2):
        with pytest.raises(NoRuleError):
            question()


def test_shapes_broadcast() -> None:
    shape = broadcast((A, 1, 3), (B, 1), (1, 1, 1, 1))
    assert len(shape) == 4 and shape[0] == 1 and same(shape[1], A) and same(shape[2], B) and shape[3] == 3
    assert broadcast((A,), (5,)) == (5,)  # must be equal when the model runs
