"""Operator profiles of torch: networks whose operators are known, and made-up traces of a GPU worked by hand."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwsearch.devices import Device, profiler
from hwsearch.devices.operators import Signature
from hwsearch.devices.runtimes.base import Model, Workload
from hwsearch.devices.runtimes.cuda import CudaRuntime
from hwsearch.devices.runtimes.torch_cpu import TorchCpuRuntime
from hwsearch.devices.torch_profiler import RUN, kernels, profile, signatures
from hwsearch.errors import DeviceError, MeasurementError
from hwsearch.supernets import catalogue
from hwsearch.tasks.inputs import Input
from tests.devices.conftest import FakeCuda

SHAPE = (Input("x", (3, 16, 16)),)


class Small(nn.Module):
    """Three kinds of convolutions, a norm, an activation, a view and a matrix product."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride, 1)
        self.bn = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.point = nn.Conv2d(8, 4, 1)
        self.line = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn(self.conv(x)))
        return self.line(self.point(self.deep(y)).mean((2, 3)).view(-1, 4))  # type: ignore[no-any-return]


def cpu(**options: Any) -> TorchCpuRuntime:
    return TorchCpuRuntime(Device("t", runtime="torch-cpu", options=options))


def model(stride: int = 1) -> Model:
    return Model(SHAPE, module=Small(stride))


def test_a_network_has_a_row_an_operator() -> None:
    found = profile(cpu(), model(2), runs=4, warmup=1)
    ops = [k.signature.op.removeprefix("aten::") for k in found.kernels]
    assert ops == ["conv2d", "batch_norm", "relu", "conv2d", "conv2d", "mean", "view", "linear"]
    assert [k.signature.kind for k in found.kernels if "conv" in k.signature.kind] == [
        "conv",
        "depthwise conv",
        "pointwise conv",
    ]
    conv = found.kernels[0].signature
    assert conv.attributes["strides"] == [2, 2] and conv.attributes["kernel_shape"] == [3, 3]
    assert conv.inputs == ({"float": [1, 3, 16, 16]}, {"float": [8, 3, 3, 3]}, {"float": [8]})
    assert conv.outputs == ({"float": [1, 8, 8, 8]},)
    assert conv.text == "conv 3×3 /2 1×3×16×16 → 1×8×8×8" and found.kernels[1].signature.kind == "batch norm"
    assert all(len(k.us) == 4 and min(k.us) > 0 for k in found.kernels) and len(found.plain_ms) == 4
    assert Signature.from_dict(json.loads(conv.canonical)) == conv


def test_equal_work_has_one_signature_and_other_work_another() -> None:
    first, again, other = (signatures(cpu(), model(s)) for s in (1, 1, 2))
    assert first == again and not (first.keys() & other.keys()) - {
        s for s in first if s.op in ("aten::view", "aten::linear")
    }

    class Twice(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.transpose(2, 3)
            return torch.relu(y) + torch.relu(y) + torch.relu(x)

    found = signatures(cpu(), Model(SHAPE, module=Twice()))
    relus = {s: n for s, n in found.items() if s.op == "aten::relu"}
    assert sorted(relus.values()) == [1, 2], "a transposed input is other work"


def test_every_operator_of_the_embedded_supernet_is_told() -> None:
    net = catalogue.entry("cifar10-mbv3").build().eval()
    for arch in (net.space.smallest(), net.space.largest()):
        work = Model((Input("x", net.input_shape(arch)),), module=net.subnet(arch).eval())
        counted = signatures(cpu(), work)
        blocks = sum(arch.integer(f"d[{s}]") for s in range(4))
        assert sum(n for s, n in counted.items() if s.kind == "depthwise conv") == blocks + 1
        assert counted == Counter(k.signature for k in profile(cpu(), work, runs=2, warmup=1).kernels)


def test_compiled_networks_are_refused() -> None:
    with pytest.raises(DeviceError, match="device 't' has mode 'compiled'"):
        signatures(cpu(mode="compiled"), model())


def test_the_sum_of_operators_is_the_profiled_inference() -> None:
    found = profile(cpu(), model(), runs=6, warmup=2)
    assert found.kernel_ms.sum() > 0 and found.whole_ms > 0
    total = np.array([k.us for k in found.kernels]).sum(axis=0)
    assert found.kernel_ms.sum() == pytest.approx(np.sort(total)[:3].mean() / 1e3)


def test_the_runtime_cuda_runs_through_the_same_code() -> None:
    device = Device("g", runtime="cuda")
    runtime = CudaRuntime(device, cuda=FakeCuda(), place="cpu")
    found = profiler.count_signatures(runtime, Workload((model(), Model(SHAPE, module=Small(2), runs=3))))
    assert {s.provider for s in found} == {"cuda"} and sum(found.values()) == 8 * 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_kernels_of_a_gpu_add_up_to_what_its_clock_says() -> None:
    runtime = CudaRuntime(Device("g", runtime="cuda", options={"clock": "device"}))
    found = profile(runtime, model(), runs=10)
    assert found.kernels[0].signature.op == "aten::conv2d"
    assert 0.1 * found.whole_ms < found.kernel_ms.sum() < 10 * found.whole_ms


# ---------------------------------------------------------------------- made-up traces
def operator(name: str, ts: float, dur: float, tid: int = 1) -> dict[str, Any]:
    return {"cat": "cpu_op", "name": f"aten::{name}", "ts": ts, "dur": dur, "tid": tid}


def launch(number: int, ts: float, start: float, dur: float, kind: str = "cuda_runtime") -> list[dict[str, Any]]:
    args = {"correlation": number}
    return [
        {"cat": kind, "name": "launch", "ts": ts, "dur": 1, "tid": 1, "args": args},
        {"cat": "kernel", "name": "k", "ts": start, "dur": dur, "tid": 7, "args": args},
    ]


def trace(at: float, number: int = 0, *, slow: float = 0.0) -> list[dict[str, Any]]:
    """One inference from `at`: a convolution of two kernels that run later, a view, an addition; another thread is busy."""
    return [
        {"cat": "user_annotation", "name": RUN, "ts": at, "dur": 90, "tid": 1},
        operator("conv2d", at + 2, 20),
        operator("convolution", at + 3, 18),
        operator("view", at + 25, 2),
        operator("add", at + 30, 10),
        operator("mul", at + 31, 3, tid=2),
        *launch(number + 1, at + 5, at + 40, 6),
        *launch(number + 2, at + 15, at + 50, 10 + slow, "cuda_driver"),
        *launch(number + 3, at + 33, at + 65 + slow, 5),
    ]


WORK = [Signature(f"aten::{n}", "cuda", "fp32", (), (), {}) for n in ("conv2d", "view", "add")]


def test_times_on_a_processor_are_those_between_starts() -> None:
    conv, view, add = kernels([*trace(100), *trace(200)], WORK, skip=1)
    assert (conv.us, view.us, add.us) == ((23,), (5,), (10,))


def test_times_on_a_gpu_are_those_between_the_starts_of_kernels() -> None:
    conv, add = kernels([*trace(200, 10, slow=4), *trace(100)], WORK, on_gpu=True)
    assert conv.signature is WORK[0] and add.signature is WORK[2], "a view has no kernel"
    assert conv.us == (25, 29) and add.us == (5, 5)


@pytest.mark.parametrize(
    ("events", "work", "words"),
    [
        ([], WORK, "no inference after its warm-up"),
        (trace(0), WORK[:2], "operator 2 of the profile is aten::add, where nothing was dispatched"),
        (trace(0), [WORK[1], *WORK[1:]], "operator 0 of the profile is aten::conv2d, where aten::view"),
        ([e for e in trace(0) if e["cat"] != "cpu_op"], WORK, "calls no operator"),
        ([e for e in trace(0) if e["cat"] != "kernel"], WORK, "no kernel of the GPU"),
        ([*trace(0), *trace(100)[:-2]], WORK, "kernels from different operators"),
    ],
)
def test_what_cannot_be_told_apart_is_an_error(events: Any, work: Any, words: str) -> None:
    with pytest.raises(MeasurementError, match=words):
        kernels(events, work, on_gpu=True)
