"""Full width with masks against eager slices: outputs, gradients, statistics; and one graph a resolution."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.errors import SupernetError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.families.attentivenas.config import AttentiveNASConfig, WideStage
from hwsearch.supernets.families.attentivenas.masked import MaskedAttentiveNAS
from hwsearch.supernets.families.attentivenas.supernet import AttentiveNAS
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.masked import MaskedMobileNetV3
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.families.resnet.config import ResNetConfig
from hwsearch.supernets.families.resnet.supernet import ElasticResNet
from hwsearch.supernets.kernels import EAGER, Kernels, choose, using
from hwsearch.supernets.kernels.masked import MaskedKernels, MaskLayout
from hwsearch.supernets.seeded import seeded_weights


def mobilenet(act: str = "h_swish", **more: Any) -> Supernet:
    stages = (Stage(8, 1, "relu", True), Stage(16, 2, act, False), Stage(16, 1, "swish", True))
    sizes = {"stem_width": 8, "stem_stride": 1, "final_width": 24, "mix_width": 24, "classes": 5}
    choices = {"kernels": (3, 5, 7), "expansions": (1, 2, 3), "depths": (1, 2), "resolutions": (9, 12)}
    return ready(ElasticMobileNetV3(MobileNetV3Config("small", stages, **{**sizes, **choices, **more})))  # type: ignore[arg-type]


def resnet() -> Supernet:
    return ready(
        ElasticResNet(ResNetConfig("small", 16, (32, 48), (1, 2), (1, 2), classes=5, resolutions=(24, 30, 32)))
    )


def attentivenas() -> Supernet:
    """Stages that may or may not change the width, with and without stride, expansion and squeeze-and-excitation."""
    stages = (
        WideStage((8, 16), (1, 2), (1,), 1, False),
        WideStage((16, 24), (1, 2), (2, 3), 2, True, (3, 5, 7)),
        WideStage((16, 24), (1, 3), (2,), 1, True),
    )
    shape = {"stem": (8, 16), "mix": (24, 32), "head_expansion": 2, "classes": 5, "resolutions": (18, 24)}
    return ready(AttentiveNAS(AttentiveNASConfig("small", stages=stages, **shape)))  # type: ignore[arg-type]


def ready(net: Supernet) -> Supernet:
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.train()


FAMILIES = {"mobilenet": mobilenet, "resnet": resnet, "attentivenas": attentivenas}
family = pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES)


def images(net: Supernet, arch: Architecture, n: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(n, *net.input_shape(arch), generator=torch.Generator().manual_seed(seed))


def passes(net: Supernet, kernels: Kernels, archs: list[Architecture], dtype: torch.dtype) -> list[Tensor]:
    """Logits of each subnet; gradients accumulate."""
    found = []
    with using(kernels):
        for k, arch in enumerate(archs):
            net.activate(arch)
            logits = net(images(net, arch, seed=k).to(dtype))
            found.append(logits)
            F.cross_entropy(logits, torch.arange(4)).backward()
    return [y.detach().clone() for y in found]


def assert_same(
    net: Supernet, kernels: Kernels, archs: list[Architecture], dtype: torch.dtype, tolerance: float
) -> None:
    plain, masked = copy.deepcopy(net).to(dtype), copy.deepcopy(net).to(dtype)
    expected, found = passes(plain, EAGER, archs, dtype), passes(masked, kernels, archs, dtype)
    close(found, expected, tolerance)
    grads = {n: p.grad for n, p in plain.named_parameters()}
    own = {n: p.grad for n, p in masked.named_parameters()}
    assert {n for n, g in grads.items() if g is None} == {n for n, g in own.items() if g is None}
    largest = max(float(g.abs().max()) for g in grads.values() if g is not None)
    for name, g in grads.items():
        if g is not None:
            assert float((g - own[name]).abs().max()) <= tolerance * max(1.0, largest), name  # type: ignore[operator]
    buffers = dict(masked.named_buffers())
    close([buffers[n] for n, _ in plain.named_buffers()], [b for _, b in plain.named_buffers()], tolerance)


def close(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------------- equality
@family
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_random_subnets_equal_slices(make: Callable[[], Supernet], dtype: torch.dtype, tolerance: float) -> None:
    net = make()
    space, rng = net.space, np.random.default_rng(0)
    for arch in [space.smallest(), space.largest(), *space.sample(10, rng)]:
        assert_same(net, MaskedKernels(), [arch], dtype, tolerance)


@family
def test_a_sandwich_adds_up(make: Callable[[], Supernet]) -> None:
    net = make()
    archs = [net.space.largest(), *net.space.sample(3, np.random.default_rng(1)), net.space.smallest()]
    assert_same(net, MaskedKernels(), archs, torch.float64, 1e-10)


@pytest.mark.parametrize("more", [{"first_width": 12}, {"final_width": None}])
def test_other_ends_of_a_mobilenet(more: dict[str, Any]) -> None:
    net = mobilenet("relu6", **more)
    for arch in net.space.sample(3, np.random.default_rng(2)):
        assert_same(net, MaskedKernels(), [arch], torch.float64, 1e-10)


@family
def test_steps_with_decay_train_the_same_weights(make: Callable[[], Supernet]) -> None:
    """A parameter that no subnet has used must not decay; one that was used before must."""
    nets = [make().double() for _ in range(2)]
    archs = nets[0].space.sample(6, np.random.default_rng(3))
    for net, kernels in zip(nets, (EAGER, MaskedKernels()), strict=True):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.1)
        for arch in archs:
            optimizer.zero_grad(set_to_none=True)
            passes(net, kernels, [arch], torch.float64)
            optimizer.step()
    close(list(nets[1].state_dict().values()), list(nets[0].state_dict().values()), 1e-9)


def test_what_masked_channels_hold_does_not_matter() -> None:
    net, other = mobilenet().double(), mobilenet().double()
    arch = net.space.smallest()
    with torch.no_grad():
        for block in other.blocks[1:]:  # type: ignore[union-attr, index]
            middle = block.conv.inverted_bottleneck.conv.conv.weight
            middle[-1] *= 1e3  # channels that the smallest subnet leaves out
    a, b = (passes(n, MaskedKernels(), [arch], torch.float64) for n in (net, other))
    close(a, b, 1e-12)


def test_eager_passes_on_the_same_gradients_are_left_alone() -> None:
    """Also where two passes forward are followed by their backward passes."""
    nets = [mobilenet().double() for _ in range(2)]
    space = nets[0].space
    small, large = space.smallest(), space.largest()
    found: list[list[Tensor | None]] = []
    for net, first in zip(nets, (EAGER, MaskedKernels()), strict=True):
        passes(net, first, [small], torch.float64)
        passes(net, EAGER, [large], torch.float64)
        found.append([p.grad for p in net.parameters()])
        net.zero_grad(set_to_none=True)
        logits = []
        with using(first):
            for arch in (small, space.sample(1, np.random.default_rng(6))[0]):
                net.activate(arch)
                logits.append(net(images(net, arch).double()))
        for y in logits:
            y.square().mean().backward()
        found[-1] += [p.grad for p in net.parameters()]
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(b, a, rtol=1e-10, atol=1e-10)


# ---------------------------------------------------------------------- one graph a resolution
@family
def test_random_subnets_need_one_graph_a_resolution(make: Callable[[], Supernet]) -> None:
    from torch._dynamo.utils import counters

    net, rng = make(), np.random.default_rng(4)
    graphs: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(len(inputs))
        return graph.forward

    kernels = MaskedKernels(backend)
    sizes = sorted({net.input_shape(a) for a in net.space.sample(40, rng)})
    for size in sizes:
        (arch,) = [a for a in net.space.sample(60, rng) if net.input_shape(a) == size][:1]
        passes(net, kernels, [arch], torch.float32)
    assert len(graphs) == len(sizes) == kernels.shapes > 1
    before = copy.deepcopy({k: dict(counters[k]) for k in ("frames", "stats", "recompiles", "graph_break")})
    passes(net, kernels, net.space.sample(30, rng), torch.float32)
    assert before == {k: dict(counters[k]) for k in before} and len(graphs) == len(sizes)
    arch = net.space.sample(1, rng)
    close(passes(copy.deepcopy(net), EAGER, arch, torch.float32), passes(net, kernels, arch, torch.float32), 1e-5)


def static_graphs(part: nn.Module, inputs: tuple[Tensor, ...], **options: Any) -> Callable[..., Tensor]:
    """Behave as `torch.cuda.make_graphed_callables` does: passes beforehand, then outputs and gradients in memory of its own."""
    assert set(options) == {"num_warmup_iters", "allow_unused_input", "pool"} and options["allow_unused_input"]
    for _ in range(options["num_warmup_iters"]):
        part(*inputs)
    static = [t.clone() for t in inputs]
    parameters = tuple(part.parameters())
    output = part(*static).detach().clone()
    gradients = [torch.full_like(p, torch.nan) for p in parameters]
    taped: list[Tensor] = []

    class Graphed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *given: Tensor) -> Tensor:
            for mine, theirs in zip(static, given, strict=False):
                mine.copy_(theirs)
            with torch.enable_grad():
                taped[:] = [part(*static)]
            output.copy_(taped[0])
            return output.detach()

        @staticmethod
        def backward(ctx: Any, *given: Tensor) -> Any:
            found = torch.autograd.grad(taped, parameters, given, allow_unused=True)
            for mine, new in zip(gradients, found, strict=True):
                mine.zero_() if new is None else mine.copy_(new)
            return (None, None, *(g.detach() for g in gradients))

    return lambda *given: Graphed.apply(*given, *parameters)  # type: ignore[no-any-return, no-untyped-call]


@family
def test_memory_of_a_graph_is_not_handed_out(make: Callable[[], Supernet], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", static_graphs)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    net = make()
    archs = [
        a
        for a in net.space.sample(40, np.random.default_rng(5))
        if net.input_shape(a)[-1] == 12 or make is not mobilenet
    ]
    kernels = MaskedKernels(graphs=True)
    assert len(archs) > 3
    # the capture of the first pass moves no statistics; replays write over the outputs and gradients of those before
    assert_same(net, kernels, archs[:4], torch.float64, 1e-10)
    assert kernels.shapes == len({net.input_shape(a) for a in archs[:4]})


# ---------------------------------------------------------------------- around it
def test_layouts_are_prefixes() -> None:
    layout = MaskLayout()
    layout.add("a", 3)
    layout.add("b", 2)
    masks = layout.vector({"a": 2, "b": 2})
    assert masks.tolist() == [1, 1, 0, 1, 1] and layout.view(masks, "b").tolist() == [1, 1] and layout.size == 5
    assert layout.vector({}).tolist() == [0] * 5


def test_evaluation_is_eager_and_other_families_say_so() -> None:
    net, choice = mobilenet().eval(), choose("masked")
    with using(choice.kernels):
        net(images(net, net.space.largest()))
    assert choice.after_a_step() == "eager (no layer of this network can use masked ones)"
    with using(choice.kernels):
        net.train()(images(net, net.space.largest()))
    assert choice.after_a_step() == str(choice) and choice.kernels.identity == "masked"


def test_a_stage_without_blocks_has_no_form() -> None:
    config = MobileNetV3Config("empty", (Stage(8, 1, "relu", False),), 8, kernels=(3,), depths=(0, 1), resolutions=(8,))
    with pytest.raises(SupernetError, match="a block in every stage"):
        MaskedMobileNetV3(ElasticMobileNetV3(config))
    wide = AttentiveNASConfig("empty", stages=(WideStage((8,), (0, 1), (1,), 1, False),), stem=(8,), resolutions=(8,))
    with pytest.raises(SupernetError, match="a block in every stage"):
        MaskedAttentiveNAS(AttentiveNAS(wide))
