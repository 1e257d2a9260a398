"""Arms of the claim about many tasks: masks alone, shared weights, and exclusive ones, on pairs of noisy digits at equal passes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.training_ground import DigitData, DigitTask, digits
from hwsearch.supernets.supermasks import MaskedNetwork, MaskedTask, signed_constants
from hwsearch.supernets.task_bank import TaskBank
from hwsearch.training.task_training import SupermaskConfig, TaskTraining

#: digits are split in so many tasks of two classes
TASKS = 5
BATCH = 32
#: how each arm differs from `exclusive`
ARMS: dict[str, dict[str, Any]] = {
    "supsup": {"weight_share": 0.0, "transfer": False},
    "exclusive": {},
    "without transfer": {"transfer": False},
    "shared": {"exclusive": False, "transfer": False},
    "plain": {"exclusive": False, "transfer": False, "density": 1.0, "weight_share": 1.0},
}


class Pair(DigitData):
    """Two digits, as classes 0 and 1."""

    classes = ("even", "odd")


class PairNet(nn.Module):
    """Three convolutions of stride 2, 1 and 1, and a linear classifier."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, stride in zip((1, *widths), widths, (2, 1, 1), strict=False):
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.classifier = nn.Linear(widths[-1], 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.body(x).mean((2, 3)))


def backbone(seed: int, widths: tuple[int, int, int] = (16, 32, 64)) -> MaskedNetwork:
    """Make the network that the tasks of one run share."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = PairNet(widths)
    signed_constants(net)
    return MaskedNetwork(net, 2)


@cache
def pair(k: int) -> tuple[Pair, Pair]:
    """Select the digits 2k and 2k + 1 to train on, and to test."""
    found = []
    for data in digits():
        of = data.labels // 2 == k
        found.append(Pair(data.images[of], data.labels[of] % 2, f"{data.name} {2 * k} and {2 * k + 1}"))
    return found[0], found[1]


def arm(name: str, density: float, passes: int, seed: int) -> dict[str, Any]:
    """Train five tasks one after the other; accuracies in percent right after each, and of all at the end."""
    options = {"density": density, **ARMS[name]}
    exclusive = options.pop("exclusive", True)
    network, tasks, own, taken_over = backbone(seed), dict[str, MaskedTask](), [], 0
    logits = []
    trained = []
    for k in range(TASKS):
        train, test = pair(k)
        config = SupermaskConfig(steps=passes, batch=BATCH, seed=seed, **options)
        run = TaskTraining(network, f"task {k}", DigitTask(), train, 8, config, earlier=tasks, exclusive=exclusive)
        network, task = run.run()
        tasks[task.name] = task
        own.append(_top1(network, task, test))
        logits.append(_logits(network, task, test))
        trained.append(run.trained)
        taken_over += bool(run.transfer and run.transfer.best)
    end = [_top1(network, task, pair(k)[1]) for k, task in enumerate(tasks.values())]
    bits = sum(
        not torch.equal(_logits(network, task, pair(k)[1]).view(torch.int32), logits[k].view(torch.int32))
        for k, task in enumerate(tasks.values())
    )
    return {
        "own": sum(own) / TASKS,
        "end": sum(end) / TASKS,
        "forgetting": sum(a - b for a, b in zip(own[:-1], end[:-1], strict=True)) / (TASKS - 1),
        "changed": bits,
        "trained": trained[-1],
        "taken_over": taken_over,
    }


def storage(folder: Path, tasks: int, widths: tuple[int, int, int] = (16, 256, 320)) -> dict[str, float]:
    """Train so many tasks for two passes each into one folder; bytes on disk over 4 a weight and one bit a weight a task."""
    network = backbone(0, widths)
    bank = TaskBank(folder, network, {"supernet": "pairs", "space": "pairs", "structure": "", "start": "0"})
    for k in range(len(bank.rows), tasks):
        earlier = {r["name"]: bank.load(r["name"]) for r in bank.rows}
        config = SupermaskConfig(steps=2, batch=BATCH, seed=k, density=0.05, transfer=False)
        train = pair(k % TASKS)[0]
        after, task = TaskTraining(bank.network, f"task-{k}", DigitTask(), train, 8, config, earlier=earlier).run()
        bank.commit(after, task, {"seed": k})
    again = TaskBank(folder, backbone(1, widths), bank.about)
    for row in again.rows:
        again.load(row["name"])  # each network has the digest that it had when it was trained
    weights = sum(network.weight(n).numel() for n in network.names)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return {"bytes": size, "weights": weights, "ratio": size / (4 * weights + tasks * weights / 8)}


def _top1(network: MaskedNetwork, task: MaskedTask, test: Pair) -> float:
    return DigitTask().evaluate(network.cut(task), test, 8).value


@torch.no_grad()
def _logits(network: MaskedNetwork, task: MaskedTask, test: Pair) -> Tensor:
    found: Tensor = network.cut(task)(test.images)
    return found
