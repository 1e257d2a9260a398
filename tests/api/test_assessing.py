"""What an assessment writes down of gradients, and how it draws examples."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hwsearch.api.assessing import CALIBRATION, conflict_json, ends_cosine, read_examples, strategies_used
from hwsearch.supernets.checkpoint import digest
from hwsearch.tasks.images import Preprocess, from_arrays
from hwsearch.training.assessment import Conflict


def test_cosines_are_averaged_over_pairs_and_batches() -> None:
    first = np.array([[1, 0.5, -0.5], [0.5, 1, 0.2], [-0.5, 0.2, 1]])
    second = np.array([[1, 0.3, -0.1], [0.3, 1, 0.0], [-0.1, 0.0, 1]])
    parts = {"stem": np.stack([first, second]), "alone": np.full((2, 3, 3), np.nan)}
    conflict = Conflict(np.stack([first, second]), parts, {"stem": 12, "alone": 0})
    found = conflict_json(conflict, np.array([2, 0, 1]), np.array([5.0, 9.0, 1.0]))
    assert found["macs"] == [1, 5, 9] and found["batches"] == 2
    assert found["smallest_largest"]["value"] == pytest.approx(-0.3)
    assert found["all_pairs"]["value"] == pytest.approx(np.mean([0.2 / 3, 0.2 / 3]), abs=1e-6)
    assert found["negative_share"] == pytest.approx(2 / 6, abs=1e-6)
    assert [(p["part"], p["common_weights"]) for p in found["parts"]] == [("stem", 12)]
    assert found["mean_cosines"][0][1] == pytest.approx(0.4)


def test_ends_that_share_nothing_have_no_cosine() -> None:
    cosines = np.stack([np.array([[1, np.nan], [np.nan, 1]])] * 2)
    assert ends_cosine(Conflict(cosines, {}, {})) is None


CARD = {"digest": "d1", "trained": {"stage": [{"strategy": "deps"}, {}, {"strategy": "deps"}]}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (json.dumps(CARD), ["deps", "sandwich"]),
        (json.dumps(CARD | {"digest": "of other weights"}), []),
        (json.dumps({"digest": "d1"}), []),
        (json.dumps({"digest": "d1", "trained": {"stage": [3]}}), []),
        ("[1]", []),
        ("{", []),
        (None, []),
    ],
)
def test_the_card_beside_the_weights_says_how_they_were_trained(
    tmp_path: Path, text: str | None, found: list[str]
) -> None:
    loaded = SimpleNamespace(digest="d1", net=torch.nn.Linear(1, 1), entry=SimpleNamespace(card=CARD))
    other = SimpleNamespace(digest="with structure", net=torch.nn.Linear(1, 1))
    other.entry = SimpleNamespace(card=CARD | {"digest": digest(other.net)})
    assert strategies_used(other, None) == ["deps", "sandwich"]  # type: ignore[arg-type]
    if text is not None:
        (tmp_path / "net.json").write_text(text)
    assert strategies_used(loaded, tmp_path / "net.safetensors") == found  # type: ignore[arg-type]
    assert strategies_used(loaded, None) == ["deps", "sandwich"]  # type: ignore[arg-type]


@pytest.mark.parametrize("calibrated", [True, False])
def test_examples_are_drawn_once_and_at_random(calibrated: bool) -> None:
    pixels = np.arange(3000, dtype=np.int64)[:, None, None, None] % 251 * np.ones((1, 2, 2, 3), np.int64)
    data = from_arrays(pixels.astype(np.uint8), np.arange(3000) // 1000, tuple("abc"), Preprocess())
    checked = []
    loaded = SimpleNamespace(
        task=None,
        net=SimpleNamespace(check_data=lambda found, split: checked.append(split)),
        entry=SimpleNamespace(examples=lambda: {"calibration": data, "test": data}, calibrated=calibrated, name="x"),
    )
    found, again, other = (read_examples(loaded, None, 500, seed) for seed in (0, 0, 1))  # type: ignore[arg-type]
    assert len(found.held_out) == 500 and checked[:2] == ["training", "test"]
    assert found.held_out.digest == again.held_out.digest != other.held_out.digest
    assert len(set(found.held_out.labels.tolist())) == 3 and (np.diff(found.held_out.labels) >= 0).all()
    if calibrated:
        assert found.calibration is not None and len(found.calibration) == CALIBRATION
        assert len(set(found.calibration.labels.tolist())) == 3
    else:
        assert found.calibration is None
