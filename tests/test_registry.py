"""Plug-ins by entry point: unknown names, names taken twice, modules that fail, things of another kind."""

from __future__ import annotations

from email.message import Message
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest

from hwsearch.errors import DeviceError, PluginError
from hwsearch.registry import Registry, entry_points

GROUP = "hwsearch.things"
THINGS: Registry[type] = Registry(GROUP, "thing", DeviceError, lambda found: isinstance(found, type), "a class")


class _Package(Distribution):
    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def metadata(self) -> Message:  # type: ignore[override]
        message = Message()
        message["Name"] = self._name
        return message

    def read_text(self, filename: str) -> None:
        return None

    def locate_file(self, path: object) -> None:  # type: ignore[override]
        return None


def point(name: str, value: str, package: str = "one") -> EntryPoint:
    made = EntryPoint(name, value, GROUP)
    return made._for(_Package(package))  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    def install(*points: EntryPoint) -> None:
        monkeypatch.setattr("hwsearch.registry.entry_points", lambda group: points if group == GROUP else ())

    return install


def test_a_plug_in_is_found_by_its_name(installed) -> None:
    installed(point("path", "pathlib:Path"), point("array", "numpy:ndarray"))
    assert THINGS.names() == ["array", "path"]
    assert THINGS.load("path").__name__ == "Path"


def test_an_unknown_name_is_answered_with_the_nearest_and_with_who_asks(installed) -> None:
    installed(point("path", "pathlib:Path"))
    with pytest.raises(
        DeviceError, match=r"device 'box' asks for thing 'pth', which is not installed.*Did you mean 'path'"
    ):
        THINGS.load("pth", where="device 'box'")
    with pytest.raises(DeviceError, match="thing 'pth' is not installed"):
        THINGS.load("pth")


def test_a_name_taken_twice_names_both_distributions_and_spares_the_others(installed) -> None:
    installed(
        point("path", "pathlib:Path", "first-package"),
        point("path", "pathlib:PurePath", "second-package"),
        point("array", "numpy:ndarray"),
    )
    with pytest.raises(
        PluginError, match=r"'first-package' \(pathlib:Path\) and 'second-package' \(pathlib:PurePath\)"
    ):
        THINGS.load("path")
    assert THINGS.names() == ["array", "path"] and THINGS.load("array")


def test_the_same_value_from_two_distributions_is_taken_twice_as_well(installed) -> None:
    installed(point("path", "pathlib:Path", "a"), point("path", "pathlib:Path", "b"))
    with pytest.raises(PluginError, match="two distributions"):
        THINGS.load("path")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_module:X", "cannot be imported.*no_such_module"),
        ("pathlib:Pth", "cannot be imported"),
        ("math:pi", "not a class"),
        ("tests_of_the_registry.raises:X", "cannot be imported.*ZeroDivisionError: division by zero"),
        ("tests_of_the_registry.exits:X", "cannot be imported.*SystemExit: 3"),
    ],
)
def test_what_cannot_be_had_says_why(
    installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    (tmp_path / "tests_of_the_registry").mkdir()
    (tmp_path / "tests_of_the_registry" / "raises.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "tests_of_the_registry" / "exits.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    installed(point("x", value))
    with pytest.raises(PluginError, match=said):
        THINGS.load("x")


def test_our_own_plug_ins_are_entries_like_any_other() -> None:
    for group in ("searchers", "runtimes", "supernets", "strategies", "objectives"):
        found = entry_points(f"hwsearch.{group}")
        assert found and all(p.dist is not None and p.dist.name == "hwsearch" for p in found)
        for p in found:
            if p.name != "botorch-qnehvi":
                assert p.load() is not None
