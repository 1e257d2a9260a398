"""Text that anybody may have written: read, or refused with one kind of error."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_tables.reading import ReadingError, decode, parse_json, parse_toml


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marks_are_skipped(encoding: str) -> None:
    assert decode("a = 'ü'".encode(encoding)) == "a = 'ü'"
    assert parse_toml("\ufeffa = 1") == {"a": 1}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"caf\xe9", r"not UTF-8 text \(byte 0xe9 at 3\)"),
        (b"\xff\xfea", "not UTF-16 text"),
        (b"\xef\xbb\xbf\xff", "not UTF-8 text"),
    ],
)
def test_what_is_no_text_is_told_with_its_place(data: bytes, says: str) -> None:
    with pytest.raises(ReadingError, match=says):
        decode(data)


@pytest.mark.parametrize("depth", [600, 20_000])
def test_deep_nesting_is_an_error_and_no_crash(depth: int) -> None:
    for parse, text in (
        (parse_toml, "a = " + "[" * depth + "]" * depth),
        (parse_json, "[" * 50 * depth + "]" * 50 * depth),
    ):
        with pytest.raises(ReadingError, match="nested too deeply"):
            parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = ", "Invalid value"),
        ("[search]\nseed = 9223372036854775808", r"search.seed = 922337203685… is too large a number"),
        ("a = [1, -9223372036854775809]", r"a\[1\] = -92233720368… is too large"),
        (f"a = {'9' * 5000}", "digits"),
    ],
)
def test_wrong_toml_is_told(text: str, says: str) -> None:
    with pytest.raises(ReadingError, match=says):
        parse_toml(text)
    assert parse_toml("a = 9223372036854775807\nb = -9223372036854775808") == {"a": 2**63 - 1, "b": -(2**63)}


@pytest.mark.parametrize("text", ["", "{", "[1,", "9" * 5000, b"\xff", "nul"])
def test_wrong_json_is_told(text: str | bytes) -> None:
    with pytest.raises(ReadingError):
        parse_json(text)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_the_same_is_read_as_by_the_standard_library(text: str) -> None:
    for ours, theirs in ((parse_toml, tomllib.loads), (parse_json, json.loads)):
        try:
            expected = theirs(text)
        except ValueError:
            if not text.startswith("\ufeff"):
                with pytest.raises(ReadingError):
                    ours(text)
        else:
            assert ours(text) == expected or expected != expected
