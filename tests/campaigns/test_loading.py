"""Reading a configuration: where a fault is, what it is called, and paths that mean the same from everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsearch.campaigns.loading import find_line, load_config, parse_config, with_absolute_paths
from hwsearch.errors import ConfigError

TOML = """\
store = "here.db"

[search]
rounds = 3  # few

[[device]]
name = "one"
[[device]]
# the second
name = "two"
"batch" = 4
[device.options]
table = "t"
"""


@pytest.mark.parametrize(
    "loc, line",
    [
        (("store",), 1),
        (("search", "rounds"), 4),
        (("search", "seed"), 3),  # not there: its table
        (("device", 0, "name"), 7),
        (("device", 1, "name"), 10),
        (("device", 1, "batch"), 11),
        (("device", 0, "batch"), 6),
        (("device", 1, "options", "table"), 13),
        (("profile", "latency"), None),
        ((), None),
    ],
)
def test_the_line_of_a_key_is_found(loc, line) -> None:
    assert find_line(TOML, loc) == line


def said(tmp_path: Path, text: str) -> str:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value).replace(str(path), "c.toml")


DEVICE = '[[device]]\nname = "one"\n'


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_right_one(tmp_path) -> None:
    text = said(tmp_path, DEVICE + "[search]\nround = 3\n")
    assert text.startswith("c.toml, line 4: unknown key 'search.round'.") and "rounds" in text
    assert "unknown key 'serach'" in said(tmp_path, DEVICE + "[serach]\nrounds = 3\n")


def test_a_wrong_value_is_named_with_its_line_and_each_fault_has_one(tmp_path) -> None:
    text = said(tmp_path, DEVICE + "batch = 0\n[search]\nrounds = -1\n")
    first, second = text.splitlines()
    assert first.startswith("c.toml, line 3: device[0].batch = 0: ") and first.endswith(".")
    assert second.startswith("c.toml, line 5: search.rounds = -1: ")


def test_a_file_that_cannot_be_read_is_an_error_of_the_configuration(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere\.toml.*No such file"):
        load_config(tmp_path / "nowhere.toml")
    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_config(tmp_path / "latin.toml")
    assert said(tmp_path, "a = \n").startswith("c.toml: ")


def test_paths_become_absolute_and_names_stay(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "device": [{"name": "one"}],
        "supernet": {"name": "nets.py:mine", "checkpoint": "w.pt"},
        "data": {"test": "images", "calibration": "synthetic-skeletons:calibration"},
        "search": {"warm_start": ["earlier"]},
        "store": "s.db",
    }
    found = with_absolute_paths(parse_config(given, "the test"))
    assert found.supernet.name == f"{tmp_path}/nets.py:mine" and found.supernet.checkpoint == f"{tmp_path}/w.pt"
    assert found.data.test == f"{tmp_path}/images" and found.data.validation is None
    assert found.data.calibration == "synthetic-skeletons:calibration"
    assert found.search.warm_start == [f"{tmp_path}/earlier"] and found.store == f"{tmp_path}/s.db"
    given |= {"supernet": {"name": "cifar10-mbv3"}, "store": "postgresql://host/db"}
    found = with_absolute_paths(parse_config(given, "the test"))
    assert (found.supernet.name, found.supernet.checkpoint) == ("cifar10-mbv3", None)
    assert found.store == "postgresql://host/db"
