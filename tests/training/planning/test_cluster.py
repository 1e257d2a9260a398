"""Descriptions of clusters that are read, and that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsearch.errors import ConfigError
from hwsearch.training.planning import parse_cluster, read_cluster

GOOD = {"leaves": 2, "ranks_per_leaf": 4, "spines": 2}


def test_a_cluster_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        "[topology]\nleaves = 2\nranks_per_leaf = 4\nspines = 3\nranks = 8\n[network]\nalpha_us = 20\nlink_gbps = 8\n"
    )
    found = read_cluster(path)
    assert found.topology.world == 8 and found.compute is None and found.network is not None
    assert found.network.beta_s == pytest.approx(1e-9) and found.network.alpha_s == pytest.approx(2e-5)
    assert [found.topology.leaf_of(r) for r in (0, 3, 4, 7)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"topology": GOOD | {"spines": 0}}, "topology.spines = 0"),
        ({"topology": GOOD | {"leaves": -2}}, "topology.leaves = -2"),
        ({"topology": GOOD | {"leaves": 2.5}}, "topology.leaves = 2.5"),
        ({"topology": GOOD | {"leaves": [2, 3]}}, "topology.leaves = .2, 3."),
        ({"topology": GOOD | {"ranks": 7}}, "7 are fewer than the 8"),
        ({"topology": GOOD | {"ranks": 9}}, "9 are more than the 8"),
        ({"topology": GOOD | {"leaves": 4096}}, "more than the 1024"),
        ({"topology": GOOD | {"placement": "odd"}}, "placement = odd"),
        ({"topology": GOOD | {"spine": 2}}, "Did you mean 'spines'"),
        ({"topology": {"leaves": 2, "spines": 1}}, "topology.ranks_per_leaf is missing"),
        ({}, "topology is missing"),
        ({"topology": GOOD, "network": {"alpha_us": 1, "link_gbps": 0}}, "network.link_gbps = 0"),
        ({"topology": GOOD, "network": {"alpha_us": -1, "link_gbps": 1}}, "network.alpha_us = -1"),
        ({"topology": GOOD, "compute": {"pass_ms": float("nan")}}, "compute.pass_ms = nan"),
        ({"topology": GOOD, "networks": {}}, "Did you mean 'network'"),
        ([], "is not valid"),
    ],
)  # fmt: skip
def test_what_is_no_cluster_is_refused(data: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_cluster(data, "c.toml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml") as told:
        read_cluster(tmp_path / "none.toml")
    assert str(told.value).count("none.toml") == 1
    (tmp_path / "bad.toml").write_text("leaves = [")
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        read_cluster(tmp_path / "bad.toml")
