"""Every runtime of ours passes the suite that is shipped for others'."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

import latency_tables
from hwsearch.devices import Device, Workload
from hwsearch.devices.host import usable_cores
from hwsearch.devices.runtimes.cuda import CudaRuntime
from hwsearch.testing import RuntimeConformance

EXAMPLE = Path(__file__).parents[3] / "examples" / "command_onnxruntime.py"


class TestOnnxRuntime(RuntimeConformance):
    changes = (
        {"batch": 2},
        {"precision": "fp16"},
        {"options": {"optimization": "basic"}},
        {"options": {"spinning": True}},
        {"options": {"parallel": True}},
        {"options": {"inter_op_threads": 2}},
        {"options": {"arena": False}},
        {"options": {"io_binding": True}},
        {"options": {"session.set_denormal_as_zero": True}},
    )
    refused = (
        {"provider": "NoSuchExecutionProvider"},
        {"precision": "int4"},
        {"threads": usable_cores() + 1},
        {"options": {"optimization": "most"}},
        {"options": {"spinning": "yes"}},
        {"options": {"inter_op_threads": 0}},
    )

    def device(self):
        return Device("here")


class TestOnnxRuntimeBound(TestOnnxRuntime):
    changes = ({"batch": 2},)

    def device(self):
        return Device("here", provider="cpu", options={"io_binding": True})


class TestTorchCpu(RuntimeConformance):
    changes = ({"batch": 2}, {"precision": "bf16"}, {"options": {"mode": "compiled"}})
    refused = (
        {"provider": "CUDAExecutionProvider"},
        {"precision": "int8"},
        {"threads": usable_cores() + 1},
        {"options": {"mode": "compile"}},
        {"options": {"mode": 1}},
    )
    output = "output 0"

    def device(self):
        return Device("torch", "torch-cpu")


class TestTorchCpuBfloat16(TestTorchCpu):
    changes = ()

    def device(self):
        return Device("torch", "torch-cpu", precision="bf16")


class CudaConformance(RuntimeConformance):
    changes = (
        {"batch": 2},
        {"precision": "fp16"},
        {"precision": "bf16"},
        {"options": {"mode": "graph"}},
        {"options": {"mode": "compiled"}},
        {"options": {"clock": "device"}},
        {"options": {"tf32": True}},
        {"options": {"flush_l2": True}},
    )
    refused = (
        {"precision": "int8"},
        {"provider": "TensorrtExecutionProvider"},
        {"threads": 2},
        {"options": {"mode": "graphs"}},
        {"options": {"clock": "wall"}},
        {"options": {"tf32": 1}},
        {"options": {"index": 99}},
    )
    output = "output 0"
    mode = "eager"

    def device(self):
        return Device("gpu", "cuda", options={"mode": self.mode})


class TestCudaOnAFakeDriver(CudaConformance):
    @pytest.fixture(autouse=True)
    def _driver(self, fake_cuda, fake_nvml):
        self.cuda, self.nvml = fake_cuda(), fake_nvml()

    def make(self, device):
        return CudaRuntime(device, cuda=self.cuda, nvml=self.nvml, place="cpu")


class TestCudaGraphOnAFakeDriver(TestCudaOnAFakeDriver):
    changes = ()
    mode = "graph"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
class TestCuda(CudaConformance):
    pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
class TestCudaGraph(CudaConformance):
    changes = ()
    mode = "graph"


class TestCommand(RuntimeConformance):
    """ONNX Runtime in a process a call."""

    refused = ({"options": {"command": "echo {model}"}}, {"options": {"timeout_s": -1}}, {"batch": 2})

    def device(self):
        command = f"{sys.executable} {EXAMPLE} {{model}} --runs {{runs}} --inputs {{inputs}} --threads {{threads}}"
        return Device("other", "command", options={"command": command})

    @property
    def changes(self):
        command = self.device().options["command"]
        return ({"threads": 2}, {"options": {"command": f"{command} --runs {{runs}}"}}, {"options": {"timeout_s": 50}})


class TestSimulated(RuntimeConformance):
    changes = ({"options": {"noise": 0.1}}, {"options": {"seed": 1}}, {"options": {"interpolate": False}})
    refused = ({"options": {"noise": -1}}, {"options": {"table": "nowhere"}}, {"batch": 3})

    @pytest.fixture(autouse=True)
    def _table(self):
        frame = latency_tables.load("v100-b64", "ofa-mobilenetv3")
        space = latency_tables.load_space("ofa-mobilenetv3")
        self.genes = dict(frame[space.names].iloc[0].dropna())

    def device(self):
        return Device("table", "simulated", options={"table": "v100-b64/ofa-mobilenetv3"})

    def workload(self):
        return Workload((), "first", self.genes)

    def refused_workload(self):
        return dataclasses.replace(self.workload(), genes={"of": "another space"})
