"""The table of claims: which are chosen, when an aim is met, and the cheap ones themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.claim import CLAIMS, Figure
from benchmarks.claims import BENCHMARK, chosen, names


def test_claims_are_chosen_by_name_and_group() -> None:
    every = [name for known in CLAIMS for name in known]
    assert set(every) < set(names()) and {"planning", "ensemble"} <= set(names())
    assert len(chosen(None)) == len(CLAIMS)
    assert chosen(["ensemble.gain"]) == chosen(["ensemble"]) and len(chosen(["planning"])) == 3


@pytest.mark.parametrize(
    ("value", "aim", "met"),
    [(1.0, "= 1", True), (1.01, "= 1", False), (15.0, "<= 15", True), (15.1, "<= 15", False), (0.0, "> 0", False), (0.0, ">= 0", True), (3.0, "", None)],
)  # fmt: skip
def test_an_aim_is_met(value: float, aim: str, met: bool | None) -> None:
    assert Figure(value, aim=aim).met is met


def test_the_cheap_claims_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ["--only", "planning.split_over_spray", "--only", "planning.ecmp_over_spray"]
    assert BENCHMARK.main(["--quick", "--json", "--folder", str(tmp_path), *only]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["summary"]["planning.split_over_spray"] == 1.0
    assert 2.4 < found["summary"]["planning.ecmp_over_spray"] < 2.75
