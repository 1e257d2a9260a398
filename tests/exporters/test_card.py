"""Cards: what is read back has what is used of it, or is no card."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from hwsearch.errors import ExportError
from hwsearch.exporters.card import intact_card, read_card

CARD = {
    "difference_from_torch": 1e-6,
    "files": [{"file": "a.onnx", "bytes": 12}],
    "latency": {"cpu": {}},
    "supernet": {"weights": "0"},
}


def test_a_card_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(CARD))
    assert read_card(tmp_path / "a.json") == CARD


@pytest.mark.parametrize(
    "change",
    [
        {"difference_from_torch": "small"},
        {"difference_from_torch": float("inf")},
        {"files": []},
        {"files": [{"file": "../../etc/passwd", "bytes": 1}]},
        {"files": [{"file": "a.onnx", "bytes": -1}]},
        {"latency": []},
        {"supernet": None},
    ],
)
def test_what_is_no_card_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(CARD | change))
    with pytest.raises(ExportError, match="not the card of a model"):
        read_card(tmp_path / "a.json")


@pytest.mark.parametrize("text", [b"[" * 100_000, b"\xff\xfe\xfd", b"{", b""])
def test_damaged_text_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(ExportError, match="cannot be read"):
        read_card(tmp_path / "a.json")


def test_an_intact_model_has_the_bytes_that_its_card_tells(tmp_path: Path) -> None:
    card = CARD | {"files": [{"file": "a.onnx", "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}]}
    place = tmp_path / "a.json"
    assert intact_card(place) is None
    place.write_text(json.dumps(card))
    assert intact_card(place) is None  # there is no model
    for content, found in ((b"abc", card), (b"abd", None), (b"ab", None)):
        (tmp_path / "a.onnx").write_bytes(content)
        assert intact_card(place) == found
    (tmp_path / "a.onnx").write_bytes(b"abc")
    place.write_text(json.dumps(card | {"files": [{"file": "a.onnx", "bytes": 3}]}))
    assert intact_card(place) is None  # a card without digests tells nothing
    place.write_text(json.dumps({k: v for k, v in card.items() if k != "latency"}))
    assert intact_card(place) is None and intact_card(place, ("supernet",)) is not None
