"""Arms of the claim about pruning: gates with and without polarization, random blocks, and magnitude pruning, at equal passes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import hwsearch
from benchmarks.training_ground import (
    BATCH,
    CALIBRATION,
    RATE,
    WIDTHS,
    DigitTask,
    TinyNet,
    config,
    digits,
    tiny_elastic,
)
from hwsearch._typing import FloatArray, IntArray
from hwsearch.accuracy import recalibrate
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.operator_costs import operator_cost
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import digest, save_weights
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.training import Trainer
from hwsearch.training.finetune import FinetuneConfig, finetune
from hwsearch.training.pruning import Pruned, prune_network
from hwsearch.training.strategies.consensus import Consensus

#: share of the largest network's MACs that is left
SHARE = 0.5
#: architectures among which random ones are drawn use at least so much of the limit
USED = 0.97
#: limits on the latency, as shares of the largest network's
LATENCIES = (0.55, 0.7, 0.85)

DIGITS = SupernetEntry(
    "tiny-elastic",
    "the testbench's network",
    lambda: tiny_elastic(0),
    task=DigitTask(),
    data=lambda: {"calibration": digits()[0].head(CALIBRATION), "validation": digits()[0], "test": digits()[1]},
)
CAMPAIGN = """[supernet]
name = "benchmarks.prune_arms:DIGITS"
checkpoint = "{weights}"

[[device]]
name = "cpu"
batch = 64
threads = 1

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[profile]
latency = {latency}
accuracy = 8
random = 2

[protocol]
half_width = 0.02
processes = [2, 4]
"""


@dataclass
class Kept:
    """Results by arm, seed and passes, kept in a file, so that a stopped benchmark goes on where it was.

    Attributes
    ----------
    path : Path
        The file.
    """

    path: Path
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.known = json.loads(self.path.read_text(encoding="utf-8"))

    def of(self, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Make a result unless it is known."""
        if key not in self.known:
            self.known[key] = make()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.known, indent=1), encoding="utf-8")
        return self.known[key]


def tested(net: nn.Module) -> float:
    """Measure a static network's top-1 on the test images in percent, its batch norms recalibrated."""
    train, test = digits()
    recalibrate(net, train.head(CALIBRATION), 8)
    return DigitTask().evaluate(net, test, 8).value


def trained_alone(net: nn.Module, passes: int, seed: int) -> nn.Module:
    """Train a static network with the settings that all arms share."""
    settings = FinetuneConfig(steps=passes, batch=BATCH, lr=RATE, warmup=0.05, seed=seed)
    finetune(DigitTask(), net, digits()[0], 8, settings)
    return net


def gated(
    net: Supernet,
    passes: int,
    seed: int,
    limit: float,
    cost: Callable[[IntArray], FloatArray] | None = None,
    **options: float,
) -> Pruned:
    """Prune a supernet by gates in one run."""
    train, test = digits()
    strategy = Consensus(limit=limit, **options)
    if cost is not None:
        strategy = strategy.use_cost(cost)
    with tempfile.TemporaryDirectory(prefix="hwsearch-bench-") as folder:
        return prune_network(Trainer(net, strategy, DigitTask(), train, config(passes, seed), Path(folder)), test)


def by_gates(passes: int, seed: int, **options: float) -> dict[str, Any]:
    """One run with gates, with or without polarization."""
    net = tiny_elastic(seed)
    found = gated(net, passes, seed, SHARE * net.macs(net.space.largest()), **options)
    return {
        "accuracy": tested(net.eval().subnet(found.arch)),
        "disagreement": found.disagreement,
        "drop": found.gated - found.frozen,
        "share": found.cost / found.largest,
        "genes": found.arch.to_dict(),
    }


def at_random(passes: int, seed: int) -> dict[str, Any]:
    """A random architecture within the limit, trained from scratch."""
    net = tiny_elastic(seed)
    arch = _within(net, np.random.default_rng(seed))
    return _result(net, arch, trained_alone(net.subnet(arch), passes, seed))


def by_magnitude(passes: int, seed: int) -> dict[str, Any]:
    """Train the largest network for half of the passes, keep the filters of largest L1 norm, fine-tune for the other half.

    Norms are divided by their mean over the layer; of the architectures within the limit, all blocks kept, the one with the
    largest sum is taken (Li et al. 2017, arXiv 1608.08710, with one ranking over all layers).
    """
    net = tiny_elastic(seed)
    largest = trained_alone(net.subnet(net.space.largest()), passes // 2, seed)
    net.load_state_dict(largest.state_dict())
    net.sort_channels()
    arch = _largest_norms(net)
    return _result(net, arch, trained_alone(net.subnet(arch), passes - passes // 2, seed + 100))


def by_torch_pruning(passes: int, seed: int) -> dict[str, Any]:
    """The same with PyPI's ``torch-pruning``: its own L1 importance, one ranking over all layers, single channels."""
    import torch_pruning as tp

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = TinyNet(WIDTHS)
    trained_alone(net, passes // 2, seed)
    example = torch.zeros(1, 1, 8, 8)
    inner = {m for n, m in net.named_modules() if n.endswith("conv1")}
    kept = [m for n, m in net.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and m not in inner]
    before, _ = tp.utils.count_ops_and_params(net, example)
    pruner = tp.pruner.MagnitudePruner(
        net, example, importance=tp.importance.MagnitudeImportance(p=1), global_pruning=True, pruning_ratio=0.9,
        iterative_steps=90, max_pruning_ratio=0.9, ignored_layers=kept,
    )  # fmt: skip
    after = before
    while after > SHARE * before:
        pruner.step()
        after, _ = tp.utils.count_ops_and_params(net, example)
    trained_alone(net, passes - passes // 2, seed + 100)
    return {"accuracy": tested(net), "share": after / before, "version": importlib.metadata.version("torch-pruning")}


def rivals() -> dict[str, Callable[[int, int], dict[str, Any]]]:
    """List the arms beside gates; ``torch-pruning`` where it is installed."""
    found: dict[str, Callable[[int, int], dict[str, Any]]] = {"random": at_random, "magnitude": by_magnitude}
    return found | ({"torch-pruning": by_torch_pruning} if importlib.util.find_spec("torch_pruning") else {})


def _result(net: Supernet, arch: Architecture, subnet: nn.Module) -> dict[str, Any]:
    share = net.macs(arch) / net.macs(net.space.largest())
    return {"accuracy": tested(subnet), "share": share, "genes": arch.to_dict()}


def _within(net: Supernet, rng: np.random.Generator) -> Architecture:
    """Draw architectures until one uses enough of the limit."""
    limit = SHARE * net.macs(net.space.largest())
    while True:
        for arch in net.space.sample(200, rng):
            if USED * limit <= net.macs(arch) <= limit:
                return arch


def _largest_norms(net: Supernet) -> Architecture:
    """Find the architecture of all blocks within the limit that keeps most of the filters' norms."""
    space = net.space
    genes = [n for n in space.names if n.startswith("width")]
    weights = {n: net.get_parameter(f"model.{n.removeprefix('width[').removesuffix(']')}.weight") for n in genes}
    norms = {n: w.detach().abs().sum((1, 2, 3)).sort(descending=True).values for n, w in weights.items()}
    sizes = [len(next(c for c in space.choices if c.name == n).values) for n in genes]
    rows = np.repeat((space.sizes - 1)[None], int(np.prod(sizes)), axis=0)
    at = [list(space.names).index(n) for n in genes]
    rows[:, at] = np.stack([grid.ravel() for grid in np.indices(sizes)], 1)
    score = np.zeros(len(rows))
    for gene, column in zip(genes, at, strict=True):
        values = next(c for c in space.choices if c.name == gene).values
        share = norms[gene] / norms[gene].mean()
        kept = np.array([float(share[: round(v * len(share))].sum()) for v in values])
        score += kept[rows[:, column]]
    within = net.macs_array(rows) <= SHARE * net.macs(space.largest())
    best = rows[within][int(score[within].argmax())]
    return space.from_array(best[None])[0]


def latency_errors(folder: Path, passes: int, seeds: Sequence[int], *, quick: bool) -> list[dict[str, Any]]:
    """Prune to limits in milliseconds by an operator table, and time the results."""
    folder.mkdir(parents=True, exist_ok=True)
    net = tiny_elastic(0)
    weights = folder / "tiny-elastic.safetensors"
    save_weights(net, weights, {"supernet": "tiny-elastic", "digest": digest(net)})
    settings = folder / "prune.toml"
    settings.write_text(CAMPAIGN.format(weights=weights, latency=30 if quick else 60), encoding="utf-8")
    campaign = Campaign.open(settings, folder=folder / "campaign")
    hwsearch.profile(campaign)
    hwsearch.operators(campaign)
    target = campaign.target(None)
    cost = operator_cost(campaign, target)
    kept = Kept(folder / "latency.json")
    largest = float(cost(net.space.to_array([net.space.largest()]))[0])
    found = []
    for seed, share in zip(seeds, LATENCIES, strict=False):

        def make(seed: int = seed, share: float = share) -> dict[str, Any]:
            done = gated(tiny_elastic(seed), passes, seed, share * largest, cost, metric="latency_ms")  # type: ignore[arg-type]
            return {"limit": share * largest, "table": done.cost, "genes": done.arch.to_dict()}

        found.append(kept.of(f"{seed} {share} {passes}", make))
    archs = [net.space.architecture(one["genes"]) for one in found]
    measure_latencies(campaign, [target], archs)
    measured = find_latency(campaign, target, SEARCH)
    for one, arch in zip(found, archs, strict=True):
        value = measured[arch.id].value
        assert value is not None
        one |= {"measured": float(value), "error_pct": 100 * abs(float(value) / one["limit"] - 1)}
        one |= {"table_error_pct": cost.error_pct}
    return found
