"""The benchmark of GPU parts where there is none: parts are guarded, and what needs no GPU of them is right."""

from __future__ import annotations

import importlib.metadata
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import gpu, gpu_training
from benchmarks.gpu import PARTS, OutOfTime, at_most, guarded
from benchmarks.gpu_parts import Bench, LeftOut, Part, latencies, operators
from hwsearch.devices import Device
from tests.api.test_processes import NETWORK


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, quick=True, gpu=False, say=lambda text: None)


def test_the_parts_fit_into_nine_minutes() -> None:
    assert sum(p.seconds for p in PARTS) <= gpu.WHOLE_S <= 540
    assert all(p.name in (gpu.__doc__ or "") for p in PARTS) and len({p.name for p in PARTS}) == len(PARTS)


def test_plug_ins_are_known_without_an_installation(tmp_path: Path) -> None:
    gpu.write_metadata(tmp_path)
    (told,) = importlib.metadata.distributions(path=[str(tmp_path)])
    found = {(p.group, p.name, p.value) for p in told.entry_points}
    for group in ("hwsearch.supernets", "hwsearch.runtimes", "hwsearch.strategies", "hwsearch.tasks"):
        installed = importlib.metadata.distribution("hwsearch").entry_points.select(group=group)
        assert {(p.group, p.name, p.value) for p in installed} <= found and len(installed) > 0


def test_a_part_that_fails_is_a_row(bench: Bench) -> None:
    def broken(_: Bench) -> dict[str, object]:
        raise RuntimeError("CUDA error: an illegal memory access\nmore")

    def absent(_: Bench) -> dict[str, object]:
        raise LeftOut("pytest is not installed")

    found = guarded(Part("a", 9, broken, gpu_only=False), bench, 9)
    assert (found["status"], found["reason"]) == ("failed", "RuntimeError: CUDA error: an illegal memory access")
    found = guarded(Part("a", 9, absent, gpu_only=False), bench, 9)
    assert (found["status"], found["reason"]) == ("left out", "pytest is not installed")
    assert guarded(Part("a", 9, broken), bench, 9)["reason"] == "there is no GPU"
    assert guarded(Part("a", 9, broken, gpu_only=False), bench, 1)["status"] == "left out"
    wrong = Part("a", 9, lambda _: {"wrong": "far from float64"}, gpu_only=False)
    assert guarded(wrong, bench, 9)["reason"] == "far from float64"
    with pytest.raises(OutOfTime, match=r"not done within 0 s"), at_most(0.05, again=0.05):
        with suppress(OutOfTime):  # as something below might
            time.sleep(5)
        time.sleep(5)


def test_without_a_gpu_one_sentence_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.BENCHMARK.main(["--quick", "--folder", str(tmp_path), "--only", "driver", "kernels"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("This machine has no CUDA GPU") and "kernels: done" in err and "left out" in out


def test_latencies_write_a_table_and_operators_compare_with_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "archs", property(lambda self: self.net.space.sample(8, np.random.default_rng(0))))
    found = latencies(bench, "ort", Device("cpu"), bench.onnx_work, 6)
    assert found["aa_spread_pct"] >= 0 and found["wrong"] is None and found["ran_on"].keys() == {"CPUExecutionProvider"}
    table = pd.read_csv(bench.folder / "latency-ort.csv")
    assert len(table) == 8 and (table["latency_ms"] > 0).all() and "ks[0]" in table
    kernels = operators(bench, "ort-operators", Device("cpu"), bench.onnx_work, "ort")
    assert kernels["signatures"] == kernels["measured"] > 20 and kernels["wrong"] is None
    assert kernels["sum_over_whole"] > 0 and (bench.folder / "ort-operators.csv").exists()


def test_gradients_and_operators_of_the_processor_hold(bench: Bench) -> None:
    assert gpu_training.kernels(bench)["wrong"] is None
    found = gpu_training.training(bench)
    assert found["wrong"] is None and found["eager_images_per_s"] > 0
    assert found["masked_graphs"] == found["resolutions"] and found["masked_gradient_error"] > 0


def test_the_verb_trains_on_images_of_noise_and_is_taken_up_again(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORK)
    found = gpu_training.train(bench, f"{tmp_path / 'net.py'}:ENTRY")
    assert found["wrong"] is None and found["first_losses_differ_by"] == 0 and found["fp32-masked_images_per_s"] > 0
