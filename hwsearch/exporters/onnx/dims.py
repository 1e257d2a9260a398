"""Sizes that are not known before a model runs, with their arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


class NoRuleError(Exception):
    """The rules of `hwsearch.exporters` cannot express what a network does."""


@dataclass(frozen=True)
class Atom:
    """A size that is read from a tensor, or the floor of a quotient.

    Attributes
    ----------
    name : str
        Name of the size.
    source : tuple
        (name of a tensor, axis), or (a size, its divisor).
    """

    name: str
    source: tuple[str, int] | tuple[Dim, int]


#: product of atoms → factor; the empty product is the constant term
Terms = dict[tuple[Atom, ...], int]


class Dim(torch.SymInt):
    """A polynomial in atoms with whole coefficients, which torch's own functions accept as a size.

    It has no number: where a network's code asks for one, or for the outcome of a comparison that depends on it,
    `NoRuleError` is raised, so that nothing in a model can depend on the size it was lowered with.

    Parameters
    ----------
    terms : dict
        Product of atoms → coefficient; the empty product is the constant term.

    Examples
    --------
    >>> length = Dim.of(Atom("length", ("x", 1)))
    >>> length * 2 + 1
    2 * length + 1
    >>> (length * 4) // 2 - length * 2
    0
    """

    def __init__(self, terms: Terms) -> None:  # the base class wants a node of torch's own tracer
        self.terms = terms

    @staticmethod
    def of(atom: Atom) -> Dim:
        """Make the size that is one atom.

        Parameters
        ----------
        atom : Atom
            The atom.

        Returns
        -------
        Dim
            The size.
        """
        return Dim({(atom,): 1})

    @staticmethod
    def _size(terms: Terms) -> int | Dim:
        terms = {k: v for k, v in terms.items() if v}
        return Dim(terms) if any(terms) else terms.get((), 0)

    def __add__(self, other: Any) -> Any:
        if (theirs := _terms(other)) is None:
            return NotImplemented
        return Dim._size({k: self.terms.get(k, 0) + theirs.get(k, 0) for k in {**self.terms, **theirs}})

    def __mul__(self, other: Any) -> Any:
        if (theirs := _terms(other)) is None:
            return NotImplemented
        total: Terms = {}
        for a, x in self.terms.items():
            for b, y in theirs.items():
                key = tuple(sorted((*a, *b), key=lambda atom: atom.name))
                total[key] = total.get(key, 0) + x * y
        return Dim._size(total)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, Dim):
            return self._over(other)
        if not any(v % other for v in self.terms.values()):
            return Dim._size({k: v // other for k, v in self.terms.items()})
        return Dim.of(Atom(f"({self})//{other}", (self, other)))

    def _over(self, other: Dim) -> Any:
        """Divide exactly by a product of atoms."""
        if len(other.terms) > 1:
            raise NoRuleError(f"division of sizes {self} and {other}")
        ((divisor, factor),) = other.terms.items()
        result: Terms = {}
        for key, value in self.terms.items():
            left = list(key)
            for atom in divisor:
                if atom not in left:
                    raise NoRuleError(f"division of sizes {self} and {other}")
                left.remove(atom)
            if value % factor:
                raise NoRuleError(f"division of sizes {self} and {other}")
            result[tuple(left)] = value // factor
        return Dim._size(result)

    def __mod__(self, other: Any) -> Any:
        rest = self.terms.get((), 0)
        if not isinstance(other, int) or any(v % other for k, v in self.terms.items() if k):
            raise NoRuleError(f"{self} % {other}")
        return rest % other

    def _minus(self, other: Any) -> int:
        difference = self - other
        if isinstance(difference, Dim):
            raise NoRuleError(f"a comparison of {self} and {other}")
        return int(difference)

    def __eq__(self, other: object) -> Any:
        return False if _terms(other) is None else self._minus(other) == 0

    def __ne__(self, other: object) -> Any:
        return not self == other

    def __lt__(self, other: Any) -> Any:
        return self._minus(other) < 0

    def __le__(self, other: Any) -> Any:
        return self._minus(other) <= 0

    def __gt__(self, other: Any) -> Any:
        return self._minus(other) > 0

    def __ge__(self, other: Any) -> Any:
        return self._minus(other) >= 0

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def _number(self, *_: Any) -> Any:
        raise NoRuleError(f"the number of {self}")

    __bool__ = __int__ = __index__ = __float__ = __round__ = _number
    __truediv__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __pow__ = __rpow__ = _number

    def same(self, other: int | Dim) -> bool:
        """Tell whether another size is known to be equal.

        Parameters
        ----------
        other : int or Dim
            The other size.

        Returns
        -------
        bool
            False also where it cannot be known.
        """
        return isinstance(other, Dim) and self.terms == other.terms

    def __repr__(self) -> str:
        texts = []
        for key, value in self.terms.items():
            factors = [a.name for a in key]
            texts.append(" * ".join(([str(value)] if value != 1 or not factors else []) + factors))
        return " + ".join(texts)


#: a size of an axis
Size = int | Dim


def _terms(value: Any) -> Terms | None:
    if isinstance(value, Dim):
        return value.terms
    return {(): value} if isinstance(value, int) else None


def same(a: Size, b: Size) -> bool:
    """Tell whether two sizes are known to be equal.

    Parameters
    ----------
    a, b : int or Dim
        The sizes.

    Returns
    -------
    bool
        False also where it cannot be known.
    """
    return a.same(b) if isinstance(a, Dim) else isinstance(b, int) and a == b


def broadcast(*shapes: tuple[Size, ...]) -> tuple[Size, ...]:
    """Compute the shape to which several shapes broadcast.

    Two unlike sizes, neither of them 1, must be equal when the model runs.

    Parameters
    ----------
    *shapes : tuple of int or Dim
        The shapes.

    Returns
    -------
    tuple of int or Dim
        The common shape.

    Examples
    --------
    >>> broadcast((3, 1), (4,))
    (3, 4)
    """
    rank = max(map(len, shapes))
    result = []
    for sizes in zip(*((1,) * (rank - len(s)) + tuple(s) for s in shapes), strict=True):
        wide = [s for s in sizes if not same(s, 1)]
        known = [s for s in wide if isinstance(s, int)]
        result.append(known[0] if known else wide[0] if wide else 1)
    return tuple(result)
