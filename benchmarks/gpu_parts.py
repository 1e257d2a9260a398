"""Parts of `benchmarks.gpu` about devices: each is a function of the bench that returns figures, ``wrong`` among them where one does not hold."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hwsearch.devices import Device, TimingProtocol, Workload, create_runtime, measure_group
from hwsearch.devices.gpu import Gpu
from hwsearch.devices.profiler import Profiled, count_signatures
from hwsearch.devices.runtimes.base import Model
from hwsearch.devices.timing.covering import choose
from hwsearch.devices.timing.operator_profile import profile_operators
from hwsearch.devices.timing.operator_sums import agreement, sums
from hwsearch.exporters import lower
from hwsearch.spaces import Architecture
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet
from hwsearch.tasks.inputs import Input

#: largest difference of float32 outputs and gradients from float64, over the largest value
CLOSE = 1e-4
#: what half precision may differ by, over the largest value
HALF_CLOSE = 5e-2
#: how much farther from float64 than on the processor a gradient in float32 may be
FAR = 3.0
TWINS = 8

Figures = dict[str, Any]


class LeftOut(Exception):
    """A part is not run; the message says why."""


@dataclass
class Bench:
    """State that the parts share.

    Attributes
    ----------
    folder : Path
        Gets the latency tables.
    quick : bool
        Whether everything is small.
    gpu : bool
        Whether there is a GPU.
    say : callable
        Reports progress.
    figures : dict
        What the parts found, by name.
    wholes : dict
        Part → latency in ms of each subnet.
    """

    folder: Path
    quick: bool
    gpu: bool
    say: Callable[[str], None]
    figures: dict[str, Figures] = field(default_factory=dict)
    wholes: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where tensors lie."""
        return "cuda:0" if self.gpu else "cpu"

    @cached_property
    def net(self) -> Supernet:
        """The embedded supernet, with random weights."""
        torch.manual_seed(0)
        return catalogue.entry("cifar10-mbv3").build().eval()

    @cached_property
    def archs(self) -> list[Architecture]:
        """Subnets, spread evenly over MACs."""
        net = self.net
        return net.space.sample_balanced(10 if self.quick else 50, np.random.default_rng(1), net.macs_array)

    def torch_work(self, arch: Architecture) -> Workload:
        return Workload((self.torch_model(arch),))

    def torch_model(self, arch: Architecture) -> Model:
        return Model((Input("x", self.net.input_shape(arch)),), module=self.net.subnet(arch).eval())

    def onnx_work(self, arch: Architecture) -> Workload:
        shape = self.net.input_shape(arch)
        return Workload.of(bytes(lower(self.net.subnet(arch).eval(), shape).SerializeToString()), shape)


@dataclass(frozen=True)
class Part:
    """One part.

    Attributes
    ----------
    name : str
        As the options and reports name it.
    seconds : float
        The most it may take.
    run : callable
        Maps the bench to figures.
    gpu_only : bool
        Whether it means nothing without a GPU.
    """

    name: str
    seconds: float
    run: Callable[[Bench], Figures]
    gpu_only: bool = True


# ---------------------------------------------------------------------- the driver
def driver(bench: Bench) -> Figures:
    """Ask NVML."""
    gpu = Gpu(str(getattr(torch.cuda.get_device_properties(0), "uuid", "")))
    facts, state = gpu.facts(), gpu.state()
    meter = gpu.energy()
    wrong = None if facts["driver"] else "NVML tells nothing: is nvidia-ml-py installed?"
    return {"facts": facts, "state": state, "has_energy_counter": meter is not None, "wrong": wrong}


# ---------------------------------------------------------------------- latencies
def cuda(mode: str, **options: Any) -> Device:
    """A device of runtime ``cuda``."""
    return Device("gpu", "cuda", options={"mode": mode, **options})


def ort_cuda() -> Device:
    """A device of ONNX Runtime on the GPU, after the libraries that torch brings are loaded."""
    import onnxruntime as ort

    with suppress(Exception):  # an older one has no such function, and says itself what it lacks
        ort.preload_dlls()
    return Device("gpu", "onnxruntime", provider="cuda")


def latencies(
    bench: Bench, name: str, device: Device, work: Callable[[Architecture], Workload], seconds: float
) -> Figures:
    """Time subnets and eight times the same network, interleaved in one process, and write the table."""
    runtime = create_runtime(device)
    counts = runtime.verify(work(bench.archs[0]))
    same = bench.archs[len(bench.archs) // 2]
    every = [*bench.archs, *[same] * TWINS]
    loads = [partial(runtime.load, work(a)) for a in every]
    protocol = TimingProtocol(processes=(2, 2), group=len(every), budget_s=seconds / 3)
    timings = measure_group(loads, loads[-1], protocol, np.random.default_rng(0))
    failures = [t.failure for t in timings if t.failure]
    ms = np.array([t.value for t in timings])
    twins = ms[-TWINS:]
    rows = [
        {**dict(a), "latency_ms": t.value, "low_ms": t.low, "high_ms": t.high}
        for a, t in zip(bench.archs, timings[: len(bench.archs)], strict=True)
    ]
    pd.DataFrame(rows).to_csv(bench.folder / f"latency-{name}.csv", index=False)
    bench.wholes[name] = ms[: len(bench.archs)]
    return {
        "facts": runtime.facts(),
        "ran_on": counts,
        "subnets": len(bench.archs),
        "aa_spread_pct": float(100 * (twins.max() - twins.min()) / np.median(twins)),
        "smallest_ms": float(np.nanmin(ms)),
        "largest_ms": float(np.nanmax(ms)),
        "wrong": f"{len(failures)} of {len(every)} candidates failed: {failures[0]}" if failures else None,
    }


def compiled(bench: Bench) -> Figures:
    """Time the smallest and the largest of the subnets as torch.compile has them."""
    runtime, found = create_runtime(cuda("compiled")), {}
    for name, arch in (("smallest", bench.archs[0]), ("largest", bench.archs[-1])):
        began = time.monotonic()
        session = runtime.load(bench.torch_work(arch))
        found[f"{name}_compile_s"] = time.monotonic() - began
        session.time(20)
        found[f"{name}_ms"] = statistics.median(session.time(100))
        session.close()
    return found


def outputs(bench: Bench) -> Figures:
    """Compare what every mode and precision computes with the processor."""
    from hwsearch.devices.runtimes.torch_network import TorchPart

    arch = bench.archs[len(bench.archs) // 2]
    model = bench.torch_model(arch)
    assert model.module is not None
    x = torch.from_numpy(np.asarray(model.inputs[0].sample(1, np.random.default_rng(0)))).float()
    with torch.inference_mode():
        exact = copy.deepcopy(model.module).double()(x.double())
    found: Figures = {}
    for precision in ("fp32", "fp16", "bf16"):
        part = TorchPart(Device("gpu", "cuda", precision=precision), model, bench.place, compiled=False)
        runtime = create_runtime(Device("gpu", "cuda", precision=precision))
        with runtime.settings(), torch.inference_mode():  # type: ignore[attr-defined]
            found[f"cuda_{precision}_error"] = relative(part().double().cpu(), exact)
            static = torch.cuda.CUDAGraph()
            for _ in range(3):
                part()
            torch.cuda.synchronize()
            with torch.cuda.graph(static):
                answer = part()
            static.replay()
            torch.cuda.synchronize()
            found[f"graph_{precision}_error"] = relative(answer.double().cpu(), exact)
    session = create_runtime(ort_cuda()).load(bench.onnx_work(arch))
    (answer,) = session.outputs().values()  # type: ignore[attr-defined]
    found["ort_fp32_error"] = relative(torch.from_numpy(np.asarray(answer)).double(), exact)
    far = [k for k, e in found.items() if not e <= (CLOSE if "fp32" in k else HALF_CLOSE)]
    return found | {"wrong": f"{', '.join(far)} too large" if far else None}


def footprint(bench: Bench) -> Figures:
    """Measure memory and energy of the largest of the subnets."""
    runtime = create_runtime(cuda("eager"))
    return dict(runtime.footprint(bench.torch_work(bench.archs[-1])))  # type: ignore[attr-defined]


def relative(found: Tensor, exact: Tensor) -> float:
    """Largest difference over the largest value."""
    return float((found - exact).abs().max() / exact.abs().max().clamp_min(1e-12))


# ---------------------------------------------------------------------- operators
def operators(
    bench: Bench, name: str, device: Device, work: Callable[[Architecture], Workload], wholes: str
) -> Figures:
    """Profile the operators of the subnets, and compare their sums with latencies of wholes."""
    runtime = create_runtime(device)
    assert isinstance(runtime, Profiled)
    archs = bench.archs[:: 5 if bench.quick else 2]
    counts = {a.id: {s.id: n for s, n in count_signatures(runtime, work(a)).items()} for a in archs}
    by_id, asked = {a.id: a for a in archs}, set().union(*counts.values())
    chosen = choose(counts, asked, times=1)
    reference = partial(work, archs[len(archs) // 2])
    session = profile_operators(
        runtime,
        [partial(work, by_id[i]) for i in chosen],
        reference,
        np.random.default_rng(0),
        rounds=1 if bench.quick else 3,
        runs=10 if bench.quick else 30,
    )
    rows = [
        {
            "signature": k,
            "kind": o.signature.kind,
            "operator": o.signature.text,
            "operator_ms": o.ms,
            "visits": o.visits,
        }
        for k, o in session.operators.items()
    ]
    pd.DataFrame(rows).sort_values("operator_ms", ascending=False).to_csv(bench.folder / f"{name}.csv", index=False)
    places = [i for i, a in enumerate(bench.archs) if a.id in by_id]
    x = sums({k: o.ms for k, o in session.operators.items()}, [counts[bench.archs[i].id] for i in places])
    found: Figures = {
        "signatures": len(asked),
        "measured": len(asked & session.operators.keys()),
        "profiler_us": 1e3 * session.profiler_ms,
        "smallest_sum_ms": float(np.nanmin(x)),
        "largest_sum_ms": float(np.nanmax(x)),
    }
    if wholes in bench.wholes:
        whole = bench.wholes[wholes][places]
        known = np.isfinite(x) & np.isfinite(whole)
        said = agreement(x[known], whole[known], np.random.default_rng(0))
        found |= {"sum_over_whole": float(np.median(x[known] / whole[known])), **said}
    missing = asked - session.operators.keys()
    return found | {"wrong": f"{len(missing)} signatures were counted and not measured" if missing else None}


def torch_operators(bench: Bench) -> Figures:
    """Profile by torch, on the GPU or on the processor."""
    device = cuda("eager") if bench.gpu else Device("cpu", "torch-cpu")
    return operators(bench, "operators", device, bench.torch_work, "cuda-eager")


# ---------------------------------------------------------------------- tests
def tests(bench: Bench) -> Figures:
    """Run the tests marked ``gpu`` in this process."""
    for name in ("pytest", "hypothesis"):
        if find_spec(name) is None:
            raise LeftOut(f"{name} is not installed")
    import pytest

    places = ["tests/devices/runtimes/test_cuda.py", "tests/devices/runtimes/test_runtime_conformance.py"]
    places.append("tests/devices/test_torch_profiler.py")
    code = int(pytest.main(["-q", "-m", "gpu", "-p", "no:cacheprovider", *places]))
    return {"exit_code": code, "wrong": f"pytest ended with {code}" if code else None}
