"""Errors: what they tell, and what becomes of exceptions of somebody else's code."""

from __future__ import annotations

import sys

import pytest

from hwsearch.errors import (
    CampaignError,
    HwsearchError,
    SupernetError,
    TrustError,
    describe,
    foreign_code,
    nearest,
)


def test_an_error_is_its_message_with_what_to_do() -> None:
    error = TrustError("it is another's.", hint="Look at it.")
    assert str(error) == "it is another's. Look at it." and isinstance(error, CampaignError)
    assert error.to_dict() == {"error": "TrustError", "message": "it is another's.", "hint": "Look at it."}
    assert str(HwsearchError("no hint.")) == "no hint."


class Stranger(BaseException):
    """Not even an `Exception`."""


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ValueError("not\na number."), "ValueError: not a number"),
        (SystemExit(3), "SystemExit: 3"),
        (SystemExit(), "SystemExit: no message"),
        (Stranger("oh"), "Stranger: oh"),
        (CampaignError("typed already."), "CampaignError: typed already"),
    ],
)
def test_whatever_foreign_code_raises_becomes_a_typed_error(raised: BaseException, said: str) -> None:
    with (
        pytest.raises(SupernetError) as caught,
        foreign_code(lambda error: SupernetError(f"net.py: {describe(error)}.")),
    ):
        raise raised
    assert str(caught.value) == f"net.py: {said}." and caught.value.__cause__ is raised


def test_ctrl_c_stays_ctrl_c_and_a_good_error_stays_as_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), foreign_code(lambda error: pytest.fail("it was explained")):
        raise KeyboardInterrupt
    mine = SupernetError("it says enough.")
    with pytest.raises(SupernetError) as caught, foreign_code(lambda error: mine):
        raise mine
    assert caught.value is mine and mine.__cause__ is None
    with foreign_code(lambda error: pytest.fail("nothing was raised")):
        sys.getrecursionlimit()


def test_the_nearest_word_or_all_of_them() -> None:
    assert nearest("frnt", ["front", "pick"]) == "Did you mean 'front'?"
    assert nearest("xyz", ["front", "pick"]) == "Known: front, pick." and nearest("xyz", []) == "Known: none."
    assert nearest("zzz", map(str, range(13))).endswith("11, ….")
