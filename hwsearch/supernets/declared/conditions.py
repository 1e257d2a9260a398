"""Conditions under which a module of a declared network is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hwsearch.errors import SupernetError
from hwsearch.supernets.declared.depths import DepthSpan
from hwsearch.supernets.declared.matching import is_inside

#: conditions (gene, index of its first value for which the module is there), from the outermost
Conditions = tuple[tuple[str, int], ...]


def conditions_of(spans: Iterable[DepthSpan], name: str) -> Conditions:
    """Find the conditions under which a module or weight is there.

    Parameters
    ----------
    spans : iterable of DepthSpan
        Declared depths, outer ones first.
    name : str
        Name of the module or weight.

    Returns
    -------
    tuple of (str, int)
        Gene and index of its first value for which the module is there, from the outermost.
    """
    conditions = []
    for span in spans:
        for position in range(span.first, span.last + 1):
            if is_inside(name, span.child(position)):
                index = sum(v <= position - span.first for v in span.values)
                conditions += [(span.gene, index)] * (index > 0)
    return tuple(conditions)


def weakest_conditions(gates: Mapping[str, Conditions], gene: str) -> Conditions:
    """Find the condition that holds whenever one of several layers is there.

    Parameters
    ----------
    gates : mapping
        Layer → its conditions.
    gene : str
        Gene of their common width, for the error message.

    Returns
    -------
    tuple of (str, int)
        The weakest of the conditions.

    Raises
    ------
    SupernetError
        If the layers depend on different depths.
    """
    for gate in gates.values():
        if all(all(any(g == h and k >= j for h, k in other) for g, j in gate) for other in gates.values()):
            return gate
    raise SupernetError(
        f"{gene!r} is the width of {', '.join(map(repr, gates))}, which depend on different depths.",
        hint="Keep one of them at every depth.",
    )
