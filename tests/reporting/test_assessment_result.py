"""An assessment on a campaign's page: read from one place, checked, never followed or executed, and shown in words."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from hwsearch.reporting import ReportData
from hwsearch.reporting import assessment_result as module
from hwsearch.reporting.assessment_result import FOLDER, RESULT, figure_pairs, read_assessment
from hwsearch.reporting.page import render


def keep(folder: Path, found: Any) -> Path:
    """Write a result where a campaign's report looks for it."""
    path = folder / FOLDER / RESULT
    path.parent.mkdir(exist_ok=True)
    path.write_text(found if isinstance(found, str) else json.dumps(found), encoding="utf-8")
    return path


def test_a_result_of_the_campaigns_weights_is_read(assessment: dict[str, Any], tmp_path: Path) -> None:
    assert read_assessment(tmp_path, "abc") == {}
    keep(tmp_path, assessment)
    found = read_assessment(tmp_path, "abc")
    assert found["advice"]["sentence"] == assessment["advice"]["sentence"] and "files" not in found
    assert [b["score"]["value"] for b in found["bands"]] == [61.0, 64.0] and len(found["subnets"]) == 6
    assert figure_pairs(found) == figure_pairs(assessment) and len(figure_pairs(found)) == 6


def test_one_of_other_weights_is_not_shown(assessment: dict[str, Any], tmp_path: Path) -> None:
    keep(tmp_path, assessment)
    assert read_assessment(tmp_path, "def") == {
        "note": "assessment/assessment.json is not shown: it is of the weights abc, and this campaign's are def."
    }


@pytest.mark.parametrize("which", ["file", "folder"])
def test_links_are_not_followed(assessment: dict[str, Any], tmp_path: Path, which: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = keep(elsewhere, assessment)
    campaign = tmp_path / "campaign"
    if which == "folder":
        campaign.mkdir()
        (campaign / FOLDER).symlink_to(path.parent)
    else:
        (campaign / FOLDER).mkdir(parents=True)
        (campaign / FOLDER / RESULT).symlink_to(path)
    assert "behind a link" in read_assessment(campaign, "abc")["note"]


def changed(assessment: dict[str, Any], *places: str | int, to: object) -> dict[str, Any]:
    """A copy with another value in one place."""
    found = copy.deepcopy(assessment)
    at: Any = found
    for place in places[:-1]:
        at = at[place]
    at[places[-1]] = to
    return found


@pytest.mark.parametrize(
    ("places", "to", "named"),
    [
        (("bands", 0, "macs_low"), "1e6", "bands.0.macs_low"),
        (("bands", 0, "macs_low"), 0, "bands.0.macs_low"),
        (("bands", 0, "score", "value"), math.nan, "cannot be read|bands.0.score.value"),
        (("bands", 1, "score", "value"), None, "bands.1.score.value"),
        (("subnets", 3, "score"), 1e300, "subnets.3.score"),
        (("subnets", 3, "macs"), -5, "subnets.3.macs"),
        (("bands",), [], "bands"),
        (("advice", "sentence"), "x" * 3000, "advice.sentence"),
        (("passes",), "many", "passes"),
        (("trained_by",), "sandwich", "trained_by"),
        (("score",), None, "score"),
    ],
)
def test_values_of_the_wrong_kind_are_named(
    assessment: dict[str, Any], tmp_path: Path, places: tuple[str | int, ...], to: object, named: str
) -> None:
    keep(tmp_path, changed(assessment, *places, to=to))
    (note,) = read_assessment(tmp_path, "abc").values()
    assert any(part in note for part in named.split("|")) and "is not shown" in note


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"digest": "abc"}', "\x00\x01"])
def test_what_is_no_result_is_said(tmp_path: Path, text: str) -> None:
    keep(tmp_path, text)
    assert "is not shown" in read_assessment(tmp_path, "abc")["note"]


def test_a_huge_file_is_not_read(assessment: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path, assessment)
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    assert "larger than" in read_assessment(tmp_path, "abc")["note"]


def shown(found: dict[str, Any]) -> str:
    report = ReportData("Title", "demo", "2026-01-31T12:00:00+00:00", assessment=found)
    again = ReportData.from_json(report.to_json())
    assert again.assessment == json.loads(json.dumps(found))
    return render(again, {}, {})


def test_the_page_shows_bands_figures_and_advice_and_escapes(assessment: dict[str, Any], tmp_path: Path) -> None:
    keep(tmp_path, changed(assessment, "advice", "sentence", to="Try <b>few-shot</b> next."))
    page = shown(read_assessment(tmp_path, "abc"))
    assert "What the supernet is worth" in page and "Try &lt;b&gt;few-shot&lt;/b&gt; next." in page
    assert "61.0 % (60.5 to 61.5)" in page and "trained by sandwich, deps" in page and "with 1,000 passes" in page
    assert "Rank correlation" in page and "0.60 (0.30 to 0.90)" in page and "+2.0 (2)" in page
    assert page.count("<svg") == 2


def test_without_probes_the_page_has_no_gap(assessment: dict[str, Any], tmp_path: Path) -> None:
    for row in assessment["subnets"]:
        row.update(standalone=None, standalone_se=None, gap=None)
    keep(tmp_path, assessment | {"gap": None, "gap_large_over_small": None, "rank_correlation": None, "passes": None})
    page = shown(read_assessment(tmp_path, "abc"))
    assert "What the supernet is worth" in page and "Rank correlation" not in page and "Gap" not in page


def test_a_page_without_an_assessment_has_no_such_section_and_a_note_is_said() -> None:
    assert "What the supernet is worth" not in shown({})
    assert "lies behind a link." in shown({"note": "x is not shown: it lies behind a link."})
