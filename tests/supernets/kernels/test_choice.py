"""Which kernels are chosen, and that whatever is wrong with native ones leads to the eager ones with a line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from hwsearch.errors import SupernetError
from hwsearch.supernets.kernels import EAGER, active, choice, choose, using
from hwsearch.supernets.kernels.library import Library, load_library
from hwsearch.supernets.kernels.native import NativeKernels
from hwsearch.supernets.kernels.operators.binding import bind, bound


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Each test finds the library anew, and leaves the operators as they were."""
    before = bound()
    choice._native.cache_clear()
    yield
    choice._native.cache_clear()
    if before is not None:
        bind(before)


def found(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(choice, "instruction_sets", lambda: ("x86-64-v3",))
    monkeypatch.setattr(choice, "_PLACES", {"compiled here": lambda level: path})


def test_names() -> None:
    assert str(choose("eager")) == "eager (asked for)"
    assert str(choose("masked")).startswith("masked (full width")
    with pytest.raises(SupernetError, match="kernels='fast' is not valid: choose one of auto, eager, native, masked"):
        choose("fast")


def test_on_a_gpu_the_native_ones_are_of_no_use() -> None:
    assert str(choose("auto", "cuda")) == "eager (on cuda)" and choose("eager", "cuda").kernels is EAGER
    with pytest.raises(SupernetError, match=r"compiled for the processor, and the training is on device cuda"):
        choose("native", "cuda")


def test_native_names_its_instruction_set(native: NativeKernels) -> None:
    assert str(choose("native")).startswith(f"native ({native.library.level}")
    assert choose("auto").kernels.identity == f"native {native.library.level}"


@pytest.mark.parametrize("contents", [b"", b"\x7fELF", b"\x7fELF\x02\x01\x01" + b"\0" * 200, b"text"])
def test_a_file_that_is_no_library(contents: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "k.so").write_bytes(contents)
    found(monkeypatch, tmp_path / "k.so")
    chosen = choose("auto")
    assert chosen.kernels is EAGER and "cannot be loaded" in chosen.reason
    with pytest.raises(SupernetError, match="native kernels cannot be had"):
        choose("native")


def test_a_library_of_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import _ctypes

    found(monkeypatch, Path(getattr(_ctypes, "__file__", tmp_path / "none")))
    assert choose("auto").kernels is EAGER


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    chosen = choose("auto")
    assert chosen.kernels is EAGER and "no C++ compiler" in str(chosen)


def test_a_processor_without_an_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "instruction_sets", tuple)
    assert "none are written for this" in choose("auto").reason


def test_a_library_that_computes_wrong_is_not_used(native: NativeKernels, monkeypatch: pytest.MonkeyPatch) -> None:
    def halved(library: Library, wrong: bool = True) -> Library:
        class Wrong:
            def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
                real = getattr(library.functions, name)
                return (lambda *a: None) if name == "hwsearch_gate_sums" else real

        return Library(Wrong(), library.path, library.level, library.openmp)  # type: ignore[arg-type]

    monkeypatch.setattr(choice, "instruction_sets", lambda: (native.library.level,))
    monkeypatch.setattr(choice, "load_library", lambda path, level: halved(load_library(path, level)))
    chosen = choose("auto")
    assert chosen.kernels is EAGER and "computes wrong results" in chosen.reason


def test_a_worse_instruction_set_is_taken_where_the_best_fails(
    native: NativeKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = native.library.level

    def only_second(name: str) -> Path:
        if name == "better":
            raise SupernetError("the compiler knows no better.")
        return native.library.path

    monkeypatch.setattr(choice, "instruction_sets", lambda: ("better", level))
    monkeypatch.setattr(choice, "_PLACES", {"compiled here": only_second})
    assert choose("auto").reason == f"{level}, compiled here; the compiler knows no better"


def test_the_library_of_the_package_comes_first_and_what_is_wrong_with_it_is_said(
    native: NativeKernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = native.library.level
    monkeypatch.setattr(choice, "instruction_sets", lambda: (level,))
    copy = Path(shutil.copy(native.library.path, tmp_path / "copy.so"))
    places: dict[str, Path | str | None] = {"of the package": copy, "compiled here": native.library.path}

    def find(origin: str) -> Callable[[str], Path | None]:
        def finder(name: str) -> Path | None:
            found = places[origin]
            if isinstance(found, str):
                raise SupernetError(found)
            return found

        return finder

    monkeypatch.setattr(choice, "_PLACES", {origin: find(origin) for origin in places})

    def reason() -> str:
        choice._native.cache_clear()
        return choose("auto").reason

    assert reason() == f"{level}, of the package"
    places["of the package"] = None  # a source checkout
    assert reason() == f"{level}, compiled here"
    places["of the package"] = "it is damaged."
    assert reason() == f"{level}, compiled here; it is damaged"
    places["compiled here"] = "no compiler."
    assert reason() == "no native ones: it is damaged; no compiler"
    (tmp_path / "cut.so").write_bytes(b"\x7fELF\x02\x01\x01")  # not the copy, which is mapped into memory
    places["of the package"] = tmp_path / "cut.so"
    assert "cannot be loaded" in reason() and reason().endswith("; no compiler")


def test_a_library_of_another_instruction_set_is_not_taken(native: NativeKernels) -> None:
    other = "x86-64-v2" if native.library.level in ("x86-64-v3", "x86-64-v4") else "x86-64-v4"
    with pytest.raises(SupernetError, match=f"floats at once, {other} has"):
        load_library(native.library.path, other)


def test_a_copied_library_loads_where_it_lies(native: NativeKernels, tmp_path: Path) -> None:
    copy = shutil.copy(native.library.path, tmp_path / "copy.so")
    library = load_library(Path(copy), native.library.level)
    assert library.openmp == native.library.openmp


def test_kernels_are_active_inside_the_block_only() -> None:
    other = type(EAGER)()
    assert active() is EAGER
    with pytest.raises(ZeroDivisionError), using(other):
        assert active() is other
        _ = 1 / 0
    assert active() is EAGER


def test_operators_without_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsearch.supernets.kernels.operators import binding, pointwise

    monkeypatch.setattr(binding, "_bound", None)
    with pytest.raises(RuntimeError, match="no library of kernels is bound"):
        pointwise.pointwise(torch.randn(1, 2, 3, 3), torch.randn(4, 2, 1, 1))
