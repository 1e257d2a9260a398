"""ONNX files of subnets: ours and torch's two exporters, on the same subnets.

    python -m benchmarks.export [--quick] [--json] [--folder DIR]

Subnets of Once-for-All's MobileNetV3 (w1.0, published size, random weights) at 224 px, one thread. A file costs: cutting
the subnet out of the supernet, lowering it, serialising it; each subnet's time is the median of three passes over all.
``median_ms`` and ``worst_ms`` are over subnets, ``worst_single_ms`` over all passes: now and then
a full garbage collection of Python falls into one, which the median of three leaves out. ``protobuf_over_serialise``: time of
``SerializeToString`` over that of our writer, each on a model just made, median over subnets.

Then on some of them ours, TorchScript (``torch.onnx.export(dynamo=False)``) and dynamo (``dynamo=True``), one after the
other, each with variable batch, as torch documents them, and each after one that is not counted; cutting is part of all
three times. ``over_torchscript`` and ``over_dynamo``: median ratio of theirs to ours. ``max_abs_diff``: largest difference of our
outputs to torch's, to TorchScript's model's and to dynamo's, on one random image in ONNX Runtime (``max_rel_diff``: of
the largest output). ``nodes``: median number after ONNX Runtime's optimisation (``more_nodes_than``: for how many subnets
ours has more); ``latency``: theirs over ours, the three visited in random order, median over rounds and then over subnets.

Last, every other family of the catalogue at its published size: a median over a few subnets, all parts of a subnet
together (``rules``: whether all went by rules), TorchScript's time over ours, and the largest difference to torch
(``max_rel_diff``, of the largest output of a tensor) and to TorchScript's model (``torchscript_rel_diff``).
"""

from __future__ import annotations

import gc
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import torch
from torch import nn

from benchmarks.frame import Benchmark, Result, Run
from hwsearch.exporters import INPUT, OUTPUT, lower, run_onnx, serialise, torch_export
from hwsearch.reporting.style import BLUE, ORANGE, RED, new_figure, save, style
from hwsearch.spaces import Architecture
from hwsearch.supernets import Supernet, catalogue, checkpoint
from hwsearch.testing.weights import seeded_weights

MAIN = "ofa-mobilenetv3-w1.0"
SIDE = 224
PASSES = 3
FAMILIES = (
    "ofa-mobilenetv3-w1.2",
    "ofa-proxylessnas-w1.3",
    "ofa-resnet50d",
    "attentivenas",
    "cifar10-mbv3",
    "resnet18",
    "resnet50",
    "mobilenet-v2",
    "vit-b16",
    "bert-base-sst2",
    "hat-wmt14-ende",
)
#: what the main family must reach
TARGETS = {"median_ms": "<= 50", "worst_ms": "<= 150", "max_rel_diff": "<= 1e-5"}


def built(name: str) -> Supernet:
    net = catalogue.entry(name).build()
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


# ---------------------------------------------------------------------- the exporters, each from a plain subnet to bytes
def ours(net: nn.Module, shape: tuple[int, ...]) -> bytes:
    return serialise(lower(net, shape))


def torchscript(net: nn.Module, shape: tuple[int, ...]) -> bytes:
    return torch_export(net, shape).SerializeToString()  # type: ignore[no-any-return]


def dynamo(net: nn.Module, shape: tuple[int, ...]) -> bytes:
    program = torch.onnx.export(
        net,
        (torch.zeros(2, *shape),),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return program.model_proto.SerializeToString()  # type: ignore[no-any-return]


RIVALS: dict[str, Callable[[nn.Module, tuple[int, ...]], bytes]] = {"torchscript": torchscript, "dynamo": dynamo}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Time a call that keeps quiet: (milliseconds, result)."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        started = time.perf_counter()
        result = work()
        return 1e3 * (time.perf_counter() - started), result


# ---------------------------------------------------------------------- the main family
def phases(net: Supernet, archs: Sequence[Architecture]) -> dict[str, Any]:
    """Time cutting, lowering and serialising, ms: the median over passes for each subnet."""
    table = np.empty((PASSES, len(archs), 3))
    sizes, protobuf = [], []
    serialise(lower(checkpoint.extract_subnet(net, archs[0]), net.input_shape(archs[0])))
    for k in range(PASSES):
        for i, arch in enumerate(archs):
            cut, subnet = timed(lambda arch=arch: checkpoint.extract_subnet(net, arch))
            lowered, model = timed(lambda n=subnet, a=arch: lower(n, net.input_shape(a)))
            written, data = timed(lambda m=model: serialise(m))
            table[k, i] = cut, lowered, written
            sizes.append(len(data))
    for k, arch in enumerate(archs):  # each writer on a model just made, in alternating order
        found = {}
        for name in ("ours", "protobuf") if k % 2 else ("protobuf", "ours"):
            model = lower(checkpoint.extract_subnet(net, arch), net.input_shape(arch))
            found[name] = timed(model.SerializeToString if name == "protobuf" else lambda m=model: serialise(m))[0]
        protobuf.append(found["protobuf"] / found["ours"])
    totals = table.sum(2)
    each = np.median(totals, 0)
    return {
        "median_ms": float(np.median(each)),
        "worst_ms": float(each.max()),
        "worst_single_ms": float(totals.max()),
        "phases_ms": dict(zip(("cut", "lower", "serialise"), np.median(table, (0, 1)).tolist(), strict=True)),
        "protobuf_over_serialise": statistics.median(protobuf),
        "model_mb": statistics.median(sizes) / 1e6,
        "subnets": len(archs),
        "each_ms": each.tolist(),
    }


def rivals(net: Supernet, archs: Sequence[Architecture], say: Callable[[str], None]) -> dict[str, Any]:
    """Measure times, outputs, nodes and latencies of the three files of each subnet; the first subnet only warms up."""
    exporters = {"ours": ours, **RIVALS}
    image = np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
    times: dict[str, list[float]] = {k: [] for k in exporters}
    counts: dict[str, list[int]] = {k: [] for k in exporters}
    speeds: dict[str, list[float]] = {k: [] for k in RIVALS}
    sizes: dict[str, list[int]] = {k: [] for k in exporters}
    apart: dict[str, list[float]] = {k: [] for k in ("torch", *RIVALS)}
    relative = []
    for k, arch in enumerate(archs):
        shape, files = net.input_shape(arch), {}
        for name, export in exporters.items():
            ms, files[name] = timed(
                lambda export=export, arch=arch, shape=shape: export(checkpoint.extract_subnet(net, arch), shape)
            )
            if k:
                times[name].append(ms)
        if not k:
            continue
        with torch.no_grad():
            expected = {"torch": checkpoint.extract_subnet(net, arch)(torch.from_numpy(image)).numpy()}
        (mine,) = run_onnx(files["ours"], image)
        expected |= {name: run_onnx(files[name], image)[0] for name in RIVALS}
        for name, values in expected.items():
            apart[name].append(float(np.abs(mine - values).max()))
        relative.append(apart["torch"][-1] / float(np.abs(expected["torch"]).max()))
        for name, ratio in slower(files, image).items():
            speeds[name].append(ratio)
        for name in files:
            counts[name].append(optimised_nodes(files[name]))
            sizes[name].append(len(files[name]))
        say(f"subnet {k} of {len(archs) - 1}: " + ", ".join(f"{n} {t[-1]:.0f} ms" for n, t in times.items()))
    over = lambda name: statistics.median(b / a for a, b in zip(times["ours"], times[name], strict=True))  # noqa: E731
    return {
        **{f"over_{name}": over(name) for name in RIVALS},
        "rivals_ms": {name: statistics.median(t) for name, t in times.items()},
        "max_abs_diff": {name: max(v) for name, v in apart.items()},
        "max_rel_diff": max(relative),
        "nodes": {name: statistics.median(v) for name, v in counts.items()},
        "more_nodes_than": {
            name: sum(a > b for a, b in zip(counts["ours"], counts[name], strict=True)) for name in RIVALS
        },
        "latency": {name: statistics.median(v) for name, v in speeds.items()},
        "size_mb": {name: statistics.median(v) / 1e6 for name, v in sizes.items()},
        "compared": len(archs) - 1,
        "rivals_each_ms": times,
    }


def options() -> onnxruntime.SessionOptions:
    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = chosen.inter_op_num_threads = 1
    return chosen


def slower(files: dict[str, bytes], image: np.ndarray, rounds: int = 60) -> dict[str, float]:
    """Compare the latency of each model to that of ours: median ratio over rounds, in each of which all run once in random order."""
    sessions = {k: onnxruntime.InferenceSession(v, options(), ["CPUExecutionProvider"]) for k, v in files.items()}
    found: dict[str, list[float]] = {k: [] for k in files}
    rng = np.random.default_rng(0)
    for k in range(rounds + 3):
        for name in rng.permutation(list(sessions)):
            started = time.perf_counter()
            sessions[name].run(None, {INPUT: image})
            if k > 2:
                found[name].append(time.perf_counter() - started)
    return {name: statistics.median(b / a for a, b in zip(found["ours"], found[name], strict=True)) for name in RIVALS}


def optimised_nodes(data: bytes) -> int:
    """Count the nodes of the graph that ONNX Runtime runs, on the CPU with all its optimisations."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = options()
        chosen.optimized_model_filepath = str(Path(folder) / "model.onnx")
        chosen.log_severity_level = 3  # that such a file is for this machine only
        onnxruntime.InferenceSession(data, chosen, ["CPUExecutionProvider"])
        return len(onnx.load(chosen.optimized_model_filepath).graph.node)


# ---------------------------------------------------------------------- the other families
def family(name: str, subnets: int, compared: int) -> dict[str, Any]:
    """Time all parts of a subnet together; the first of each way only warms up."""
    net = built(name)
    archs = net.space.sample(subnets + 1, np.random.default_rng(1))
    times: dict[str, list[float]] = {"ours": [], "torchscript": []}
    ratios, rules = [], True
    worst = {"torch": 0.0, "torchscript": 0.0}
    for k, arch in enumerate(archs):
        cut, subnet = timed(lambda arch=arch: checkpoint.extract_subnet(net, arch))
        total = {"ours": cut, "torchscript": cut}
        for part in net.parts(arch, subnet):
            interface = {"outputs": part.outputs, "output_axes": part.output_axes}
            ms, model = timed(lambda p=part, i=interface: lower(p.net, p.inputs, **i))
            written, data = timed(lambda m=model: serialise(m))
            total["ours"] += ms + written
            rules &= model.producer_name == "hwsearch"
            if 0 < k <= compared:
                ms, theirs = timed(lambda p=part, i=interface: torch_export(p.net, p.inputs, **i).SerializeToString())
                total["torchscript"] += ms
                x = [np.asarray(i.sample(1, np.random.default_rng(k))) for i in part.inputs]
                with torch.no_grad():
                    given = part.net(*map(torch.from_numpy, x))
                found = run_onnx(data, *x)
                expected = {"torchscript": run_onnx(theirs, *x)}
                expected["torch"] = [v.numpy() for v in ([given] if isinstance(given, torch.Tensor) else given)]
                for other, values in expected.items():
                    apart = [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, values, strict=True)]
                    worst[other] = max(worst[other], *apart)
                del theirs
            del model, data
        if k:
            times["ours"].append(total["ours"])
        if 0 < k <= compared:
            times["torchscript"].append(total["torchscript"])
            ratios.append(total["torchscript"] / total["ours"])
    return {
        "median_ms": statistics.median(times["ours"]),
        "torchscript_ms": statistics.median(times["torchscript"]),
        "over_torchscript": statistics.median(ratios),
        "max_rel_diff": worst["torch"],
        "torchscript_rel_diff": worst["torchscript"],
        "rules": rules,
        "subnets": subnets,
        "compared": compared,
    }


# ---------------------------------------------------------------------- output
def plot(result: dict[str, Any], folder: Path) -> list[Path]:
    with style():
        figure = new_figure(10.0, 3.6)
        left, right = figure.subplots(1, 2)
        shown = (("ours", BLUE, "o"), ("torchscript", ORANGE, "s"), ("dynamo", RED, "^"))
        for row, (name, colour, mark) in enumerate(shown):
            values = result["rivals_each_ms"][name]
            left.plot(values, np.full(len(values), row), mark, color=colour, alpha=0.6, markersize=5)
            left.plot([statistics.median(values)] * 2, [row - 0.25, row + 0.25], "-", color=colour)
        left.set(xscale="log", xlabel="milliseconds for one subnet", yticks=range(3), ylim=(2.6, -0.6))
        left.set_yticklabels(["ours", "TorchScript", "dynamo"])
        left.set_title(f"{MAIN}, {SIDE} px, the same {result['compared']} subnets")
        families = result["families"]
        for row, figures in enumerate(families.values()):
            right.plot([figures["median_ms"], figures["torchscript_ms"]], [row, row], "-", color="0.8", linewidth=1)
            right.plot(figures["median_ms"], row, "o", color=BLUE, label="ours" if not row else None)
            right.plot(figures["torchscript_ms"], row, "s", color=ORANGE, label="TorchScript" if not row else None)
        right.set(xscale="log", xlabel="milliseconds for one subnet", yticks=range(len(families)))
        right.set_yticklabels(list(families))
        right.invert_yaxis()
        right.set_title("Other families, published sizes")
        right.legend(loc="lower left")
        for axes in (left, right):
            axes.xaxis.set_major_formatter("{x:g}")
        return save(figure, folder, "export")


def table(result: dict[str, Any]) -> str:
    lines = [f"{MAIN} at {SIDE} px, {result['subnets']} subnets; {result['compared']} against torch's exporters"]
    for name in ("median_ms", "worst_ms", "worst_single_ms", "over_torchscript", "over_dynamo", "max_rel_diff"):
        target = f"   target {TARGETS[name]}" if name in TARGETS else ""
        lines.append(f"  {name:18s} {result[name]:10.4g}{target}")
    lines.append("  of which           " + ", ".join(f"{k} {v:.1f} ms" for k, v in result["phases_ms"].items()))
    for name, unit in (
        ("rivals_ms", "ms"),
        ("size_mb", "MB"),
        ("nodes", "nodes after optimisation"),
        ("latency", "of our latency"),
        ("max_abs_diff", "largest difference"),
    ):
        lines.append(f"  {name:18s} " + ", ".join(f"{k} {v:.4g}" for k, v in result[name].items()) + f" ({unit})")
    lines.append(f"{'family':24s} {'median_ms':>10s} {'TorchScript':>12s} {'over':>7s} {'max_rel_diff':>13s}  rules")
    for name, f in result["families"].items():
        lines.append(
            f"{name:24s} {f['median_ms']:10.1f} {f['torchscript_ms']:12.0f} {f['over_torchscript']:7.1f}"
            f" {f['max_rel_diff']:13.1e}  {'yes' if f['rules'] else 'no'}"
        )
    return "\n".join(lines)


SUMMARY = ("median_ms", "worst_ms", "worst_single_ms", "over_torchscript", "over_dynamo", "max_rel_diff")


def rows(result: dict[str, Any]) -> pd.DataFrame:
    """Make one row of each family, the main one first."""
    found = {MAIN: result | {"torchscript_ms": result["rivals_ms"]["torchscript"]}} | result["families"]
    names = ("median_ms", "torchscript_ms", "over_torchscript", "max_rel_diff", "rules")
    return pd.DataFrame([{"family": name} | {k: f.get(k) for k in names} for name, f in found.items()])


def run(given: Run) -> Result:
    """Compare the exporters on the main family, then on the others."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # packages that it looks for and that nothing here needs
    torch.set_num_threads(1)
    net = built(MAIN)
    archs = [
        net.space.architecture({**a, "r": SIDE})
        for a in net.space.sample(15 if given.quick else 100, np.random.default_rng(0))
    ]
    gc.collect()
    result = phases(net, archs)
    given.say(f"{len(archs)} subnets lowered: median {result['median_ms']:.1f} ms, worst {result['worst_ms']:.1f} ms")
    result |= rivals(net, archs[: 3 if given.quick else 21], given.say)
    del net
    result["families"] = {}
    for name in FAMILIES[1::2] if given.quick else FAMILIES:
        result["families"][name] = family(name, *((2, 1) if given.quick else (8, 3)))
        given.say(f"{name}: median {result['families'][name]['median_ms']:.1f} ms")
    summary = {name: result[name] for name in SUMMARY}
    rest = {k: v for k, v in result.items() if k not in SUMMARY}
    return Result(summary, rows(result), rest, lambda folder: plot(result, folder), table(result))


BENCHMARK = Benchmark("export", "ONNX files of subnets against torch's exporters", "15 subnets, five families", run)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
