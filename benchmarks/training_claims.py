"""Claims of single papers on the testbench: chains, variances, bands, splits, experts, classes of sizes and gradients."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

from benchmarks.training_ground import (
    BATCH,
    WIDTHS,
    Alone,
    DigitTask,
    accuracy,
    config,
    digits,
    random_subnets,
    test_loss,
    tiny_elastic,
    trained,
)
from hwsearch._typing import FloatArray
from hwsearch.accuracy import subnet_score
from hwsearch.supernets.base import Supernet
from hwsearch.training import Run
from hwsearch.training.batches import prepare_batch
from hwsearch.training.matching import best_split, gradient_distances
from hwsearch.training.parts.partition import bands, pool
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.superposition import Superposition
from hwsearch.training.step import run_step
from hwsearch.training.strategies import STRATEGIES
from hwsearch.training.strategies.few_shot import FewShot
from hwsearch.training.strategies.pada import PathAndDataSampling

#: a plain network with these widths has as many weights as two experts of the ordinary one
WIDE = (23, 45, 90)
#: the gene that is split: the inner width of the first block of the last stage
SPLIT = "width[stage3.0.conv1]"


def chain(passes: int, seed: int) -> dict[str, float]:
    """Train a chain of 16, with 1 and 4 subnets a step; the chain's mean score as a share of the largest's."""
    found = {}
    for draws in (1, 4):
        strategy = STRATEGIES.load("sorted")(length=16, draws=draws)
        trainer = trained(strategy, passes // draws, seed)
        members = trainer.supernet.space.chain(16, trainer.supernet.macs_array)
        scores = [accuracy(trainer, arch) for arch in members]
        found[f"chain_{draws}"] = float(np.mean(scores) / scores[-1])
        found[f"chain_{draws}_monotone"] = float(np.mean(np.diff(scores) >= 0))
    return found


# ---------------------------------------------------------------------- PA&DA
def variances(passes: int, draws: int, seed: int) -> dict[str, float]:
    """Freeze a net after uniform training; the variance of each estimator of its gradient against uniform draws'.

    `bias` is the squared distance of the weighted estimator's mean from the uniform one's, over what their variances
    explain: about 1 without a bias.
    """
    net = trained(STRATEGIES.load("uniform")(draws=4), passes // 4, seed).supernet
    base = _moments(net, PathAndDataSampling(paths=False, data=False), draws, seed)
    arms = {
        "data": PathAndDataSampling(paths=False),
        "data_tau_0.9": PathAndDataSampling(paths=False, tau=0.9),
        "paths": PathAndDataSampling(data=False),
        "both": PathAndDataSampling(),
        "data_unweighted": PathAndDataSampling(paths=False, correct=False),
    }
    found: dict[str, float] = {"accuracy": _largest(net)}
    for name, strategy in arms.items():
        mean, variance = _moments(net, strategy, draws, seed)
        found[f"variance_{name}"] = variance / base[1]
        if name == "data":
            found["bias"] = float((mean - base[0]).square().sum()) / ((variance + base[1]) / draws)
    return found


def _moments(net: Supernet, strategy: PathAndDataSampling, draws: int, seed: int) -> tuple[torch.Tensor, float]:
    """The mean of the gradient, and the trace of its covariance, over draws of subnet and batch at fixed weights."""
    net = copy.deepcopy(net)
    train, _ = digits()
    per_epoch = len(train) // BATCH
    run = Run(net, DigitTask(), train, config(100 * per_epoch, seed))
    recipe = strategy.recipe(run)
    recipe.prepare(run)
    if strategy.data or strategy.paths:
        for step in range(4 * per_epoch):  # norms of examples and genes
            _gradient(run, recipe, step)
    first = (90 if not strategy.correct else 5) * per_epoch  # as released, tau rises to nearly 1
    total, squares = None, 0.0
    for step in range(first, first + draws):
        g = _gradient(run, recipe, step, learn=not strategy.correct)
        total = g if total is None else total + g
        squares += float(g.square().sum())
    assert total is not None
    mean = total / draws
    return mean, (squares - draws * float(mean.square().sum())) / (draws - 1)


def _gradient(run: Run, recipe: Recipe, step: int, *, learn: bool = True) -> torch.Tensor:
    now, net = recipe.schedule.at(step), run.supernet.train()
    rng = np.random.default_rng([run.config.seed, step])
    net.zero_grad(set_to_none=True)
    batch = prepare_batch(run, recipe.data.pick(now), rng)
    done = run_step(recipe, run, batch, now, rng)
    if learn:
        recipe.sampler.update(done.seen)
        recipe.data.update(done.seen)
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in net.parameters()]).double()


def _largest(net: Supernet) -> float:
    train, test = digits()
    return subnet_score(DigitTask(), net, net.space.largest(), train.head(1024), test).value


# ---------------------------------------------------------------------- bands
def band_excess(passes: int, seed: int, alone: Alone) -> dict[str, float]:
    """The worst and mean excess of a subnet's test loss over the same network trained alone, a subnet a band."""
    net = tiny_elastic(seed)
    cells = bands(pool(net, np.random.default_rng(0)), 5)
    archs = [cell.space.from_array(cell.rows[len(cell.rows) // 2][None])[0] for cell in cells]
    best = [alone.of(arch, seed)[1] for arch in archs]
    found = {}
    arms: dict[str, dict[str, Any]] = {"uniform": {}, "band-uniform": {}, "band-shift": {"every": max(1, passes // 80)}}
    for name, options in arms.items():
        trainer = trained(STRATEGIES.load(name)(draws=4, **options), passes // 4, seed)
        excess = [test_loss(trainer.supernet.subnet(a)) - b for a, b in zip(archs, best, strict=True)]
        key = name.replace("-", "_")
        found |= {
            f"{key}_worst": max(excess),
            f"{key}_mean": float(np.mean(excess)),
            f"{key}_std": float(np.std(excess)),
        }
    return found


# ---------------------------------------------------------------------- few-shot
def split(passes: int, batches: int, seed: int, alone: Alone) -> dict[str, float]:
    """Split a gene by gradient matching and at random; equal passes in all."""
    warm = trained(STRATEGIES.load("sandwich-labels")(), passes // 8, seed)
    train, _ = digits()
    run = Run(warm.supernet, DigitTask(), train, config(passes, seed))
    halves = [gradient_distances(run, SPLIT, range(k, k + batches)) for k in (0, batches)]
    upper = np.triu_indices(len(halves[0]), 1)
    found = {"stability": float(spearmanr(halves[0][upper], halves[1][upper])[0])}
    matched = best_split((halves[0] + halves[1]) / 2)
    others = [g for g in (([0, 1], [2, 3]), ([0, 2], [1, 3]), ([0, 3], [1, 2])) if g != matched]
    chance = others[int(np.random.default_rng(seed).integers(len(others)))]
    probes = random_subnets(warm.supernet, 12)
    values = next(c.values for c in run.space.choices if c.name == SPLIT)
    truth = [alone.of(arch, seed)[0] for arch in probes]
    for name, groups in (("matched", matched), ("random", chance)):
        shared = {}
        for group in groups:
            chosen = tuple(values[i] for i in group)
            strategy = FewShot(gene=SPLIT, values=chosen)
            trainer = trained(strategy, passes // 16, seed, copy.deepcopy(warm.supernet))
            shared |= {a: accuracy(trainer, a) for a in probes if a[SPLIT] in chosen}
        guess = [shared[a] for a in probes]
        found[f"tau_{name}"] = float(kendalltau(guess, truth)[0])
        found[f"gap_{name}"] = float(np.mean(np.array(truth) - guess))
    return found


# ---------------------------------------------------------------------- experts and sizes
def mixture(passes: int, seed: int, alone: Alone) -> dict[str, float]:
    """The mean gap to networks trained alone: two experts, and a plain network of as many weights."""
    found = {}
    arms: dict[str, tuple[str, dict[str, Any], tuple[int, int, int]]] = {
        "plain": ("sandwich-labels", {}, WIDTHS),
        "wide": ("sandwich-labels", {}, WIDE),
        "layer": ("mixture", {"hidden": 32}, WIDTHS),
        "neuron": ("mixture", {"hidden": 32, "granularity": "neuron"}, WIDTHS),
    }
    for name, (strategy, options, widths) in arms.items():
        net = tiny_elastic(seed, widths)
        probes = random_subnets(net, 5)
        trainer = trained(STRATEGIES.load(strategy)(**options), passes // 4, seed, net)
        gaps = [alone.of(arch, seed, widths)[0] - accuracy(trainer, arch) for arch in probes]
        found[f"gap_{name}"] = float(np.mean(gaps))
    return found


def sizes(passes: int, seed: int) -> dict[str, float]:
    """Three supernets of a third of the passes each against one, by class of sizes."""
    kind = STRATEGIES.load("autodistil")
    whole = trained(kind(label_smoothing=0.0), passes // 4, seed)
    cells = kind(label_smoothing=0.0).partition(whole.plan)  # type: ignore[attr-defined]
    found: dict[str, float] = {}
    rng = np.random.default_rng(99)
    for k, cell in enumerate(cells):
        part = trained(kind(label_smoothing=0.0, cell=k), passes // 12, seed)
        probes = [cell.smallest(), *cell.sample(3, rng), cell.largest()]
        found[f"whole_{k}"] = float(np.mean([accuracy(whole, a) for a in probes]))
        found[f"cell_{k}"] = float(np.mean([accuracy(part, a) for a in probes]))
    return found


#: weights of the cost, each of which makes one choice; with 0.3 it is the smallest subnet more often than not
COSTS = (0.03, 0.1, 0.3)


def tangle(passes: int, seed: int, alone: Alone, costs: tuple[float, ...] = COSTS) -> dict[str, float]:
    """The choices of searches by gradients, trained alone, against the best of 40 by a supernet of the same passes.

    A search a weight of the cost. The supernet chooses among random subnets of no more MACs; a choice with none such
    (`alone_share`), as the smallest subnet is one, is compared with nothing. `drop` are the points between the superposition and the
    chosen subnet with the shared weights; `regret` those between the two choices, trained alone.
    """
    _, test = digits()
    inputs, targets = next(test.batches(8, len(test)))
    shared = trained(STRATEGIES.load("uniform")(draws=4), passes // 4, seed)
    drops, regrets, sizes_ = [], [], []
    for cost in costs:
        trainer = trained(STRATEGIES.load("tangle")(cost=cost, lr=0.01), passes // 2, seed)
        view, net = trainer.recipe.view, trainer.supernet
        assert isinstance(view, Superposition)
        chosen = view.choice()
        net.train()
        with torch.no_grad():
            mixed = 100 * float((view.forward(inputs).argmax(1) == targets).float().mean())
        drops.append(mixed - subnet_score(DigitTask(), net, chosen, digits()[0].head(1024), test).value)
        sizes_.append(net.macs(chosen) / net.macs(net.space.largest()))
        candidates = [a for a in random_subnets(net, 40) if net.macs(a) <= net.macs(chosen)]
        if candidates:
            best = max(candidates, key=lambda a: accuracy(shared, a))
            regrets.append(alone.of(best, seed)[0] - alone.of(chosen, seed)[0])
    return {
        "drop": float(np.mean(drops)),
        "regret": float(np.mean(regrets)) if regrets else float("nan"),
        "macs": float(np.mean(sizes_)),
        "alone_share": 1 - len(regrets) / len(costs),
    }


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """Average figures over seeds."""
    columns: dict[str, FloatArray] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    with warnings.catch_warnings():  # a figure that no seed has stays NaN
        warnings.simplefilter("ignore", RuntimeWarning)
        return {name: float(np.nanmean(values)) for name, values in columns.items()}
