"""Spans of children that depth may cut, and the conditions that follow, by hand."""

from __future__ import annotations

import pytest

from hwsearch.errors import SupernetError
from hwsearch.supernets.declared.conditions import conditions_of, weakest_conditions
from hwsearch.supernets.declared.depths import DepthSpan

#: children 1 to 3 of five; 1 or 3 of them stay
SPAN = DepthSpan("body", 1, 3, (1, 3), ("0", "1", "2", "3", "4"))
INNER = DepthSpan("body.2", 0, 1, (1, 2), ("0", "1"))


def test_children_outside_the_span_always_stay() -> None:
    assert SPAN.kept(1) == (0, 1, 4) and SPAN.kept(3) == (0, 1, 2, 3, 4)
    assert INNER.kept(1) == (0,)


def test_names_of_genes_and_children() -> None:
    assert SPAN.gene == "depth[body.1-3]" and SPAN.child(2) == "body.2"
    assert INNER.gene == "depth[body.2]"
    whole = DepthSpan("", 0, 1, (1, 2), ("a", "b"))
    assert whole.gene == "depth[network]" and whole.child(1) == "b"


def test_a_module_waits_for_all_depths_around_it() -> None:
    spans = [SPAN, INNER]
    assert conditions_of(spans, "body.1.conv") == conditions_of(spans, "body.4") == ()
    assert conditions_of(spans, "body.3.conv.weight") == (("depth[body.1-3]", 1),)
    assert conditions_of(spans, "body.2.1") == (("depth[body.1-3]", 1), ("depth[body.2]", 1))
    assert conditions_of(spans, "body.22") == ()


def test_a_common_width_is_there_with_the_first_of_its_layers() -> None:
    early, late = (("d", 1),), (("d", 2),)
    assert weakest_conditions({"a": late, "b": early}, "width[a]") == early
    assert weakest_conditions({"a": (), "b": late}, "width[a]") == ()
    with pytest.raises(SupernetError, match=r"'width\[a\]' is the width of 'a', 'b'"):
        weakest_conditions({"a": (("d", 1),), "b": (("other", 1),)}, "width[a]")
