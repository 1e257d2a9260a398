from __future__ import annotations

from pathlib import Path

import pytest

from hwsearch.reporting.paths import without_host_paths

FOLDER = Path("/home/ann/runs/my demo")


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("/home/ann/runs/my demo/models/a.onnx", "models/a.onnx"),
        ("in /home/ann/runs/my demo", "in my demo"),
        ("/home/ann/data/imagenet/val:test", "val:test"),
        ("weights '/srv/w/net.pt' are other", "weights 'net.pt' are other"),
        ("54 epochs and/or 3 km/h at 1/2, ratio a/b", "54 epochs and/or 3 km/h at 1/2, ratio a/b"),
        ("sqlite:///runs/x.db", "sqlite:///runs/x.db"),
        ("ks 3 / 5 / 3", "ks 3 / 5 / 3"),
    ],
)
def test_paths_are_given_from_the_campaign_or_by_name(text: str, short: str) -> None:
    assert without_host_paths(text, FOLDER) == short


def test_nested_values_are_shortened_and_numbers_are_left() -> None:
    value = {"a": ["/home/ann/x/y.csv", 1.5, None], "b": ({"c": "/home/ann/z/w"},)}
    assert without_host_paths(value, FOLDER) == {"a": ["y.csv", 1.5, None], "b": ({"c": "w"},)}
