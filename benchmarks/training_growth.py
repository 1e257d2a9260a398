"""Growing the testbench's network to twice its widths: new blocks of several kinds, and training from scratch, at equal MACs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.training_ground import WIDTHS, Trainer, accuracy, random_subnets, tiny_elastic, trained
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.growing import METHODS, check_same_channels, grow_weights
from hwsearch.training.strategies import STRATEGIES

#: half of the widths, from which networks grow
HALF = (WIDTHS[0] // 2, WIDTHS[1] // 2, WIDTHS[2] // 2)
#: passes of a step
SANDWICH = 4
#: random subnets of the grown space that are scored beside its ends
RANDOM = 4


def pass_macs(net: Supernet) -> float:
    """MACs of a pass of the sandwich on average: largest, smallest and random ones twice."""
    macs = net.macs_array(net.space.sample_array(256, np.random.default_rng(0)))
    return (net.macs(net.space.largest()) + net.macs(net.space.smallest()) + 2 * float(macs.mean())) / SANDWICH


def scores(trainer: Trainer, net: Supernet) -> tuple[float, float]:
    """Accuracy of the largest subnet, and the mean of it, the smallest and random ones."""
    trainer.supernet = net
    archs = [net.space.largest(), net.space.smallest(), *random_subnets(net, RANDOM)]
    found = [accuracy(trainer, arch) for arch in archs]
    return found[0], float(np.mean(found))


def arms(steps: int, seed: int) -> dict[str, float]:
    """Train two networks of half the widths, grow them in every way, and train on; or train as many MACs from scratch.

    Training on takes 10 % of the MACs of both; the method ``wider`` has only one of them, trained twice as long.
    """
    sandwich = STRATEGIES.load("sandwich-labels")()
    first, second = (trained(sandwich, steps, 10 * seed + k, tiny_elastic(10 * seed + k, HALF)) for k in range(2))
    longer = trained(sandwich, 2 * steps, 10 * seed, tiny_elastic(10 * seed, HALF))
    small, other, repeated = first.supernet, second.supernet, longer.supernet
    spent = 2 * steps * pass_macs(small)  # in passes of one kind of step: SANDWICH is left out everywhere
    large = tiny_elastic(10 * seed + 5)
    more = max(1, round(0.1 * spent / pass_macs(large)))
    check_same_channels(small, tiny_elastic(0))
    found = {
        "half, one of two": scores(first, small)[0],
        "half, twice as long": scores(longer, repeated)[0],
    }
    for method in METHODS:
        net = tiny_elastic(10 * seed + 5)
        if method == "wider":
            grow_weights(repeated, net, method)
        else:
            grow_weights(small, net, method, second=other, seed=seed)
        found[method], found[f"{method}, mean"] = scores(first, net)
        tuned = trained(sandwich, more, 500 + seed, net)
        found[f"{method}, trained on"], found[f"{method}, trained on, mean"] = scores(tuned, tuned.supernet)
    whole = round(1.1 * spent / pass_macs(large))
    scratch = trained(sandwich, whole, 500 + seed, large)
    found["scratch, trained on"], found["scratch, trained on, mean"] = scores(scratch, scratch.supernet)
    found["steps on"], found["steps from scratch"] = more, whole
    return found


def table(steps: int, seeds: int, say: Callable[[str], None]) -> list[dict[str, float]]:
    """Run the arms for every seed."""
    found = []
    for seed in range(seeds):
        found.append(arms(steps, seed))
        say(f"seed {seed}: " + ", ".join(f"{k} {v:.1f}" for k, v in found[-1].items()))
    return found
