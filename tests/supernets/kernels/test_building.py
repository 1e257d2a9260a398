"""Finding the library: the package's own and those of the cache, damaged ones, and two builders at once."""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hwsearch.errors import SupernetError
from hwsearch.supernets.kernels import building
from hwsearch.supernets.kernels.building import WHEEL, built_library, cache_folder, intact, packaged_library
from hwsearch.supernets.kernels.compiling import LIBRARY, RECORD, build_packaged
from hwsearch.supernets.kernels.processor import machine
from tests.supernets.kernels.test_compiling import compiler

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="compilers are shell scripts here")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CXX", str(compiler(tmp_path)))
    return tmp_path


def builds(folder: Path) -> int:
    return len((folder / "builds").read_text().split()) if (folder / "builds").exists() else 0


def test_a_build_is_made_once_and_recorded(toy: Path) -> None:
    path = built_library("x86-64-v3", toy / "cache")
    record = json.loads((path.parent / RECORD).read_text())
    assert path.name == LIBRARY and path.read_text() == "library\n" and intact(path.parent)
    assert record["level"] == "x86-64-v3" and record["machine"] == machine()
    assert built_library("x86-64-v3", toy / "cache") == path and builds(toy) == 1
    assert built_library("x86-64-v2", toy / "cache") != path and builds(toy) == 2


def test_a_packaged_library_is_used_for_its_source_and_machine(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toy / "built"
    assert packaged_library("x86-64-v3", folder) is None  # a source checkout
    assert build_packaged(["x86-64-v3", "x86-64-v2"], folder) == [folder / f"x86-64-v{n}" / LIBRARY for n in (3, 2)]
    assert packaged_library("x86-64-v3", folder) == folder / "x86-64-v3" / LIBRARY
    with pytest.raises(SupernetError, match=r"the package brings none for x86-64-v4\."):
        packaged_library("x86-64-v4", folder)
    for name, what in (("source_digest", "source"), ("machine", "machine")):
        with monkeypatch.context() as patched:
            patched.setattr(building, name, lambda: "another")
            with pytest.raises(SupernetError, match=f"is of another {what}"):
                packaged_library("x86-64-v3", folder)
    shutil.copytree(folder / "x86-64-v3", folder / "x86-64-v4")
    with pytest.raises(SupernetError, match="is of another level"):
        packaged_library("x86-64-v4", folder)


@pytest.mark.parametrize("damage", ["truncated", "missing", "no record", "record of a list", "not UTF-8"])
def test_a_damaged_packaged_library_is_named(toy: Path, damage: str) -> None:
    build_packaged(["neon"], toy / "built")
    hurt(toy / "built" / "neon", damage)
    with pytest.raises(SupernetError, match=r"built/neon/kernels.so' is damaged. Install it again"):
        packaged_library("neon", toy / "built")


def test_a_package_that_was_built_without_kernels_says_why(tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_text(json.dumps({"reason": "no C++ compiler is installed."}))
    with pytest.raises(SupernetError, match=r"was built without compiled kernels: no C\+\+ compiler is installed\.$"):
        packaged_library("neon", tmp_path)
    (tmp_path / WHEEL).write_text("[1")
    with pytest.raises(SupernetError, match="brings none for neon"):
        packaged_library("neon", tmp_path)


def hurt(place: Path, damage: str) -> None:
    """Damage a build."""
    if damage == "truncated":
        (place / LIBRARY).write_text("lib")
    elif damage == "missing":
        (place / LIBRARY).unlink()
    elif damage == "no record":
        (place / RECORD).unlink()
    else:
        (place / RECORD).write_bytes(b"[]" if damage == "record of a list" else b"{\xff}")


def test_another_source_or_compiler_is_another_build(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = built_library("neon", toy / "cache")
    with monkeypatch.context() as patched:
        patched.setattr(building, "source_digest", lambda: "another")
        assert built_library("neon", toy / "cache") != first
    monkeypatch.setenv("CXX", f"env {toy / 'compiler'}")
    assert built_library("neon", toy / "cache") != first and builds(toy) == 3


@pytest.mark.parametrize("damage", ["truncated", "missing", "no record", "record of a list"])
def test_a_damaged_build_is_made_again(toy: Path, damage: str) -> None:
    path = built_library("neon", toy / "cache")
    hurt(path.parent, damage)
    assert not intact(path.parent)
    assert built_library("neon", toy / "cache").read_text() == "library\n" and builds(toy) == 2


def test_builders_at_once_make_one_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = compiler(tmp_path, body='echo half > "$output"; sleep 0.3; echo whole > "$output"')
    monkeypatch.setenv("CXX", str(slow))
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: built_library("neon", tmp_path / "cache"), range(4)))
    assert len(set(paths)) == 1 and paths[0].read_text() == "whole\n" and builds(tmp_path) == 1
    assert [p for p in (tmp_path / "cache").iterdir() if p.is_dir()] == [paths[0].parent]


def test_a_folder_that_cannot_be_written(toy: Path) -> None:
    (toy / "file").write_text("")
    with pytest.raises(SupernetError, match="cannot be built in"):
        built_library("neon", toy / "file" / "cache")


def test_where_builds_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HWSEARCH_KERNELS", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("HWSEARCH_KERNELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "hwsearch" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(SupernetError, match=r"no folder for compiled kernels: .* Name one by HWSEARCH_KERNELS"):
        cache_folder()
