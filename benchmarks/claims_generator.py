"""Claims about weights from a generator, on the testbench of strategies."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.claim import Figure, claim, spread
from benchmarks.frame import Run
from benchmarks.training_ground import (
    CALIBRATION,
    DigitTask,
    TinyNet,
    accuracy,
    config,
    digits,
    random_subnets,
    tiny_elastic,
    trained,
)
from hwsearch.accuracy import subnet_score
from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.declared import Width, elastic
from hwsearch.supernets.weights.generated import GeneratedSupernet, restored
from hwsearch.supernets.weights.generator import GeneratorSettings, Hypernetwork, norm_correlation
from hwsearch.training import Trainer
from hwsearch.training.strategies import STRATEGIES
from hwsearch.training.strategies.generator import WeightGenerator

#: learning rates, over two and a half decades
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
#: a training has converged whose accuracy is this share of the best one's of any arm and rate
CONVERGED = 0.9
RAW = {"encoding": "raw", "residual": False}
ARMS: dict[str, dict[str, object]] = {
    "raw": RAW,
    "raw, layer norm": RAW | {"layer_norm": True},
    "encoding only": {"residual": False},
    "residual only": {"encoding": "raw"},
    "MIP": {},
}
#: widths of the network whose generator makes all weights at once, and units of that
NARROW, UNITS = (8, 16, 32), 16
#: shares of the inner widths: trained, and never trained
FEW, HELD_OUT = (0.25, 0.5, 0.75, 1.0), (0.375, 0.625)
INNER = (16, 32, 64)


# ---------------------------------------------------------------------- MIP
def correlation(arm: dict[str, object], inits: int) -> tuple[float, float]:
    """Correlation of ‖θ‖ with ‖c‖ at the start over 60 conditions of six numbers: mean and deviation over initialisations."""
    settings = GeneratorSettings(mode="full", hidden=256, **arm)  # type: ignore[arg-type]
    found = []
    for seed in range(inits):
        net, rng = Hypernetwork(6, [400], settings, seed), torch.Generator().manual_seed(seed)
        theta0 = torch.randn(400, generator=rng) * 0.1 * settings.residual
        conditions = torch.rand(60, 6, generator=rng)
        with torch.no_grad():
            norms = torch.stack([(theta0 + net(c)).norm() for c in conditions])
        found.append(norm_correlation(norms, conditions))
    return spread(found)


def reached(arm: dict[str, object], rate: float, passes: int, seed: int) -> float:
    """Mean accuracy of the smallest, the largest and two random subnets; 0 where the training diverged."""

    strategy = WeightGenerator(mode="full", hidden=UNITS, random=1, **arm)  # type: ignore[arg-type]
    settings = config(passes // 3, seed).model_copy(update={"lr": rate})
    train, _ = digits()
    with tempfile.TemporaryDirectory(prefix="hwsearch-bench-") as folder:
        trainer = Trainer(tiny_elastic(seed, NARROW), strategy, DigitTask(), train, settings, Path(folder))
        try:
            trainer.run()
        except TrainingError:
            return 0.0
    space = trainer.supernet.space
    archs = [space.smallest(), space.largest(), *random_subnets(trainer.supernet, 2)]
    return float(np.mean([accuracy(trainer, a) for a in archs]))


@claim("mip.converging", "mip.plain_converging", "mip.norm_correlation", "mip.plain_norm_correlation")
def magnitude_invariance(given: Run) -> dict[str, Figure]:
    """At how many learning rates generators converge, with and without the encoding and the residual."""
    passes, seeds = (240, 1) if given.quick else (1200, 3)
    table: dict[str, np.ndarray] = {}
    for name, arm in ARMS.items():
        table[name] = np.array([[reached(arm, rate, passes, seed) for rate in RATES] for seed in range(seeds)])
        given.say(f"{name}: " + ", ".join(f"{r:g}: {a:.1f}" for r, a in zip(RATES, table[name].mean(0), strict=True)))
    best = np.max([found.max(1) for found in table.values()], axis=0)  # of each seed
    counts = {name: (found >= CONVERGED * best[:, None]).sum(1) for name, found in table.items()}
    note = "; ".join(
        f"{name} {counts[name].mean():.2g} (" + ", ".join(f"{a:.1f}" for a in found.mean(0)) + ")"
        for name, found in table.items()
    )
    rows = pd.DataFrame({"arm": list(counts), "rates that converge": [float(c.mean()) for c in counts.values()]})
    inits = 60 if given.quick else 400
    plain, mip = correlation(RAW, inits), correlation({}, inits)

    def counted(name: str) -> tuple[float, float]:
        return float(counts[name].mean()), float(counts[name].std(ddof=1)) if seeds > 1 else math.nan

    plain_count = counted("raw")
    return {
        "mip.converging": Figure(*counted("MIP"), seeds, f"> {plain_count[0]:g}", note, rows),
        "mip.plain_converging": Figure(*plain_count, seeds),
        "mip.norm_correlation": Figure(abs(mip[0]), mip[1], inits, "<= 0.1"),
        "mip.plain_norm_correlation": Figure(*plain, inits, ">= 0.9"),
    }


# ---------------------------------------------------------------------- widths that were never trained
def network(seed: int, channels: list[tuple[int, ...]]) -> Supernet:
    """The testbench's network, whose blocks have these elastic inner channels, one tuple a stage, ascending."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net, declared = TinyNet(INNER), {}
        for k, choices in enumerate(channels, 1):
            full = choices[-1]
            for i, block in enumerate(net.get_submodule(f"stage{k}").children()):
                before, after = block.conv1, block.conv2
                block.conv1 = nn.Conv2d(before.in_channels, full, 3, before.stride, 1, bias=False)
                block.bn1, block.conv2 = nn.BatchNorm2d(full), nn.Conv2d(full, after.out_channels, 3, 1, 1, bias=False)
                declared[f"stage{k}.{i}.conv1"] = Width(tuple(c / full for c in choices), divisor=2)
        return elastic(net, declared, input_shape=(1, 8, 8), name="held-out")


def stored(net: Supernet) -> int:
    """Count the parameters that a weight file holds."""
    return net.card.stored_params if isinstance(net, GeneratedSupernet) else sum(p.numel() for p in net.parameters())


def choices(shares: tuple[float, ...], full: tuple[int, ...] = INNER) -> list[tuple[int, ...]]:
    """Channels of every stage for shares of the testbench's widths, and the largest of the network."""
    return [tuple(sorted({round(s * w) for s in shares} | {f})) for w, f in zip(INNER, full, strict=True)]


def equally_stored(wanted: int) -> tuple[int, ...]:
    """Find the smallest inner widths whose plain network stores at least so many parameters."""
    scale, full = 1.0, INNER
    while stored(network(0, choices(FEW, full))) < wanted:
        scale += 0.01
        full = tuple(2 * math.ceil(scale * w / 2) for w in INNER)
    return full


def at_widths(net: Supernet, shares: tuple[float, ...]) -> float:
    """Mean accuracy of the subnets all of whose blocks have a share of the testbench's width, in percent."""
    train, test = digits()
    found = []
    for share in shares:
        genes = {}
        for choice in net.space.choices:
            stage = int(choice.name.split("stage")[1][0]) - 1
            full = net.get_parameter(_weight(net, choice.name)).shape[0]
            genes[choice.name] = min(choice.values, key=lambda v: abs(v * full - share * INNER[stage]))
        arch = net.space.architecture(genes)
        found.append(subnet_score(DigitTask(), net, arch, train.head(CALIBRATION), test).value)
    return float(np.mean(found))


def _weight(net: Supernet, gene: str) -> str:
    """Name of the parameter whose outputs a width cuts."""
    name = f"model.{gene.removeprefix('width[').removesuffix(']')}.weight"
    return f"net.{name}" if isinstance(net, GeneratedSupernet) else name


def held_out(passes: int, seed: int) -> dict[str, float]:
    """Accuracies at widths that were never trained, and at those that were, of both arms with equal passes."""
    steps, every = passes // 4, tuple(sorted(FEW + HELD_OUT))
    made = trained(WeightGenerator(), steps, seed, network(seed, choices(FEW))).supernet
    wider = equally_stored(stored(made))
    sliced = trained(STRATEGIES.load("sandwich-labels")(), steps, seed, network(seed, choices(FEW, wider))).supernet
    more = restored(network(seed, choices(every)), made.state_dict(), "the training")
    more.load_state_dict(made.state_dict())
    cut = network(seed, choices(every, wider))
    cut.load_state_dict(sliced.state_dict())
    assert isinstance(more, GeneratedSupernet)
    return {
        "generator, held out": at_widths(more, HELD_OUT),
        "θ0 alone, held out": at_widths(more.net, HELD_OUT),
        "slicing, held out": at_widths(cut, HELD_OUT),
        "generator, trained": at_widths(more, FEW),
        "slicing, trained": at_widths(cut, FEW),
        "stored, generator": float(stored(more)),
        "stored, slicing": float(stored(cut)),
    }


@claim("generator.over_slicing", "generator.over_theta0", "generator.over_slicing_trained")
def unseen_widths(given: Run) -> dict[str, Figure]:
    """Widths that were never trained: generated weights against slices at as many stored parameters."""
    passes, seeds = (600, 3) if given.quick else (4800, 5)
    rows = []
    for seed in range(seeds):
        rows.append(held_out(passes, seed))
        given.say(f"seed {seed}: " + ", ".join(f"{k} {v:.1f}" for k, v in rows[-1].items()))
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    arms = [name for name in mean if not name.startswith("stored")]
    shown = pd.DataFrame({"arm": arms, "accuracy, %": [mean[name] for name in arms]})

    def over(first: str, second: str) -> tuple[float, float]:
        return spread([row[first] - row[second] for row in rows])

    note = ", ".join(f"{name} {value:.1f}" for name, value in mean.items())
    return {
        "generator.over_slicing": Figure(
            *over("generator, held out", "slicing, held out"), seeds, note=note, rows=shown
        ),
        "generator.over_theta0": Figure(*over("generator, held out", "θ0 alone, held out"), seeds),
        "generator.over_slicing_trained": Figure(*over("generator, trained", "slicing, trained"), seeds),
    }
