"""Supernets against their authors' code: outputs, costs, loading, extraction.

    python -m benchmarks.supernets [--quick] [--json] [--folder DIR] [--subnets 200] [--family NAME …]

For each family, over at least 200 random subnets at two resolutions (or lengths): the largest difference between our
static subnet's outputs and the reference's, in single precision (``max_abs_diff``; ``max_rel_diff``: relative to the
largest output of the same subnet); whether MACs and parameters are the same numbers (``cost_equal``) as those of
``cost_reference``. The reference runs here where its package installs (PyPI `ofa`); for the others it is numbers that
the authors' code gave once, which lie with the tests: so many subnets as there are, whatever ``--subnets`` says, and
for the transformers of a small shape by the same rules. Where no count of the authors is at hand, costs are compared
with torch's own counters on our subnets. Then, at the published size and in a fresh process: seconds
(``load_s``) and peak memory over the file's size (``memory_ratio``) to load a file that the reference's class, or its
layout, gives; milliseconds to extract one subnet (``extract_ms``, median). Needs a checkout: golden numbers are there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.frame import Benchmark, Result, Run, bars
from hwsearch.spaces import Architecture
from hwsearch.supernets import Supernet, catalogue
from hwsearch.testing import reference_ofa
from hwsearch.testing.weights import seeded_weights

ROOT = Path(__file__).parent.parent
OFA = {
    "ofa_mobilenetv3": "ofa-mobilenetv3-w1.0",
    "ofa_mobilenetv3_w1.2": "ofa-mobilenetv3-w1.2",
    "ofa_proxylessnas": "ofa-proxylessnas-w1.3",
    "ofa_resnet50d": "ofa-resnet50d",
}
#: what is measured in a process of its own: seconds, bytes of peak memory over those before
LOAD = """
import json, sys, time
from pathlib import Path
from hwsearch.supernets import catalogue
import torch
torch.set_num_threads(1)
entry = catalogue.entry(sys.argv[1])
peak = lambda: next(int(v.split()[1]) * 1024 for v in open("/proc/self/status") if v.startswith("VmHWM"))
before, started = peak(), time.perf_counter()
entry.load(Path(sys.argv[2]))
print(json.dumps([time.perf_counter() - started, peak() - before]))
"""


class Worst:
    """The largest differences seen so far."""

    def __init__(self) -> None:
        self.absolute = self.relative = 0.0

    def add(self, mine: torch.Tensor, theirs: torch.Tensor | np.ndarray) -> None:
        theirs = torch.as_tensor(theirs)
        found = float((mine - theirs).abs().max())
        self.absolute = max(self.absolute, found)
        self.relative = max(self.relative, found / float(theirs.abs().max()))

    def figures(self) -> dict[str, float]:
        return {"max_abs_diff": self.absolute, "max_rel_diff": self.relative}


def counted(net: nn.Module, *inputs: torch.Tensor) -> tuple[float, int]:
    """Count (MACs of one example, parameters) of a plain network, by torch's own counters."""
    with FlopCounterMode(display=False) as counter:
        net(*(x[:1] for x in inputs))
    return counter.get_total_flops() / 2, sum(p.numel() for p in net.parameters())


@torch.no_grad()
def ofa(name: str, subnets: int) -> dict[str, Any]:
    """Run side by side with the authors' classes, which load our weights as their own file."""
    ours = catalogue.entry(name).build()
    ours.load_state_dict(seeded_weights(ours.state_dict()))
    theirs = reference_ofa.build(ours)
    theirs.load_state_dict(ours.state_dict())
    ours.eval()
    sides = (128, 160)
    images = {s: torch.randn(1, 3, s, s, generator=torch.Generator().manual_seed(s)) for s in sides}
    worst, equal = Worst(), True
    archs = [ours.space.smallest(), ours.space.largest(), *ours.space.sample(subnets - 2, np.random.default_rng(0))]
    for arch in archs:
        reference = reference_ofa.extract(theirs, ours, arch)
        for side in sides:
            at = ours.space.architecture({**arch, "r": side})
            mine = ours.subnet(at)
            worst.add(mine(images[side]), reference(images[side]))
            count = reference_ofa.macs(reference, side)
            equal &= bool(abs(count - ours.macs(at)) <= 1e-6 * count)  # the reference adds up in single precision
            equal &= counted(mine, images[side]) == (ours.macs(at), ours.params(at))
        equal &= sum(p.numel() for p in reference.parameters()) == ours.params(arch)
    return {
        **worst.figures(),
        "cost_equal": equal,
        "subnets": len(archs),
        "reference": "PyPI ofa, published size",
        "cost_reference": "PyPI ofa",
    }


@torch.no_grad()
def attentivenas(subnets: int) -> dict[str, Any]:
    from hwsearch.supernets.families.attentivenas import AttentiveNAS, AttentiveNASConfig

    golden = np.load(ROOT / "tests" / "supernets" / "golden" / "attentivenas.npz")
    sides = (64, 72)
    net = AttentiveNAS(AttentiveNASConfig("golden", resolutions=sides))
    net.load_state_dict(seeded_weights(net.state_dict()))
    net.eval()
    images = {s: torch.from_numpy(np.random.default_rng([7, s]).standard_normal((2, 3, s, s))).float() for s in sides}
    worst, equal = Worst(), True
    for k, genes in enumerate(net.space.from_array(golden["rows"].astype(np.int64))):
        for i, side in enumerate(sides):
            arch = net.space.architecture({**genes, "r": side})
            worst.add(net.subnet(arch)(images[side])[:, :6], golden["outputs"][k, i])
            equal &= (net.macs(arch), net.params(arch)) == (golden["macs"][k, i], golden["params"][k])
    return {
        **worst.figures(),
        "cost_equal": equal,
        "subnets": len(golden["rows"]),
        "reference": "numbers of the authors' classes, published size at 64 and 72 px",
        "cost_reference": "torch's counters on the authors' networks",
    }


@torch.no_grad()
def hat(subnets: int) -> dict[str, Any]:
    from tests.supernets.families.hat import test_supernet as golden

    with np.load(golden.GOLDEN) as file:
        found = dict(file)
    net = golden.with_recipe(golden.HatTransformer(golden.CONFIG))
    pairs = {"short": golden.sentences(8, 7), "long": golden.sentences(23, 15)}
    worst, equal = Worst(), True
    for k, row in enumerate(found["genes"]):
        arch = golden.golden_arch(net.space, row)
        subnet = net.subnet(arch)
        for length, pair in pairs.items():
            logits = subnet(*pair).flatten()
            worst.add(logits[golden.places(len(logits))], found[length][k])
        equal &= sum(p.numel() for p in subnet.parameters()) == net.params(arch)
        c = golden.CONFIG
        sentence = torch.full((1, c.source_tokens), 5), torch.full((1, c.target_tokens), 5)
        equal &= counted(subnet, *sentence)[0] == net.macs(arch)
    return {
        **worst.figures(),
        "cost_equal": equal,
        "subnets": len(found["genes"]),
        "reference": "numbers of the authors' classes, small shape, sentences of 8 and 23 tokens",
        "cost_reference": "torch's counters",
    }


def encoder_genes(found: dict[str, np.ndarray]) -> Iterator[tuple[dict[str, int], np.ndarray]]:
    for layers, heads, ffn, logits in zip(*(found[k] for k in ("layers", "heads", "ffn", "logits")), strict=True):
        genes = {"layers": int(layers)}
        for i in range(layers):
            genes |= {f"heads[{i}]": int(heads[i]), f"ffn[{i}]": int(ffn[i])}
        yield genes, logits


@torch.no_grad()
def bert(subnets: int) -> dict[str, Any]:
    from tests.supernets import conftest
    from tests.supernets.families.bert.test_supernet import golden_batch

    net, found = conftest.make_small_bert(), conftest._golden("bert")
    batches = [golden_batch(20), golden_batch(7)]
    worst, equal = Worst(), True
    for genes, expected in encoder_genes(found):
        arch = net.space.architecture(genes)
        subnet = net.subnet(arch)
        for batch, logits in zip(batches, expected, strict=True):
            worst.add(subnet(*batch), logits)
        whole = torch.ones(1, net.input_size(arch), dtype=torch.int64)
        equal &= counted(subnet, whole, whole, whole * 0) == (net.macs(arch), net.params(arch))
    return {
        **worst.figures(),
        "cost_equal": equal,
        "subnets": len(found["layers"]),
        "reference": "numbers of transformers 4.37.2, small shape, 20 and 7 tokens",
        "cost_reference": "torch's counters",
    }


@torch.no_grad()
def vit(subnets: int) -> dict[str, Any]:
    from tests.supernets import conftest

    net, found = conftest.make_small_vit(), conftest._golden("vit")
    images = {r: torch.from_numpy(conftest._named_values("image", (2, 3, r, r)) * 4) for r in (12, 16, 20)}
    worst, equal = Worst(), True
    for genes, expected in encoder_genes(found):
        for (side, x), logits in zip(images.items(), expected, strict=True):
            arch = net.space.architecture({"r": side} | genes)
            subnet = net.subnet(arch)
            worst.add(subnet(x), logits)
            equal &= counted(subnet, x) == (net.macs(arch), net.params(arch))
    return {
        **worst.figures(),
        "cost_equal": equal,
        "subnets": len(found["layers"]),
        "reference": "numbers of transformers 4.48.3, small shape, 12, 16 and 20 px",
        "cost_reference": "torch's counters",
    }


def file_of(name: str, net: Supernet, folder: Path) -> Path:
    """Write a weight file as the family's authors do; for Once-for-All by the reference's own class."""
    if name in OFA.values():
        theirs = reference_ofa.build(net)
        torch.save({"state_dict": theirs.state_dict()}, folder / name)
        return folder / name
    state = {k: v.detach().clone() for k, v in net.state_dict().items()}
    if name == "attentivenas":
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 1}, folder / "a.pth.tar")
        return folder / "a.pth.tar"
    if name == "hat-wmt14-ende":
        state["decoder.embed_tokens.weight"] = state["encoder.embed_tokens.weight"]
        args = argparse.Namespace(arch="transformersuper_wmt_en_de")
        torch.save({"args": args, "model": state, "extra_state": {}, "optimizer_history": []}, folder / "hat.pt")
        return folder / "hat.pt"
    save_file(state, folder / "model.safetensors")
    return folder / "model.safetensors"


def loading(name: str, folder: Path, processes: int, subnets: int) -> dict[str, Any]:
    """Measure seconds and memory to load a file at the published size, medians of fresh processes; extract subnets."""
    net = catalogue.entry(name).build()
    path = file_of(name, net, folder)
    runs = []
    for _ in range(processes):
        done = subprocess.run(
            [sys.executable, "-P", "-c", LOAD, name, str(path)], stdout=subprocess.PIPE, check=True, cwd=ROOT
        )
        runs.append(json.loads(done.stdout))
    size = path.stat().st_size
    result = {
        "load_s": round(statistics.median(r[0] for r in runs), 3),
        "memory_ratio": round(statistics.median(r[1] for r in runs) / size, 2),
        "file_mib": round(size / 2**20, 1),
        "extract_ms": extraction(net.eval(), subnets),
    }
    path.unlink()
    return result


def extraction(net: Supernet, subnets: int) -> float:
    """Measure the median milliseconds to extract a random subnet."""
    archs: list[Architecture] = net.space.sample(subnets, np.random.default_rng(1))
    times = []
    for arch in archs:
        started = time.perf_counter()
        net.subnet(arch)
        times.append(1e3 * (time.perf_counter() - started))
    return round(statistics.median(times), 2)


FAMILIES: dict[str, tuple[Callable[[int], dict[str, Any]], str]] = {
    **{family: ((lambda n, entry=name: ofa(entry, n)), name) for family, name in OFA.items()},
    "attentivenas": (attentivenas, "attentivenas"),
    "hat": (hat, "hat-wmt14-ende"),
    "bert": (bert, "bert-base-sst2"),
    "vit": (vit, "vit-b16"),
}
#: those with the fewest comparisons
QUICK = ("ofa_mobilenetv3", "bert", "vit")


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--subnets", type=int, help="for each family (default: 200; quick: 6)")
    parser.add_argument("--family", nargs="*", choices=list(FAMILIES), help="only these")


def run(given: Run) -> Result:
    """Compare each family with its reference, then load a file of the published size."""
    torch.set_num_threads(1)
    subnets = given.args.subnets or (6 if given.quick else 200)
    processes, extracted = (1, 10) if given.quick else (3, 40)
    figures: dict[str, dict[str, Any]] = {}
    for family in given.args.family or (QUICK if given.quick else FAMILIES):
        compare, name = FAMILIES[family]
        with tempfile.TemporaryDirectory() as folder:
            figures[family] = {**compare(subnets), **loading(name, Path(folder), processes, extracted)}
        given.say(f"{family}: {figures[family]}")
    table = pd.DataFrame([{"family": family} | found for family, found in figures.items()])
    summary = {
        "max_rel_diff": max(f["max_rel_diff"] for f in figures.values()),
        "cost_equal": all(f["cost_equal"] for f in figures.values()),
        "load_s": max(f["load_s"] for f in figures.values()),
        "memory_ratio": max(f["memory_ratio"] for f in figures.values()),
        "extract_ms": max(f["extract_ms"] for f in figures.values()),
    }
    return Result(
        summary,
        table,
        {"families": figures},
        lambda folder: bars(table, folder, "supernets", BENCHMARK.title, "max_rel_diff"),
    )


BENCHMARK = Benchmark(
    "supernets", "Supernets against their authors' code", "three families, 6 subnets, one process", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
