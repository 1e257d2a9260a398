"""Instruction sets by a processor's flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsearch.supernets.kernels import processor
from hwsearch.supernets.kernels.processor import FLAGS, X86_LEVELS, instruction_sets, processor_flags

V2, V3, V4 = (" ".join(sorted(f)) for f in X86_LEVELS.values())


def cpuinfo(folder: Path, *cores: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text("".join(f"processor\t: {i}\nflags\t\t: fpu {core}\n\n" for i, core in enumerate(cores)))
    return path


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (f"{V2} {V3} {V4}", ("x86-64-v4", "x86-64-v3", "x86-64-v2")),
        (f"{V2} {V3}", ("x86-64-v3", "x86-64-v2")),
        (f"{V2} {V3} {V4.replace('avx512vl', '')}", ("x86-64-v3", "x86-64-v2")),
        (f"{V2} {V4}", ("x86-64-v2",)),  # a hypervisor that hides AVX2 hides what builds on it
        (V2, ("x86-64-v2",)),
        ("sse2", ()),
    ],
)
def test_levels_of_x86(flags: str, expected: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "machine", lambda: "x86_64")
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    assert instruction_sets(cpuinfo(tmp_path, flags)) == expected


def test_the_weakest_core_decides(tmp_path: Path) -> None:
    assert processor_flags(cpuinfo(tmp_path, "a b c", "b c d")) == {"fpu", "b", "c"}


def test_other_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "none"
    for name, expected in (("aarch64", ("neon",)), ("riscv64", ())):
        monkeypatch.setattr(processor, "machine", lambda name=name: name)
        assert instruction_sets(missing) == expected
    monkeypatch.setattr(processor, "machine", lambda: "x86_64")
    for capability, expected in (("AVX512", "x86-64-v4"), ("AVX2", "x86-64-v3")):
        monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda capability=capability: capability)
        assert instruction_sets(missing)[0] == expected
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "DEFAULT")
    assert instruction_sets(missing) == ()


@pytest.mark.parametrize(("capability", "best"), [("AVX512", "v4"), ("AVX2", "v3"), ("DEFAULT", "v2"), ("NEW", "v2")])
def test_the_processor_itself_must_allow_what_the_file_says(
    capability: str, best: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emulator shows the file of its host."""
    monkeypatch.setattr(processor, "machine", lambda: "x86_64")
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    assert instruction_sets(cpuinfo(tmp_path, f"{V2} {V3} {V4}"))[0] == f"x86-64-{best}"


def test_every_level_has_flags() -> None:
    assert set(FLAGS) == {*X86_LEVELS, "neon"}
    assert not any("native" in flag or "fast-math" in flag for flags in FLAGS.values() for flag in flags)
