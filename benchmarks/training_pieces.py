"""Modules trained apart on the testbench: with a meta network, without one, and one after the other in real processes."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from typing_extensions import override

import hwsearch
from benchmarks.training_ground import DigitTask, accuracy, digits, random_subnets, tiny_elastic, trained
from hwsearch.supernets import SupernetEntry
from hwsearch.supernets.base import Supernet, tensors_of
from hwsearch.tasks.data import Data
from hwsearch.training import Trainer
from hwsearch.training.assembling import names_of
from hwsearch.training.strategies import STRATEGIES
from hwsearch.training.strategies.assemble import Assemble

#: modules: the stages of the network
MODULES = 3
#: random subnets beside the smallest and the largest
RANDOM = 6
#: passes of a step of a module, and of a sandwich
SANDWICH = 4


class NamedDigits(DigitTask):
    """The digits by the name of their split."""

    @override
    def read(self, text: str, **options: Any) -> Data:
        return digits()[text.endswith("test")]


ENTRY = SupernetEntry("tiny-elastic", "The testbench's network", build=lambda: tiny_elastic(0), task=NamedDigits())


def scores(trainer: Trainer) -> tuple[float, float]:
    """Mean accuracy of the smallest, the largest and random subnets; accuracy of the largest."""
    net = trainer.supernet
    archs = [net.space.smallest(), net.space.largest(), *random_subnets(net, RANDOM)]
    found = [accuracy(trainer, arch) for arch in archs]
    return float(np.mean(found)), found[1]


@torch.no_grad()
def joined(base: Supernet, pieces: list[tuple[Trainer, Supernet]]) -> Supernet:
    """Take of each network the module that its trainer names."""
    net = copy.deepcopy(base)
    own = tensors_of(net)
    for trainer, source in pieces:
        tensors = tensors_of(source)
        for name in names_of(trainer):
            own[name].copy_(tensors[name])
    return net


def arms(passes: int, share: float, seed: int) -> dict[str, float]:
    """Accuracies at assembly and after fine-tuning, all arms with the same passes.

    The meta network gets `share` of the passes; the modules, or whatever a rival trains in each process, share the rest.
    """
    base = tiny_elastic(seed)
    meta_passes = round(share * passes)
    steps = round((passes - meta_passes) / MODULES / SANDWICH)
    whole = round(passes / MODULES / SANDWICH)
    meta = trained(Assemble(modules=MODULES), meta_passes, seed, copy.deepcopy(base))
    incubated = [
        trained(Assemble(modules=MODULES, module=m), steps, seed, copy.deepcopy(meta.supernet))
        for m in range(1, MODULES + 1)
    ]
    alone = [
        trained(Assemble(modules=MODULES, module=m), whole, seed, copy.deepcopy(base)) for m in range(1, MODULES + 1)
    ]
    sandwich = STRATEGIES.load("sandwich-labels")()
    others = [trained(sandwich, whole, 100 * seed + m, copy.deepcopy(base)) for m in range(MODULES)]
    together = trained(sandwich, round(passes / SANDWICH), seed, copy.deepcopy(base))
    nets = {
        "assembled": joined(base, [(t, t.supernet) for t in incubated]),
        "no meta network": joined(base, [(t, t.supernet) for t in alone]),
        "parts of networks": joined(base, [(t, o.supernet) for t, o in zip(incubated, others, strict=True)]),
        "end to end": together.supernet,
    }
    found: dict[str, float] = {"meta alone": scores(meta)[0]}
    for name, net in nets.items():
        together.supernet = net  # what is scored
        found[name], found[f"{name}, largest"] = scores(together)
        tuned = trained(sandwich, round(0.2 * passes / SANDWICH), 7000 + seed, net)
        found[f"{name}, tuned"] = scores(tuned)[0]
    return found


def exchanged(steps: int, folder: Path) -> tuple[int, int, int]:
    """Train the modules in processes of their own: bytes of gradients that they sent, sockets seen, and looks at them."""
    sockets = looks = 0

    def look(status: dict[str, Any]) -> None:
        nonlocal sockets, looks
        for child in psutil.Process().children(recursive=True):
            try:
                sockets += len(child.net_connections(kind="inet"))
                looks += 1
            except psutil.Error:
                continue

    recipe = folder / "assemble.toml"
    recipe.write_text(
        f'[[stage]]\nstrategy = "assemble"\nstrategy_options = {{ modules = {MODULES} }}\n'
        f"[stage.training]\nsteps = {steps}\nbatch = 32\nlr = 0.03\npadding = 0\ncheckpoint_steps = 50\n",
        encoding="utf-8",
    )
    with tempfile.TemporaryDirectory(dir=folder) as place:
        hwsearch.train(recipe, "digits", place, supernet=f"{__name__}:ENTRY", kernels="eager", progress=look)
        pieces = [hwsearch.train(recipe, "digits", place, supernet=f"{__name__}:ENTRY", kernels="eager", module=m)
                  for m in range(MODULES + 1)]  # fmt: skip
    return sum(piece["gradient_bytes_exchanged"] for piece in pieces), sockets, looks


def table(passes: int, share: float, seeds: int, say: Callable[[str], None]) -> list[dict[str, float]]:
    """Run the arms for every seed."""
    found = []
    for seed in range(seeds):
        found.append(arms(passes, share, seed))
        say(f"seed {seed}: " + ", ".join(f"{k} {v:.1f}" for k, v in found[-1].items()))
    return found
