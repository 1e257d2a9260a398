"""Compilers that are missing, broken, slow to answer or for another machine; the same source under an emulator of ARM."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hwsearch.errors import SupernetError
from hwsearch.supernets.kernels import compiling
from hwsearch.supernets.kernels.building import built_library
from hwsearch.supernets.kernels.compiling import OPTIONS, find_compiler, source_digest
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


def builds(folder: Path) -> int:
    return len((folder / "builds").read_text().split()) if (folder / "builds").exists() else 0


def test_the_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text("int a;")
    first = source_digest(tmp_path)
    (tmp_path / "a.cpp").write_text("int b;")
    second = source_digest(tmp_path)
    (tmp_path / "a.cpp").rename(tmp_path / "c.cpp")
    assert len({first, second, source_digest(tmp_path)}) == 3


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
    monkeypatch.setattr(compiling, "COMPILER_SECONDS", 0.2)
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


CROSS, EMULATOR = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")


@pytest.mark.slow
@pytest.mark.skipif(CROSS is None or EMULATOR is None, reason="needs g++ for aarch64 and qemu-user")
def test_neon_computes_right_under_an_emulator(tmp_path: Path) -> None:
    """The same source on ARM, each function against loops in double."""
    options = [o for o in OPTIONS if o not in ("-shared", "-fno-exceptions", "-fno-rtti")]
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
