"""Purposes and splits: the texts that the store keeps."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.campaigns.purpose import FINETUNED, PROFILE, SEARCH, VALIDATE, Purpose
from hwsearch.campaigns.split import Split


def test_the_texts_of_purposes_are_those_of_stored_measurements() -> None:
    assert [str(p) for p in (SEARCH, VALIDATE, FINETUNED, PROFILE)] == ["search", "validate", "finetuned", "profile"]
    assert [str(Purpose.final(n)) for n in (1, 2, 13)] == ["validate", "validate:2", "validate:13"]
    assert Purpose.parse("validate") == VALIDATE and not SEARCH.is_final and Purpose.final(3).is_final


@settings(deadline=None)
@given(st.sampled_from(["search", "validate", "finetuned"]), st.integers(1, 99))
def test_a_purpose_is_read_back_from_its_text(name: str, number: int) -> None:
    purpose = Purpose(name, number)
    assert Purpose.parse(str(purpose)) == purpose


def test_splits_are_the_keys_of_configurations() -> None:
    assert [*Split] == ["calibration", "validation", "test", "screen"]
    assert {"test": 1}[Split.TEST] == 1 and f"{Split.TEST}" == "test"
