"""The catalogue: every entry has a full card, and code of one's own is an entry without a package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwsearch import api
from hwsearch.errors import SupernetError
from hwsearch.supernets import catalogue

OWN = """
from torch import nn
from hwsearch.supernets.catalogue import SupernetEntry
from hwsearch.supernets.declared import Width, elastic


def build():
    net = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 8, 3, 2, 1), nn.ReLU(),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    return elastic(net, {"0": Width((0.5, 1.0))}, input_shape=(3, 32, 32), name="mine")


ENTRY = SupernetEntry("mine", "a small network", build)
"""


@pytest.mark.parametrize("name", catalogue.names())
def test_every_card_is_full_and_plain(name: str) -> None:
    card = api.supernets("show", name)
    assert json.loads(json.dumps(card)) == card
    assert card["subnets"] > 1000 and 0 < card["macs_smallest"] < card["macs_largest"]
    assert 0 < card["params_smallest"] < card["params_largest"]
    if card["weights"] != "shipped":
        assert card["get"] and card["paper"] and card["weights_licence"]


def test_every_entry_point_is_an_entry_of_that_name() -> None:
    for name in catalogue.names():
        assert catalogue.entry(name).name == name


def test_code_of_ones_own_is_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_net.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    for name in (f"{tmp_path / 'mine_net.py'}:ENTRY", "mine_net:ENTRY"):
        assert catalogue.entry(name).build().space.cardinality == 2
    with pytest.raises(SupernetError, match=r"no SupernetEntry 'ENTRI'.*Did you mean 'ENTRY'"):
        catalogue.entry("mine_net:ENTRI")
    for name in (f"{tmp_path}/none.py:ENTRY", "no_such_module:ENTRY"):
        with pytest.raises(SupernetError, match="cannot be imported"):
            catalogue.entry(name)


def test_code_of_ones_own_that_ends_the_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exits_net.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in (f"{tmp_path / 'exits_net.py'}:ENTRY", "exits_net:ENTRY"):
        with pytest.raises(SupernetError, match=r"cannot be imported: SystemExit: 3 \(.*exits_net\.py, line 2\)"):
            catalogue.entry(name)
    (tmp_path / "stops_net.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        catalogue.entry("stops_net:ENTRY")
