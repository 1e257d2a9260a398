"""The page of an assessment: complete without other files, and with the numbers that it was given."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest

from hwsearch.errors import OutputError
from hwsearch.reporting.assessment_page import (
    render_assessment,
    rule_lines,
    subnet_lines,
    write_assessment_page,
)
from hwsearch.reporting.assessment_result import band_lines, estimate_words


def without_probes(result):
    plain = copy.deepcopy(result)
    for row in plain["subnets"]:
        row.update(standalone=None, standalone_se=None, gap=None, gap_se=None)
    return plain | {"gap": None, "gap_large_over_small": None, "rank_correlation": None, "passes": None}


def test_an_estimate_is_its_value_and_its_interval() -> None:
    assert estimate_words({"value": -0.25, "low": -0.5, "high": 0.0}) == "−0.25 (−0.50 to 0.00)"
    assert estimate_words({"value": 1.0, "low": None, "high": None}, 1, "%") == "1.0 %"
    assert estimate_words(None) == estimate_words({"value": None, "low": None, "high": None}) == "–"


def test_tables_hold_every_band_rule_and_subnet(assessment) -> None:
    bands = band_lines(assessment)
    assert len(bands) == 2 and bands[0]["macs"] == "1.00 M to 3.00 M" and bands[0]["score"].startswith("61.0 % (")
    assert bands[0]["gap"] == "+2.0 (2)" and band_lines(without_probes(assessment))[0]["gap"] == "–"
    rules = rule_lines(assessment)
    assert [r["holds"] for r in rules] == ["holds", "not known"] and rules[0]["limit"] == "below 0"
    subnets = subnet_lines(assessment)
    assert [s["arch_id"] for s in subnets] == ["s0", "s1", "s2", "s3", "s4", "s5"]
    assert subnets[1]["gap"] == "–" and subnets[0]["gap"] == "2.0 ± 1.0"


def test_the_page_needs_nothing_else_and_escapes(assessment) -> None:
    result = copy.deepcopy(assessment) | {"assessment": "<b>mine</b>"}
    page = render_assessment(result)
    assert "<b>mine" not in page and "&lt;b&gt;mine" in page
    assert not re.search(r"<(script|link|img|iframe)", page) and "http://" not in page.replace("http://www.w3.org", "")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "Try the strategy &#39;few-shot&#39; next" in page and "with 1,000 passes" in page
    assert "<dd>sandwich, deps</dd>" in page


def test_a_page_without_probes_says_how_to_measure_them(assessment) -> None:
    page = render_assessment(without_probes(assessment))
    assert "--standalone 8" in page and "Inherited against stand-alone" not in page and "none was asked for" in page


def test_a_page_replaces_its_own_kind_only(assessment, tmp_path: Path) -> None:
    path = write_assessment_page(assessment, tmp_path / "a.html")
    write_assessment_page(assessment, path)
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_assessment_page(assessment, path)
