"""The benchmark of a million told architectures runs, and its state resumes; its figures are judged at full size only."""

from __future__ import annotations

import pytest

from benchmarks.search_memory import measured


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("tactic", ["random", "nsga2"])
def test_a_million_told_architectures_take_less_than_a_gib(tactic: str) -> None:
    figures = measured(tactic, 1_000_000, 10_000, "objects")
    assert figures["resumed_alike"] == 1.0
    assert figures["peak_mib"] < 1024


def test_a_few_thousand_resume_alike() -> None:
    figures = measured("nsga2", 4_000, 2_000, "arrays")
    assert figures["resumed_alike"] == 1.0 and figures["state_mib"] < 1.0
