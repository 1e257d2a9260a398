"""Descriptions as TOML."""

from __future__ import annotations

import latency_tables
from latency_tables import Gene, TableSpace, toml

SPACE = TableSpace("toy", (Gene("d", (1, 2)), Gene("k[0]", (3, 5)), Gene("k[1]", (3, 5), (), ("d", (2,)))))


def test_descriptions_read_back_equal(tmp_path):
    document = {
        "a b": 'quote " \\ \n',
        "n": 1.5,
        "yes": True,
        "t": {"x": {"y": [1, 2], "z": {"w": "é"}}},
        "u": {"v": 1},
    }
    path = tmp_path / "x.toml"
    path.write_text(toml.dumps(document))
    assert toml.read(path) == document
    assert latency_tables.parse_space(SPACE.to_dict() | {"gene": toml.read(_dump(tmp_path))["gene"]}, "x") == SPACE


def _dump(folder):
    path = folder / "space.toml"
    path.write_text(toml.dumps(SPACE.to_dict()))
    return path
