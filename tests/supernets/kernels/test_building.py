"""Building the library: compilers that are missing, broken, slow to answer or for another machine; two builders at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hwsearch.errors import SupernetError
from hwsearch.supernets.kernels import building
from hwsearch.supernets.kernels.building import (
    LIBRARY,
    RECORD,
    build_packaged,
    built_library,
    cache_folder,
    find_compiler,
    intact,
    packaged_library,
    source_digest,
)
from hwsearch.supernets.kernels.processor import machine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="compilers are shell scripts here")


def compiler(folder: Path, *, target: str = "", body: str = 'echo library > "$output"') -> Path:
    """A compiler that answers questions and runs `body` where it is to write ``$output``; it counts its builds."""
    path = folder / "compiler"
    path.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = --version ] && echo "toy 1.0" && exit\n'
        f'[ "$1" = -dumpmachine ] && echo {target or machine()}-linux-gnu && exit\n'
        f'echo build >> "{folder}/builds"\n'
        'while [ $# -gt 0 ]; do [ "$1" = -o ] && output=$2; shift; done\n'
        f"{body}\n"
    )
    path.chmod(0o755)
    return path


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
    assert packaged_library("x86-64-v3", folder) is None
    assert build_packaged(["x86-64-v3", "x86-64-v2"], folder) == [folder / f"x86-64-v{n}" / LIBRARY for n in (3, 2)]
    assert packaged_library("x86-64-v3", folder) == folder / "x86-64-v3" / LIBRARY
    assert packaged_library("x86-64-v4", folder) is None
    for name in ("source_digest", "machine"):
        with monkeypatch.context() as patched:
            patched.setattr(building, name, lambda: "another")
            assert packaged_library("x86-64-v3", folder) is None
    (folder / "x86-64-v3" / LIBRARY).write_text("damaged")
    assert packaged_library("x86-64-v3", folder) is None


def test_another_source_or_compiler_is_another_build(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = built_library("neon", toy / "cache")
    with monkeypatch.context() as patched:
        patched.setattr(building, "source_digest", lambda: "another")
        assert built_library("neon", toy / "cache") != first
    monkeypatch.setenv("CXX", f"env {toy / 'compiler'}")
    assert built_library("neon", toy / "cache") != first and builds(toy) == 3


def test_the_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text("int a;")
    first = source_digest(tmp_path)
    (tmp_path / "a.cpp").write_text("int b;")
    second = source_digest(tmp_path)
    (tmp_path / "a.cpp").rename(tmp_path / "c.cpp")
    assert len({first, second, source_digest(tmp_path)}) == 3


@pytest.mark.parametrize("damage", ["truncated", "missing", "no record", "record of a list"])
def test_a_damaged_build_is_made_again(toy: Path, damage: str) -> None:
    path = built_library("neon", toy / "cache")
    if damage == "truncated":
        path.write_text("lib")
    elif damage == "missing":
        path.unlink()
    elif damage == "no record":
        (path.parent / RECORD).unlink()
    else:
        (path.parent / RECORD).write_text("[]")
    assert not intact(path.parent)
    assert built_library("neon", toy / "cache").read_text() == "library\n" and builds(toy) == 2


def test_builders_at_once_make_one_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = compiler(tmp_path, body='echo half > "$output"; sleep 0.3; echo whole > "$output"')
    monkeypatch.setenv("CXX", str(slow))
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: built_library("neon", tmp_path / "cache"), range(4)))
    assert len(set(paths)) == 1 and paths[0].read_text() == "whole\n" and builds(tmp_path) == 1
    assert [p for p in (tmp_path / "cache").iterdir() if p.is_dir()] == [paths[0].parent]


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SupernetError, match=r"no C\+\+ compiler"):
        built_library("neon", tmp_path)
    monkeypatch.setenv("CXX", "not-there -O1")
    with pytest.raises(SupernetError, match="CXX='not-there -O1' is not there"):
        find_compiler()
    monkeypatch.setenv("CXX", "g++ 'half")
    with pytest.raises(SupernetError, match="is not a command: No closing quotation"):
        find_compiler()


def test_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = 'echo "library.cpp:1: error: no such thing" >&2; exit 1'
    monkeypatch.setenv("CXX", str(compiler(tmp_path, body=body)))
    with pytest.raises(SupernetError, match=r"failed: library\.cpp:1: error: no such thing"):
        built_library("neon", tmp_path / "cache")
    assert builds(tmp_path) == 2  # with OpenMP and without
    assert [p for p in (tmp_path / "cache").iterdir() if p.is_dir()] == []
    monkeypatch.setenv("CXX", str(compiler(tmp_path, body=":")))
    with pytest.raises(SupernetError, match="it says nothing"):
        built_library("neon", tmp_path / "cache")


def test_a_compiler_for_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", str(compiler(tmp_path, target="riscv64")))
    with pytest.raises(SupernetError, match=f"builds for riscv64, this machine is {machine()}"):
        built_library("neon", tmp_path / "cache")
    assert builds(tmp_path) == 0


def test_a_compiler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "silent"
    path.write_text("#!/bin/sh\nsleep 60\n")
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))
    monkeypatch.setattr(building, "COMPILER_SECONDS", 0.2)
    with pytest.raises(SupernetError, match=r"takes longer than 0\.2 s"):
        built_library("neon", tmp_path / "cache")
    path.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(SupernetError, match="does not answer"):
        built_library("neon", tmp_path / "cache")


def test_a_compiler_that_cannot_be_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "garbage"
    path.write_bytes(b"\x7fELF garbage")
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))
    with pytest.raises(SupernetError, match="cannot be run"):
        built_library("neon", tmp_path / "cache")


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


CROSS, EMULATOR = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")


@pytest.mark.slow
@pytest.mark.skipif(CROSS is None or EMULATOR is None, reason="needs g++ for aarch64 and qemu-user")
def test_neon_computes_right_under_an_emulator(tmp_path: Path) -> None:
    """The same source on ARM, each function against loops in double."""
    options = [o for o in building.OPTIONS if o not in ("-shared", "-fno-exceptions", "-fno-rtti")]
    program = tmp_path / "check"
    command = [
        str(CROSS),
        *options,
        "-static",
        "-fopenmp",
        str(Path(__file__).parent / "check.cpp"),
        "-o",
        str(program),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    done = subprocess.run([str(EMULATOR), str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("4 lanes"), done.stdout
