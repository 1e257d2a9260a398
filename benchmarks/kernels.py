"""The compiled kernels of training against eager torch, on the sandwich step of the embedded supernet.

    python -m benchmarks.kernels [--quick] [--json] [--folder DIR] [--rounds N]

A round runs one step (clear the gradients, sandwich of 2 random subnets, clip, SGD with learning rate 0) with each kind of kernels in
turn, on the same images and the same subnets; its ratio is eager's processor time over the native one's. ``speedup`` is the
median of the rounds with one thread, ``speedup_two_threads`` with two (there by the clock as well, in the details), and ``compiled`` that of
`torch.compile`, one graph for the largest subnet, over the largest alone, interleaved with eager in the same process.

``max_error`` is the largest difference of an operator's outputs and gradients from float64, over the largest value, for random shapes
(where no value stands at a jump of the activation's slope);
``gradient_over_eager`` the distance of the gradient of the largest subnet from float64, over eager's distance, median over batches;
``recompilations`` counts what `torch.compile`'s counters of frames and graphs moved while random subnets ran.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks import frame
from benchmarks.frame import Benchmark, Result
from hwsearch.spaces import Architecture
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.kernels import ACTIVATIONS, EAGER, Kernels, Norm, choose, using
from hwsearch.tasks.base import Augmentation, Task
from hwsearch.tasks.data import Data
from hwsearch.training.allocator import keep_freed_memory
from hwsearch.training.config import TrainingConfig
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.run import Run
from hwsearch.training.step import run_step
from hwsearch.training.strategies.sandwich import Sandwich

NAME, BATCH, RANDOM = "cifar10-mbv3", 128, 2
#: targets: speed-up with AVX2 only, the error of an operator
LEAST_SPEEDUP, MOST_ERROR = 1.45, 1e-5


class Step:
    """The step that a trainer does, with a learning rate of zero."""

    def __init__(self, net: Supernet, task: Task, data: Data, x: Tensor, y: Tensor) -> None:
        self.net, self.task, self.x, self.y = net, task, x, y
        self.run = Run(net, task, data, TrainingConfig(batch=BATCH))
        self.recipe = Sandwich(random=RANDOM).recipe(self.run)
        self.recipe.prepare(self.run)
        self.optimizer = torch.optim.SGD(net.parameters(), lr=0.0, momentum=0.9, nesterov=True)

    def timed(self, kernels: Kernels, seed: int) -> dict[str, float]:
        """Processor time and time by the clock, in seconds."""
        now, rng = self.recipe.schedule.at(0), np.random.default_rng(seed)
        batch = Batch(self.x, self.y, np.arange(BATCH), self.run.size)  # afresh: it keeps what it has resized
        with using(kernels):
            processor, clock = time.process_time(), time.perf_counter()
            self.optimizer.zero_grad(set_to_none=True)
            run_step(self.recipe, self.run, batch, now, rng)
            nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
            self.optimizer.step()
            return {"cpu": time.process_time() - processor, "wall": time.perf_counter() - clock}


def rounds(step: Step, native: Kernels, threads: int, count: int, given: frame.Run) -> list[dict[str, Any]]:
    """Interleaved steps with a number of threads, after one that is not counted."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    rows: list[dict[str, Any]] = []
    for k in range(-1, count):
        order = (EAGER, native) if k % 2 else (native, EAGER)
        found = {kernels.name: step.timed(kernels, k + 1) for kernels in order}
        ratios = {c: found["eager"][c] / found["native"][c] for c in ("cpu", "wall")}
        if k >= 0:
            rows.append(
                {"threads": threads, "round": k, "ratio": ratios["cpu"], "ratio_by_the_clock": ratios["wall"]}
                | {f"{name}_{c}_s": t for name, times in found.items() for c, t in times.items()}
            )
            given.say(f"{threads} thread(s), round {k}: {ratios['cpu']:.2f}, by the clock {ratios['wall']:.2f}")
    torch.set_num_threads(before)
    return rows


def compiled_ratio(net: Supernet, x: Tensor, count: int) -> tuple[float | None, str]:
    """Eager over compiled by torch, forward and backward of the largest subnet as one static graph."""
    plain = net.subnet(net.space.largest()).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    started = time.perf_counter()

    def once(run: Callable[[Tensor], Tensor]) -> float:
        plain.zero_grad(set_to_none=True)
        before = time.process_time()
        run(x).square().mean().backward()
        return time.process_time() - before

    try:
        compiled = torch.compile(plain, dynamic=False)
        once(compiled)
    except Exception as error:  # a machine without what inductor needs
        return None, f"torch.compile does not run here: {str(error).splitlines()[0]}"
    seconds = time.perf_counter() - started
    once(plain)
    ratios = [once(plain) / once(compiled) for _ in range(count)]
    return statistics.median(ratios), f"{seconds:.0f} s of compiling"


def subnet_gradient(net: Supernet, arch: Architecture, x: Tensor, y: Tensor, kernels: Kernels) -> list[Tensor]:
    """Gradient of the loss on labels."""
    net.activate(arch)
    with using(kernels):
        loss = nn.functional.cross_entropy(net(x), y)
        return list(torch.autograd.grad(loss, list(net.parameters()), allow_unused=True))


def gradient_distances(net: Supernet, x: Tensor, y: Tensor, native: Kernels, batches: int) -> list[tuple[float, float]]:
    """Relative distances of the whole gradient of the largest subnet from float64: eager's and the native one's."""
    exact, arch, found = copy.deepcopy(net).double(), net.space.largest(), []
    for k in range(batches):
        part = slice(k * len(x) // batches, (k + 1) * len(x) // batches)
        reference = subnet_gradient(exact, arch, x[part].double(), y[part], EAGER)
        pair = []
        for kernels in (EAGER, native):
            own = subnet_gradient(copy.deepcopy(net), arch, x[part], y[part], kernels)
            both = [(a.double(), b) for a, b in zip(own, reference, strict=True) if a is not None and b is not None]
            apart = sum(float((a - b).square().sum()) for a, b in both)
            pair.append((apart / sum(float(b.square().sum()) for _, b in both)) ** 0.5)
        found.append((pair[0], pair[1]))
    return found


def operator_errors(native: Kernels, shapes: int, seed: int = 0) -> dict[str, float]:
    """Largest error of each operator's output and gradients against float64."""
    rng, worst = np.random.default_rng(seed), {}
    for _ in range(shapes):
        n, c, o = (
            int(rng.integers(2, 9)),
            int(rng.choice([7, 8, 16, 24, 33, 40, 100])),
            int(rng.choice([8, 17, 40, 64])),
        )
        h, w = int(rng.integers(3, 13)), int(rng.integers(3, 13))
        side, stride, act = int(rng.choice([3, 5, 7])), int(rng.choice([1, 2])), str(rng.choice(list(ACTIVATIONS)))

        def draw(*shape: int) -> Tensor:
            return torch.from_numpy(rng.normal(size=shape).astype(np.float32))

        def norm(t: list[Tensor], channels: int) -> Norm:
            return Norm(t[-2], t[-1], t[0].new_zeros(channels), t[0].new_ones(channels), 0.1, 1e-5)

        x, wide, deep = draw(n, c, h, w), draw(o, c, 1, 1), draw(c, 1, side, side)
        gates, norms = (
            [draw(8, c, 1, 1), draw(8), draw(c, 8, 1, 1), draw(c)],
            {k: [draw(k) + 1, draw(k)] for k in (c, o)},
        )
        cases: dict[str, tuple[Callable[[Kernels, list[Tensor]], Tensor], list[Tensor]]] = {
            "pointwise": (lambda k, t: k.pointwise(*t), [x, wide]),
            "depthwise": (lambda k, t: k.depthwise(*t, stride), [x, deep]),  # noqa: B023
            "squeeze_excite": (lambda k, t: k.squeeze_excite(*t), [x, *gates]),
            "norm_act": (lambda k, t: k.norm_act(t[0], norm(t, c), act), [x, *norms[c]]),  # type: ignore[arg-type]  # noqa: B023
            "pointwise_norm_act": (lambda k, t: k.pointwise_norm_act(*t[:2], norm(t, o), act), [x, wide, *norms[o]]),  # type: ignore[arg-type, call-arg]  # noqa: B023
            "expand": (
                lambda k, t: k.expand(*t[:2], norm(t[2:4], o), t[4], stride, norm(t[5:], o), act),  # type: ignore[arg-type, call-arg]  # noqa: B023
                [x, wide, *norms[o], draw(o, 1, side, side), *norms[o]],
            ),
            "depthwise_norm_act": (
                lambda k, t: k.depthwise_norm_act(*t[:2], stride, norm(t, c), act),  # type: ignore[arg-type, call-arg]  # noqa: B023
                [x, deep, *norms[c]],
            ),
        }
        for name, (operator, inputs) in cases.items():
            if _at_a_kink(name, inputs, stride, act):
                continue
            results = []
            for kernels, dtype in ((EAGER, torch.float64), (native, torch.float32)):
                leaves = [t.to(dtype, copy=True).requires_grad_() for t in inputs]
                y = operator(kernels, leaves)
                upstream = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).to(dtype).view(y.shape)
                results.append([y.detach(), *torch.autograd.grad(y, leaves, upstream)])
            for a, b in zip(*results, strict=True):
                error = float((a - b.double()).abs().max() / a.abs().max().clamp_min(1.0))
                worst[name] = max(worst.get(name, 0.0), error)
    return worst


def _at_a_kink(name: str, inputs: list[Tensor], stride: int, act: str) -> bool:
    """Whether rounding decides on which side of a jump of the activation's slope a value falls; torch's own error is large there, too."""
    kinks = {"relu": (0.0,), "relu6": (0.0, 6.0), "hardswish": (-3.0, 3.0)}.get(act, ())
    t = [v.double() for v in inputs]

    def norm(y: Tensor, k: int) -> Tensor:
        return nn.functional.batch_norm(y, None, None, t[k], t[k + 1], True)

    if name == "norm_act":
        found = [norm(t[0], 1)]
    elif name == "pointwise_norm_act":
        found = [norm(EAGER.pointwise(t[0], t[1]), 2)]
    elif name == "depthwise_norm_act":
        found = [norm(EAGER.depthwise(t[0], t[1], stride), 2)]
    elif name == "expand":  # two of them in a row: only activations without jumps
        return bool(kinks)
    else:
        return False
    return any(bool(((z - k).abs() < 1e-5).any()) for z in found for k in kinks)


def recompilations(step: Step, native: Kernels, subnets: int) -> int:
    """Count by how much the counters of torch.compile move while random subnets train on a few images."""
    from torch._dynamo.utils import counters

    def total() -> int:
        return sum(int(v) for kind in ("frames", "stats", "recompiles") for v in counters[kind].values())

    before, rng = total(), np.random.default_rng(1)
    for arch in step.net.space.sample(subnets, rng, distinct=False):
        step.net.activate(arch)
        small = step.task.resize(step.x[:2], step.net.input_size(arch))
        with using(native):
            step.net(small).sum().backward()
    step.net.zero_grad(set_to_none=True)
    return total() - before


def run(given: frame.Run) -> Result:
    """Compare the kernels that `choose` finds with eager ones."""
    keep_freed_memory()
    torch.set_num_threads(1)
    choice = choose("auto")
    given.say(f"kernels: {choice}")
    entry = catalogue.entry(NAME)
    net, task = entry.load().net.train().to(memory_format=torch.channels_last), entry.find_task()  # type: ignore[call-overload]
    data = entry.examples()["validation"]
    x, y = task.training_batch(data, np.arange(BATCH), 32, np.random.default_rng(0), Augmentation(crop_padding=4))
    step, count = Step(net, task, data, x, y), given.args.rounds or (6 if given.quick else 12)
    rows = rounds(step, choice.kernels, 1, count, given) + rounds(step, choice.kernels, 2, count, given)
    table = pd.DataFrame(rows)
    medians = table.groupby("threads")[["ratio", "ratio_by_the_clock"]].median()
    errors = operator_errors(choice.kernels, 20 if given.quick else 200)
    distances = gradient_distances(net, x, y, choice.kernels, 8)
    moved = recompilations(step, choice.kernels, 1000)
    given.say(f"largest error {max(errors.values()):.2g}, {moved} recompilations")
    compiled, note = (None, "left out by --no-compile") if given.args.no_compile else compiled_ratio(net, x, count)
    given.say(f"torch.compile: {compiled} ({note})")
    summary = {
        "kernels": str(choice),
        "speedup": float(medians.loc[1, "ratio"]),
        "speedup_two_threads": float(medians.loc[2, "ratio"]),
        "compiled": compiled,
        "recompilations": moved,
        "max_error": max(errors.values()),
        "gradient_over_eager": statistics.median(b / a for a, b in distances),
    }
    details = {
        "by_the_clock": {str(k): float(v) for k, v in medians["ratio_by_the_clock"].items()},
        "errors": errors,
        "gradient_distances": [{"eager": a, "native": b} for a, b in distances],
        "torch_compile": note,
    }
    ok = choice.kernels is EAGER or (
        summary["speedup"] >= LEAST_SPEEDUP and summary["max_error"] <= MOST_ERROR and summary["recompilations"] == 0
    )
    return Result(summary, table.round(4), details, ok=ok)


def options(parser: argparse.ArgumentParser) -> None:
    """Add the benchmark's own options."""
    parser.add_argument("--rounds", type=int, default=0, help="interleaved steps of each kind (default: 12, quick 6)")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes a minute")


BENCHMARK = Benchmark(
    "kernels", "Compiled kernels of training against eager torch", "6 rounds and 20 shapes", run, options
)

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
