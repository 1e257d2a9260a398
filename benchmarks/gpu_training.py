"""Parts of `benchmarks.gpu` about training: kernels, steps, Triton's programs, and the verb `train`."""

from __future__ import annotations

import copy
import csv
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import hwsearch
from benchmarks.gpu_parts import CLOSE, Bench, Figures, LeftOut, relative
from hwsearch.spaces import Architecture
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.kernels import EAGER, Kernels, Norm, choose, using
from hwsearch.supernets.kernels.masked import MaskedKernels

#: how much farther from float64 than on the processor a gradient in float32 may be
FAR = 3.0
#: farther from float64 no gradient of bfloat16 may be, relative norm: it has two digits, and norms amplify
HALF_FAR = 0.5


def kernel_cases(rng: np.random.Generator) -> list[tuple[str, Callable[[Kernels, list[Tensor]], Tensor], list[Tensor]]]:
    """Draw the operators of a training step with their inputs; activations without a jump of the slope."""
    n, c, o, side = int(rng.integers(2, 9)), int(rng.choice([8, 17, 40])), int(rng.choice([8, 33, 64])), 9
    kernel, stride = int(rng.choice([3, 5, 7])), int(rng.choice([1, 2]))

    def draw(*shape: int) -> Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    def norm(w: Tensor, b: Tensor) -> Norm:
        return Norm(w, b, torch.zeros_like(b), torch.ones_like(b), 0.1, 1e-5)

    x = draw(n, c, side, side)
    return [
        ("pointwise", lambda k, t: k.pointwise(*t), [x, draw(o, c, 1, 1)]),
        ("depthwise", lambda k, t: k.depthwise(*t, stride), [x, draw(c, 1, kernel, kernel)]),
        ("norm_act", lambda k, t: k.norm_act(t[0], norm(*t[1:]), "silu"), [x, draw(c), draw(c)]),
        (
            "squeeze_excite",
            lambda k, t: k.squeeze_excite(*t),
            [x, draw(4, c, 1, 1), draw(4), 0.1 * draw(c, 4, 1, 1), 0.1 * draw(c)],
        ),
        (
            "expand",
            lambda k, t: k.expand(t[0], t[1], norm(t[2], t[3]), t[4], stride, norm(t[5], t[6]), "silu"),
            [x, draw(o, c, 1, 1), draw(o), draw(o), draw(o, 1, kernel, kernel), draw(o), draw(o)],
        ),
    ]


def kernels(bench: Bench) -> Figures:
    """Compare outputs and gradients in float32 on the device with float64 on the processor."""
    return operator_errors(bench, EAGER, 3 if bench.quick else 30)


def operator_errors(bench: Bench, kind: Kernels, rounds: int) -> Figures:
    """The largest errors of kernels, by operator."""
    rng, worst = np.random.default_rng(0), {}
    with exact_products():
        for _ in range(rounds):
            for name, operator, inputs in kernel_cases(rng):
                pair = []
                for place, dtype, computed in (("cpu", torch.float64, EAGER), (bench.place, torch.float32, kind)):
                    leaves = [t.to(place, dtype, copy=True).requires_grad_() for t in inputs]
                    y = operator(computed, leaves)
                    up = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).to(place, dtype).view(y.shape)
                    pair.append([t.detach().cpu().double() for t in (y, *torch.autograd.grad(y, leaves, up))])
                error = max(relative(b, a) for a, b in zip(*pair, strict=True))
                worst[f"{name}_error"] = max(worst.get(f"{name}_error", 0.0), error)
    far = [k for k, e in worst.items() if not e <= CLOSE]
    return {**worst, "wrong": f"{', '.join(far)} too large" if far else None}


class exact_products:
    """Float32 products without TF32 inside the block."""

    def __enter__(self) -> None:
        backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
        self._before = [(b, b.allow_tf32) for b in backends]
        for b in backends:
            b.allow_tf32 = False

    def __exit__(self, *_: object) -> None:
        for b, value in self._before:
            b.allow_tf32 = value


def sandwich(
    net: Supernet,
    archs: Sequence[Architecture],
    x: Tensor,
    y: Tensor,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> None:
    """Add the gradients of the subnets' losses on labels."""
    for arch in archs:
        net.activate(arch)
        side = net.input_shape(arch)[-1]
        small = x if side == x.shape[-1] else nn.functional.interpolate(x, (side, side), mode="bilinear")
        with autocast():
            loss = nn.functional.cross_entropy(net(small), y)
        loss.backward()  # type: ignore[no-untyped-call]


def gradient(
    net: Supernet,
    kind: Kernels,
    archs: Sequence[Architecture],
    x: Tensor,
    y: Tensor,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Tensor:
    """The gradient of one step, flat, in float64 on the processor."""
    net.zero_grad(set_to_none=True)
    with using(kind), exact_products():
        sandwich(net, archs, x, y, autocast)
    found = torch.cat([p.grad.detach().cpu().double().flatten() for p in net.parameters() if p.grad is not None])
    net.zero_grad(set_to_none=True)
    return found


@dataclass(frozen=True)
class Way:
    """A way to compute a step: a maker of kernels, and whether passes are in bfloat16."""

    make: Callable[[], Kernels]
    half: bool = False

    def autocast(self, bench: Bench) -> AbstractContextManager[Any]:
        return torch.autocast(torch.device(bench.place).type, torch.bfloat16) if self.half else nullcontext()


def training(bench: Bench) -> Figures:
    """Time steps of training in float32 and bfloat16, eager and masked, and compare gradients with float64."""
    ways = {"eager": Way(lambda: EAGER), "masked": Way(MaskedKernels)}
    if bench.gpu:
        ways |= {"eager_bf16": Way(lambda: EAGER, half=True), "masked_bf16": Way(MaskedKernels, half=True)}
    return steps(bench, ways)


def triton(bench: Bench) -> Figures:
    """Check Triton's operators, and time steps with them; compiling their programs is not timed but told."""
    if find_spec("triton") is None:
        raise LeftOut("the package triton is not installed")
    began = time.perf_counter()
    kind = choose("triton", torch.device(bench.place).type).kernels
    errors = operator_errors(bench, kind, 2 if bench.quick else 10)
    ways = {"eager": Way(lambda: EAGER), "triton": Way(lambda: kind)}
    if bench.gpu:
        ways["triton_bf16"] = Way(lambda: kind, half=True)
    found = {"compile_and_check_s": time.perf_counter() - began, **steps(bench, ways)}
    wrong = [str(w) for w in (errors.pop("wrong"), found.pop("wrong")) if w]
    return {**errors, **found, "wrong": "; ".join(wrong) or None}


def steps(bench: Bench, ways: dict[str, Way]) -> Figures:
    """Time steps in several ways, interleaved, the first of which is eager; gradients are held against float64.

    Rounding moves a gradient by as much as float32 on the processor does.
    """
    size = 16 if bench.quick else 128
    torch.manual_seed(1)
    x, y = torch.randn(size, 3, 32, 32), torch.randint(0, 10, (size,))
    rng, space = np.random.default_rng(0), bench.net.space
    draws = [[space.largest(), *space.sample(2, rng), space.smallest()] for _ in range(3 if bench.quick else 20)]
    plain = copy.deepcopy(bench.net).train()
    exact = gradient(copy.deepcopy(plain).double(), EAGER, draws[0], x[:16].double(), y[:16])
    usual = float((gradient(plain, EAGER, draws[0], x[:16], y[:16]) - exact).norm() / exact.norm())
    net, (x, y) = plain.to(bench.place), (x.to(bench.place), y.to(bench.place))
    found: Figures = {"usual_gradient_error": usual}
    seconds: dict[str, list[float]] = {k: [] for k in ways}
    for name, way in ways.items():
        own = gradient(net, way.make(), draws[0], x[:16], y[:16], lambda way=way: way.autocast(bench))
        found[f"{name}_gradient_error"] = float((own - exact).norm() / exact.norm())
    timed = {name: way.make() for name, way in ways.items()}  # masked ones afresh: their graphs are counted
    warm = 1 if bench.quick else 5  # in which graphs of most resolutions are made
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0, momentum=0.9)
    for k, archs in enumerate(draws):
        for name, way in ways.items():
            wait(bench)
            began = time.perf_counter()
            with using(timed[name]):
                optimizer.zero_grad(set_to_none=True)
                sandwich(net, archs, x, y, lambda way=way: way.autocast(bench))
                optimizer.step()
            wait(bench)
            if k >= warm:
                seconds[name].append(time.perf_counter() - began)
    first = statistics.median(seconds[next(iter(ways))])
    for name, times in seconds.items():
        found[f"{name}_images_per_s"] = size / statistics.median(times)
        found[f"{name}_over_eager"] = first / statistics.median(times)
        if isinstance(kind := timed[name], MaskedKernels):
            found[f"{name}_graphs"] = kind.shapes
    found["resolutions"] = len({bench.net.input_shape(a) for archs in draws for a in archs})
    limits = {name: HALF_FAR if way.half else FAR * usual for name, way in ways.items()}
    far = [name for name, limit in limits.items() if not found[f"{name}_gradient_error"] <= limit]
    return found | {"wrong": f"the gradient of {', '.join(far)} is far from float64" if far else None}


# ---------------------------------------------------------------------- the verb
def train(bench: Bench, supernet: str = "cifar10-mbv3") -> Figures:
    """Train by the real verb on images of noise: in every number format on the GPU, with masks, and taken up again.

    The first losses in float32 must be those of the processor up to 1 %; later ones drift apart by rounding.
    """
    steps_, batch = (2, 16) if bench.quick else (20, 128)
    found: Figures = {}
    wrong: list[str] = []
    entry = catalogue.entry(supernet)
    classes = tuple(entry.examples()["test"].classes) if entry.data else ("a", "b")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "images"
        noise_images(data, classes, steps_ * batch, 40)

        def run(
            name: str, steps: int, precision: str = "fp32", kernels: str = "eager", device: str = "cuda"
        ) -> Figures:
            recipe = Path(folder) / f"{name}.toml"
            setting = f'steps = {steps}\nbatch = {batch}\nlr = 0.05\nprecision = "{precision}"\n'
            recipe.write_text(f'[[stage]]\nstrategy = "sandwich"\n[stage.training]\n{setting}')
            told: list[Figures] = []
            began = time.perf_counter()
            place = Path(folder) / name
            given = {"supernet": supernet, "kernels": kernels, "device": device if bench.gpu else "cpu"}
            card = hwsearch.train(recipe, data, place, progress=told.append, **given)  # type: ignore[arg-type]
            bench.say(f"train, {name}: {time.perf_counter() - began:.1f} s")
            rows = list(csv.DictReader((place / "stage-1" / "metrics.csv").open()))
            losses = [float(v) for k, v in rows[-1].items() if k.startswith("loss_") and v]
            if not losses or not all(math.isfinite(v) for v in losses):
                wrong.append(f"the losses of {name} are {losses}")
            if not card["trained"]["device"].startswith("cuda" if bench.gpu and device == "cuda" else "cpu"):
                wrong.append(f"{name} ran on {card['trained']['device']}")
            rate = told[-1]["examples_per_s"] if told else math.nan  # a run that was done trains nothing
            return {"losses": losses, "digest": card["digest"], "images_per_s": rate}

        one = [run(f"first-step-{d}", 1, device=d)["losses"] for d in ("cpu", "cuda")]
        found["first_losses_differ_by"] = max(abs(a - b) / abs(a) for a, b in zip(*one, strict=True))
        if not found["first_losses_differ_by"] <= 0.01:
            wrong.append("the first losses are not those of the processor")
        ways = [("fp32", "eager"), ("fp32", "masked")]
        ways += [("bf16", "eager"), ("bf16", "masked"), ("fp16", "eager")] if bench.gpu else []
        for precision, kernels_ in ways:
            name = f"{precision}-{kernels_}"
            result = run(name, steps_, precision, kernels_)
            found[f"{name}_images_per_s"] = result["images_per_s"]
            if name == "fp32-eager" and run(name, steps_, precision, kernels_)["digest"] != result["digest"]:
                wrong.append("a run that was done has other weights when it is taken up again")
    return found | {"wrong": "; ".join(wrong) or None}


def noise_images(folder: Path, classes: Sequence[str], train_count: int, test_count: int) -> None:
    """Write a folder of images of noise, equally many of each class."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for split, count in (("train", train_count), ("test", test_count)):
        for name in classes:
            (folder / split / name).mkdir(parents=True)
        for k in range(-(-count // len(classes)) * len(classes)):
            pixels = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / split / classes[k % len(classes)] / f"{k}.png")


def wait(bench: Bench) -> None:
    """Wait until the GPU has done all."""
    if bench.gpu:
        torch.cuda.synchronize()
