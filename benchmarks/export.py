"""How long an ONNX file of a subnet takes, beside both exporters of torch, and whether it computes the same.

    python -m benchmarks.export [--quick] [--json] [--folder runs/bench]

Subnets of the full-size Once-for-All MobileNetV3 (width 1.0, 1,000 classes, seeded random weights) at 224 px, one thread.
``median_ms``, ``worst_ms``: cutting the subnet from the supernet, lowering it and serialising the file. The same subnets
go through ``torch.onnx.export`` as its documentation recommends, with ``dynamo=False`` and ``dynamo=True``, each with a
variable batch; ``over_torchscript`` and ``over_dynamo`` are their median times over ours (theirs without the cutting, which
they need as well). ``max_abs_diff``: the largest difference from torch's output on one random image, and its share of the
largest output. The latency of the three files is measured together, by interleaved loads. One row a further family.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from hwsearch.devices import Device, Protocol, Workload, create_runtime, measure_group
from hwsearch.export import lower, run_onnx
from hwsearch.report.style import new_figure, save, style
from hwsearch.spaces import Architecture
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import cut
from hwsearch.testing.weights import seeded_weights

FAMILIES = ("ofa-proxylessnas-w1.3", "ofa-resnet50d", "attentivenas", "cifar10-mbv3", "vit-b16", "bert-base-sst2")


def torchscript(net: nn.Module, x: torch.Tensor) -> bytes:
    """The older exporter, by tracing."""
    buffer = io.BytesIO()
    torch.onnx.export(
        net,
        (x,),
        buffer,
        dynamo=False,
        opset_version=17,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )
    return buffer.getvalue()


def dynamo(net: nn.Module, x: torch.Tensor) -> bytes:
    """The newer exporter, by torch.export."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.onnx.export(
        net, (x.expand(2, -1, -1, -1),), dynamo=True, dynamic_shapes=({0: batch},), verbose=False
    )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def built(name: str) -> Supernet:
    net = catalogue.entry(name).build()
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


def ours(net: Supernet, arch: Architecture) -> tuple[float, nn.Module, list[bytes]]:
    """(milliseconds, the subnet, its files)."""
    started = time.perf_counter()
    subnet = cut(net, arch)
    files = [
        bytes(lower(p.net, p.inputs, outputs=p.outputs, output_axes=p.output_axes).SerializeToString())
        for p in net.parts(arch, subnet)
    ]
    return 1e3 * (time.perf_counter() - started), subnet, files


def timed(call: Callable[[], bytes]) -> tuple[float, bytes]:
    started = time.perf_counter()
    found = call()
    return 1e3 * (time.perf_counter() - started), found


def at_224(net: Supernet, subnets: int) -> list[Architecture]:
    space = net.space
    drawn = space.sample(subnets, np.random.default_rng(0))
    return [space.architecture({**a.to_dict(), "r": 224}) for a in drawn]


def main_part(subnets: int, rivals: int, say: Callable[[str], None]) -> dict[str, Any]:
    net = built("ofa-mobilenetv3-w1.0")
    archs = at_224(net, subnets)
    ours(net, archs[0])  # imports and caches
    mine, scripted, exported = [], [], []
    difference, relative = {"ours": 0.0, "torchscript": 0.0, "dynamo": 0.0}, 0.0
    files: list[dict[str, bytes]] = []
    for i, arch in enumerate(archs):
        ms, subnet, (model,) = ours(net, arch)
        mine.append(ms)
        shape = net.input_shape(arch)
        x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(i))
        with torch.no_grad():
            expected = subnet(x).numpy()
        found = {"ours": model}
        if i < rivals:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ms, found["torchscript"] = timed(lambda net=subnet, x=x: torchscript(net, x))
                scripted.append(ms)
                ms, found["dynamo"] = timed(lambda net=subnet, x=x: dynamo(net, x))
                exported.append(ms)
            files.append(found)
            say(
                f"subnet {i + 1}: ours {mine[-1]:.0f} ms, TorchScript {scripted[-1]:.0f} ms, dynamo {exported[-1]:.0f} ms"
            )
        for name, content in found.items():
            apart = float(np.abs(run_onnx(content, x.numpy())[0] - expected).max())
            difference[name] = max(difference[name], apart)
            if name == "ours":
                relative = max(relative, apart / float(np.abs(expected).max()))
    return {
        "median_ms": float(np.median(mine)),
        "worst_ms": float(max(mine)),
        "torchscript_ms": float(np.median(scripted)),
        "dynamo_ms": float(np.median(exported)),
        "over_torchscript": float(np.median(scripted) / np.median(mine[: len(scripted)])),
        "over_dynamo": float(np.median(exported) / np.median(mine[: len(exported)])),
        "max_abs_diff": difference["ours"],
        "max_rel_diff": relative,
        "max_abs_diff_torchscript": difference["torchscript"],
        "max_abs_diff_dynamo": difference["dynamo"],
        "subnets": subnets,
        "rival_subnets": rivals,
        "times_ms": {"ours": mine, "torchscript": scripted, "dynamo": exported},
        **alike(files[: min(4, rivals)], net.input_shape(archs[0])),
    }


def alike(files: list[dict[str, bytes]], shape: tuple[int, ...]) -> dict[str, Any]:
    """Size, nodes and latency of the three files of the same subnets; latencies over ours, median over subnets."""
    runtime = create_runtime(Device("bench"))
    size: dict[str, list[float]] = {}
    nodes: dict[str, list[int]] = {}
    ratio: dict[str, list[float]] = {"torchscript": [], "dynamo": []}
    for found in files:
        for name, content in found.items():
            size.setdefault(name, []).append(len(content) / 2**20)
            nodes.setdefault(name, []).append(len(onnx.load_model_from_string(content).graph.node))
        works = [Workload.of(found[n], shape) for n in ("ours", "torchscript", "dynamo")]
        loads = [lambda w=w: runtime.load(w) for w in works]
        timings = measure_group(loads, loads[0], Protocol(processes=(2, 2)), np.random.default_rng(0))
        for name, t in zip(("torchscript", "dynamo"), timings[1:], strict=True):
            ratio[name].append(t.value / timings[0].value)
    return {
        "size_mib": {k: float(np.median(v)) for k, v in size.items()},
        "nodes": {k: int(np.median(v)) for k, v in nodes.items()},
        "latency_over_ours": {k: float(np.median(v)) for k, v in ratio.items()},
    }


def family(name: str, subnets: int, say: Callable[[str], None]) -> dict[str, float]:
    net = built(name)
    archs = net.space.sample(subnets + 1, np.random.default_rng(0))
    ours(net, archs[0])
    times = [ours(net, a)[0] for a in archs[1:]]
    say(f"{name}: {np.median(times):.0f} ms")
    return {"median_ms": float(np.median(times)), "worst_ms": float(max(times))}


def plot(result: dict, folder: Path) -> list[Path]:
    with style():
        figure = new_figure(6.4, 3.0)
        ax = figure.subplots()
        names = ("ours", "torchscript", "dynamo")
        for i, name in enumerate(names):
            times = result["times_ms"][name]
            ax.plot(times, np.full(len(times), -i), "o", alpha=0.4, color=f"C{i}")
            ax.plot([np.median(times)] * 2, [-i - 0.25, -i + 0.25], "k-")
        ax.set(xscale="log", xlabel="milliseconds a subnet", yticks=[0, -1, -2], ylim=(-2.6, 0.6))
        ax.set_yticklabels(["hwsearch", "torch.onnx.export\nTorchScript", "torch.onnx.export\ndynamo"])
        ax.set_title("ONNX files of Once-for-All MobileNetV3 subnets, 224 px")
        return save(figure, folder, "export")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer subnets, no further families")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    result = main_part(10 if arguments.quick else 200, 2 if arguments.quick else 12, say)
    if not arguments.quick:
        result["families"] = {name: family(name, 5, say) for name in FAMILIES}
    arguments.folder.mkdir(parents=True, exist_ok=True)
    result["plots"] = [str(p) for p in plot(result, arguments.folder)]
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    targets = {"median_ms": "<= 50", "worst_ms": "<= 150", "max_rel_diff": "<= 1e-5"}
    for name in (
        "median_ms",
        "worst_ms",
        "torchscript_ms",
        "dynamo_ms",
        "over_torchscript",
        "over_dynamo",
        "max_abs_diff",
        "max_rel_diff",
    ):
        print(f"{name:20s} {result[name]:10.4g}" + (f"   target {targets[name]}" if name in targets else ""))
    for name in ("size_mib", "nodes", "latency_over_ours"):
        print(f"{name:20s} {result[name]}")
    for name, row in result.get("families", {}).items():
        print(f"{name:24s} median {row['median_ms']:7.1f} ms, worst {row['worst_ms']:7.1f} ms")


if __name__ == "__main__":
    main()
