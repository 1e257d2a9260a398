"""Every GPU part of the project on one machine, in one call of at most nine minutes.

    python -m benchmarks.gpu [--quick] [--json] [--folder DIR] [--only PART ...]

Needs torch with CUDA, an NVIDIA GPU, and these packages; nothing is compiled beforehand and nothing is loaded from the network:

    pip install numpy pandas scipy onnx onnxruntime-gpu pydantic psutil safetensors filelock typing-extensions pillow nvidia-ml-py
    PYTHONPATH=. python -m benchmarks.gpu --json

(``triton`` comes with torch's builds for CUDA; ``matplotlib`` for plots, and ``pytest`` and ``hypothesis`` for the last part, are used where they are installed.) Parts, each with a time of its own; one that fails is reported, and
the others run:

driver            what the driver tells (NVML): facts, clocks, what holds them down, the energy counter
cuda-eager        latencies of 50 subnets of the embedded supernet by runtime ``cuda``, among them one network entered eight times;
cuda-graph        ``aa_spread_pct``: (largest - smallest) / median of the eight. A table of subnets and latencies goes to
ort-cuda          ``latency-PART.csv``. The same for CUDA graphs and for ONNX Runtime with ``CUDAExecutionProvider``
cuda-compiled     latencies of two subnets by torch.compile (each is compiled afresh)
outputs           outputs of every mode and precision, and of ONNX Runtime, against the processor's
footprint         memory and energy of a subnet
operators         operator table of the embedded supernet by torch's profiler (runtime ``cuda``), and its sum against the wholes of
ort-operators     ``cuda-eager``; the same by ONNX Runtime's profiler
kernels           outputs and gradients of the operators of training on the GPU against float64 on the processor
training          steps of training (sandwich of four subnets) in float32 and bfloat16, eager and by the kernels ``masked`` (CUDA
                  graphs on a GPU): images/s, their ratios ``…_over_eager``, the number of graphs, and gradients against float64
train             the verb ``train`` itself on images of noise: first losses against the processor's, images/s in float32,
                  bfloat16 and float16, eager and masked, and a run taken up again
triton            the kernels ``triton``: operators against float64, and steps of training beside eager ones
tests             the tests marked ``gpu``, where pytest is installed

Without a GPU the first line says so, and what a processor can of the checks is done: ``operators`` by runtime ``torch-cpu``,
``kernels``, ``training`` and ``train``. The exit code is 1 where a part failed. A fault of the driver (an illegal address) may take all later
parts with it; their reports then say the same.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch

from benchmarks import gpu_parts as parts
from benchmarks import gpu_training as training
from benchmarks.frame import Benchmark, Result, Run, bars
from benchmarks.gpu_parts import Bench, LeftOut, Part
from hwsearch.registry import entry_points

#: seconds of the whole run, all parts together
WHOLE_S = 530.0
#: seconds of a part that is not worth being begun
LEAST_S = 5.0


PARTS = (
    Part("driver", 10, parts.driver),
    Part("cuda-eager", 50, lambda b: parts.latencies(b, "cuda-eager", parts.cuda("eager"), b.torch_work, 50)),
    Part("cuda-graph", 40, lambda b: parts.latencies(b, "cuda-graph", parts.cuda("graph"), b.torch_work, 40)),
    Part("ort-cuda", 50, lambda b: parts.latencies(b, "ort-cuda", parts.ort_cuda(), b.onnx_work, 50)),
    Part("outputs", 15, parts.outputs),
    Part("footprint", 10, parts.footprint),
    Part("kernels", 15, training.kernels, gpu_only=False),
    Part("training", 70, training.training, gpu_only=False),
    Part("train", 75, training.train, gpu_only=False),
    Part("triton", 75, training.triton),
    Part("operators", 40, parts.torch_operators, gpu_only=False),
    Part("ort-operators", 30, lambda b: parts.operators(b, "ort-operators", parts.ort_cuda(), b.onnx_work, "ort-cuda")),
    Part("cuda-compiled", 30, parts.compiled),
    Part("tests", 20, parts.tests),
)


class OutOfTime(Exception):
    """The time of a part is over."""


@contextmanager
def at_most(seconds: float, again: float = 5.0) -> Iterator[None]:
    """Raise `OutOfTime` in the block when its time is over, and again every few seconds should somebody have caught it."""

    def over(number: int, frame: object) -> None:
        raise OutOfTime(f"not done within {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds, again)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def guarded(part: Part, bench: Bench, seconds: float) -> dict[str, object]:
    """Run a part; a row that says how it went."""
    row: dict[str, object] = {"part": part.name, "status": "done", "seconds": 0.0, "reason": ""}
    started = time.monotonic()
    try:
        if part.gpu_only and not bench.gpu:
            raise LeftOut("there is no GPU")
        if seconds < LEAST_S:
            raise LeftOut("the time of the whole run is over")
        with at_most(seconds):
            bench.figures[part.name] = part.run(bench)
        wrong = bench.figures[part.name].get("wrong")
        if wrong:
            row |= {"status": "failed", "reason": str(wrong)}
    except LeftOut as reason:
        row |= {"status": "left out", "reason": str(reason)}
    except Exception as error:  # whatever a driver, a compiler or a package raises is a finding of this part alone
        text = (str(error).strip().splitlines() or [""])[0][:300]
        row |= {"status": "failed", "reason": f"{type(error).__name__}: {text}"}
    row["seconds"] = round(time.monotonic() - started, 1)
    return row


def write_metadata(folder: Path, project: Path = Path(__file__).parents[1] / "pyproject.toml") -> None:
    """Write what an installation would tell of this checkout's plug-ins, its entry points, into a folder for `sys.path`."""
    told = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    place = folder / "hwsearch-0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: hwsearch\nVersion: 0\n", encoding="utf-8")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in points.items())])
        for group, points in told["entry-points"].items()
    ]
    (place / "entry_points.txt").write_text("\n\n".join(groups) + "\n", encoding="utf-8")


@contextmanager
def registered() -> Iterator[None]:
    """Make the plug-ins of this checkout known within a block, where the package itself is not installed."""
    if importlib.metadata.entry_points(group="hwsearch.supernets"):
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        write_metadata(Path(folder))
        sys.path.append(folder)
        entry_points.cache_clear()
        try:
            yield
        finally:
            sys.path.remove(folder)


def run(given: Run) -> Result:
    """Run the parts in order."""
    with registered():
        return run_parts(given)


def run_parts(given: Run) -> Result:
    """Run the parts in order, once plug-ins are known."""
    started = time.monotonic()
    name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    given.say(
        f"GPU: {name}"
        if name
        else "This machine has no CUDA GPU that torch finds: the checks that a processor can do are done."
    )
    bench = Bench(given.folder, given.quick, name is not None, given.say)
    rows = []
    for part in PARTS:
        if given.args.only and part.name not in given.args.only:
            continue
        rows.append(guarded(part, bench, min(part.seconds, WHOLE_S - (time.monotonic() - started))))
        given.say(f"{part.name}: {rows[-1]['status']} after {rows[-1]['seconds']} s {rows[-1]['reason']}".rstrip())
    table = pd.DataFrame(rows)
    counts = table["status"].value_counts()
    figures = {
        f"{part} {key}": value
        for part, found in bench.figures.items()
        for key, value in found.items()
        if isinstance(value, (int, float))
    }
    summary = {"gpu": name, **{s: int(counts.get(s, 0)) for s in ("done", "failed", "left out")}, **figures}
    return Result(
        summary, table, {"parts": bench.figures}, plot=lambda folder: plot(table, folder), ok=not summary["failed"]
    )


def plot(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw the seconds of the parts, where matplotlib is installed."""
    try:
        return bars(table[["part", "seconds"]], folder, "gpu", "Seconds of each part")
    except ImportError:
        return []


def options(parser: argparse.ArgumentParser) -> None:
    """Add the benchmark's own options."""
    parser.add_argument(
        "--only", nargs="+", choices=[p.name for p in PARTS], metavar="PART", help="parts to run (default: all)"
    )


BENCHMARK = Benchmark(
    "gpu", "Every GPU part of the project, in one call", "few subnets, rounds and shapes", run, options
)

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
