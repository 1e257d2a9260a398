"""Runtime ``cuda``: all but the kernels on a fake driver; with -m gpu the rest, where there is a GPU."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.devices import Device, Model, Workload, create_runtime
from hwsearch.devices import gpu as gpu_module
from hwsearch.devices.gpu import Gpu
from hwsearch.devices.runtimes import cuda as module
from hwsearch.devices.runtimes.cuda import CudaRuntime
from hwsearch.errors import DeviceError, MeasurementError, ProviderError
from hwsearch.tasks.inputs import image

SHAPE = (3, 8, 8)


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()


def work():
    return Workload((Model(image(SHAPE), module=net()),))


@pytest.fixture
def make(fake_cuda, fake_nvml):
    def make(cuda=None, nvml=None, place="cpu", **options):
        device = Device("gpu", "cuda", options=options)
        return CudaRuntime(device, cuda=cuda or fake_cuda(), nvml=nvml or fake_nvml(), place=place)

    return make


# ---------------------------------------------------------------------- without a GPU
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_machine_without_a_gpu_says_so_in_one_line():
    with pytest.raises(DeviceError, match=r"'gpu' asks for a CUDA GPU: .*(without CUDA|no CUDA device)") as caught:
        create_runtime(Device("gpu", "cuda"))
    assert "\n" not in str(caught.value) and "torch-cpu" in str(caught.value)
    with pytest.raises(DeviceError, match="no CUDA device: "):
        CudaRuntime.offers()


def test_a_gpu_of_a_number_that_is_not_there(make, fake_cuda):
    with pytest.raises(DeviceError, match="no GPU 2, only 2"):
        make(fake_cuda(devices=2), index=2)
    with pytest.raises(DeviceError, match="finds no CUDA device"):
        make(fake_cuda(devices=0))


# ---------------------------------------------------------------------- what the driver tells
def test_facts_are_the_driver_s_and_hold_nothing_that_moves(make, fake_nvml):
    nvml = fake_nvml()
    runtime = make(nvml=nvml)
    facts = runtime.facts()
    assert nvml.opened == ["GPU-uuid-0"]
    expected = {
        "driver": "570.1",
        "max_sm_clock_mhz": 1980,
        "max_memory_clock_mhz": 2619,
        "power_limit_mw": 700_000,
        "gpu": "Fake 0",
        "capability": "9.0",
        "clock": "host",
        "mode": "eager",
    }
    assert {k: facts[k] for k in expected} == expected
    assert "sm_clock_mhz" not in json.dumps({k: v for k, v in facts.items() if not k.startswith("max_")})


def test_a_gpu_that_tells_little(make, fake_nvml):
    nvml = fake_nvml(("nvmlDeviceGetMaxClockInfo", "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage"))
    runtime = make(nvml=nvml)
    assert runtime.facts()["max_sm_clock_mhz"] is None and runtime.facts()["driver"] == "570.1"
    assert runtime.gpu.energy() is None and runtime.gpu.state()["power_mw"] is None
    assert set(runtime.footprint(work())) == {"peak_memory_mib"}


def test_without_nvidia_ml_py_or_driver_nothing_is_told(monkeypatch, fake_nvml):
    def no_package(name):
        raise ImportError(name)

    monkeypatch.setattr(gpu_module, "import_module", no_package)
    gpu = Gpu("uuid")
    assert set(gpu.facts().values()) == {None} and set(gpu.state().values()) == {None} and gpu.energy() is None

    no_driver = fake_nvml(("nvmlDeviceGetHandleByUUID",))
    gpu = Gpu("uuid", no_driver)
    assert set(gpu.facts().values()) == {None}


@pytest.mark.parametrize(
    ("mask", "words"),
    [(0, []), (4, ["power cap"]), (32 | 64, ["too hot"]), (1 | 8 | 128, ["hardware slowdown", "power brake"])],
)
def test_what_holds_the_clock_down(make, fake_nvml, caplog, mask, words):
    nvml = fake_nvml()
    session = make(nvml=nvml).load(work())
    nvml.mask = mask
    with caplog.at_level(logging.WARNING, logger="hwsearch.devices.runtimes.cuda"):
        session.time(1)
        session.time(1)
    assert session.state == {"sm_clock_mhz": 1500, "temperature_c": 55, "power_mw": 120_000, "throttled": words}
    assert session.throttled == set(words) and len(caplog.records) == bool(words)


@pytest.mark.parametrize("name", sorted(gpu_module.THROTTLES))
def test_the_names_are_nvml_s(name, fake_nvml):
    pynvml = pytest.importorskip("pynvml")
    assert getattr(pynvml, name) == getattr(fake_nvml, name)
    assert pynvml.NVML_CLOCK_SM == fake_nvml.NVML_CLOCK_SM and pynvml.NVML_CLOCK_MEM == fake_nvml.NVML_CLOCK_MEM
    assert all(hasattr(pynvml, n) for n in vars(fake_nvml) if n.startswith("nvml"))


# ---------------------------------------------------------------------- sessions
def test_both_clocks_are_kept_and_one_is_chosen(make, monkeypatch):
    ticks = iter(range(0, 10**9, 2_000_000))
    monkeypatch.setattr(module.time, "perf_counter_ns", lambda: next(ticks))
    host = make().load(work())
    assert host.time(3) == host.host_ms == [2.0] * 3 and host.device_ms == [0.25] * 3
    device = make(clock="device").load(work())
    assert device.time(3) == device.device_ms == [0.25] * 3 and device.host_ms == [2.0] * 3


def test_each_run_is_waited_for_before_the_next(make, fake_cuda):
    cuda = fake_cuda()
    session = make(cuda).load(work())
    cuda.log.clear()
    session.time(2)
    assert cuda.log == ["synchronise", "record", "record", "wait for event"] * 2


def test_a_graph_is_captured_when_warm_and_replayed(make, fake_cuda):
    cuda = fake_cuda(devices=2)
    ran = []
    module_ = net()
    module_.register_forward_hook(lambda *_: ran.append(len(cuda.log)))
    device = Device("gpu", "cuda", options={"mode": "graph", "index": 1})
    runtime = CudaRuntime(device, cuda=cuda, place="cpu")
    session = runtime.load(Workload((Model(image(SHAPE), module=module_),)))
    assert len([r for r in ran if r < cuda.log.index("capture")]) >= 3
    captured = len(ran)
    cuda.log.clear()
    session.time(2)
    assert cuda.log == ["synchronise", "record", "replay", "record", "wait for event"] * 2
    assert len(ran) == captured and cuda.current == 0
    session.close()
    with pytest.raises(MeasurementError, match="closed"):
        session.time(1)


def test_the_cache_is_written_over_before_each_run(make, fake_cuda):
    cuda = fake_cuda()
    runtime = make(cuda, flush_l2=True)
    flush = runtime.flusher()
    assert flush.__self__.numel() == 2000  # twice the fake's cache
    session = runtime.load(work())
    session._flush = lambda: cuda.log.append("flush")
    cuda.log.clear()
    session.time(1)
    assert cuda.log[:3] == ["flush", "synchronise", "record"]
    assert make().flusher() is None


@pytest.mark.parametrize("wanted", [True, False])
def test_tf32_holds_within_and_is_given_back(make, wanted):
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [b.allow_tf32 for b in backends]
    seen = []
    watched = net()
    watched.register_forward_hook(lambda *_: seen.extend(b.allow_tf32 for b in backends))
    make(tf32=wanted).load(Workload((Model(image(SHAPE), module=watched),))).time(1)
    assert set(seen) == {wanted}
    assert [b.allow_tf32 for b in backends] == before


def test_a_gpu_that_is_lost_fails_the_measurement(make, fake_cuda):
    cuda = fake_cuda()
    session = make(cuda).load(work())
    cuda.lost = True
    with pytest.raises(MeasurementError, match="the GPU failed: CUDA error: unspecified launch failure") as caught:
        session.time(1)
    assert "TORCH_USE_CUDA_DSA" not in str(caught.value)


def test_memory_that_runs_out_is_a_refusal(make, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nProcess 3 has 70 GiB")

    monkeypatch.setattr(nn.Module, "to", full)
    with pytest.raises(DeviceError, match=r"out of memory\. Tried to allocate 2\.00 GiB\. Use a smaller batch"):
        make().load(work())


def test_footprint_is_the_gpu_s(make):
    found = make().footprint(work())
    assert found["peak_memory_mib"] == 4.0
    assert found["energy_mj"] > 0 and found["energy_mj_spread"] >= 0


def test_operators_elsewhere_are_no_operators_of_the_gpu(make):
    runtime = make()
    assert runtime.verify(work()) == {"cpu": 2}  # the fake's tensors lie there
    runtime.place = "meta"
    runtime.load = make().load
    assert runtime.verify(work()) == {"meta": 2}
    runtime.place = "cpu:0"

    class Elsewhere(nn.Module):
        def forward(self, x):
            return torch.ones(3, device="meta")

    with pytest.raises(ProviderError, match=r"asked for 'cpu', but \{'meta': 1\} ran"):
        runtime.load = lambda workload: make().load(work())
        runtime.verify(Workload((Model(image(SHAPE), module=Elsewhere()),)))


# ---------------------------------------------------------------------- with a GPU
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("mode", module.MODES)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_every_mode_computes_what_the_processor_does(mode, precision):
    device = Device("gpu", "cuda", batch=2, precision=precision, options={"mode": mode})
    model = Model(image(SHAPE), module=net())
    session = create_runtime(device).load(Workload((model,)))
    times = session.time(10)
    assert len(times) == 10 and all(h > 0 and d > 0 for h, d in zip(session.host_ms, session.device_ms, strict=True))
    if mode != "graph":
        (part,) = session._keep
        with torch.inference_mode():
            found = part().float().cpu()
            expected = model.module(part._inputs[0].float().cpu())
        tolerance = 1e-4 if precision == "fp32" else 5e-2
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
@gpu
def test_a_longer_network_takes_longer_on_the_gpu():
    """256 and 4 convolutions: a factor that no noise hides."""
    values = []
    for layers in (4, 256):
        deep = nn.Sequential(*(nn.Conv2d(64, 64, 3, padding=1) for _ in range(layers))).eval()
        device = Device("gpu", "cuda", options={"mode": "graph", "clock": "device"})
        workload = Workload((Model(image((64, 56, 56)), module=deep),))
        values.append(float(np.median(create_runtime(device).load(workload).time(20))))
    assert values[1] > 5 * values[0]
