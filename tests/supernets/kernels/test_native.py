"""The native kernels behind the interface of all kernels, and in a whole sandwich step."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.families.mobilenetv3.config import BlockPlan
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.kernels import ACTIVATIONS, EAGER, Choice, Kernels, Norm, using
from hwsearch.supernets.kernels.native import NativeKernels
from hwsearch.tasks.images import ImageTask, Preprocess
from tests.supernets.conftest import make_small_vit


def norm(channels: int, dtype: torch.dtype = torch.float32) -> Norm:
    one, zero = torch.ones(channels, dtype=dtype), torch.zeros(channels, dtype=dtype)
    return Norm(one, zero, zero.clone(), one.clone(), 0.1, 1e-5)


def everything(kernels: Kernels, x: Tensor) -> list[Tensor]:
    """Output of each method of the kernels."""
    c, k = x.shape[1], {"dtype": x.dtype}
    point, deep = torch.ones(4, c, 1, 1, **k), torch.ones(c, 1, 3, 3, **k)
    gates = torch.ones(2, c, 1, 1, **k), torch.ones(2, **k), torch.ones(c, 2, 1, 1, **k), torch.ones(c, **k)
    return [
        kernels.pointwise(x, point),
        kernels.depthwise(x, deep, 1),
        kernels.norm_act(x, norm(c, x.dtype), "relu"),
        kernels.squeeze_excite(x, *gates),
        kernels.pointwise_norm_act(x, point, norm(4, x.dtype), "hardswish"),
        kernels.depthwise_norm_act(x, deep, 2, norm(c, x.dtype), "silu"),
    ]


@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
def test_not_a_number_stays_one(native: NativeKernels, act: str) -> None:
    x = torch.randn(2, 9, 4, 4)
    x[1, 3, 2, 1] = torch.nan
    y = native.norm_act(x, norm(9), act)  # type: ignore[arg-type]
    assert y[:, 3].isnan().all() and not y[:, :3].isnan().any() and not y[:, 4:].isnan().any()
    leaf = torch.randn(2, 9, 4, 4)
    leaf[0, 5, 0, 0] = 0.0  # near the mean: behind a jump of the activation there is no gradient to spoil
    leaf.requires_grad_()
    upstream = torch.ones(2, 9, 4, 4)
    upstream[0, 5, 0, 0] = torch.nan
    native.norm_act(leaf, norm(9)._replace(bias=torch.full((9,), 5.0)), act).backward(upstream)  # type: ignore[arg-type]
    assert leaf.grad is not None and leaf.grad[:, 5].isnan().any() and not leaf.grad[:, :5].isnan().any()


def test_not_a_number_goes_through_every_operator(native: NativeKernels) -> None:
    x = torch.randn(2, 8, 6, 6)
    x[0, 2, 3, 3] = torch.nan
    for found, expected in zip(everything(native, x), everything(EAGER, x), strict=True):
        assert torch.equal(found.isnan(), expected.isnan())


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(0, 6, 4, 4),
        torch.randn(2, 6, 4, 4, dtype=torch.float64),
        torch.randn(2, 6, 4, 4, dtype=torch.bfloat16),
        torch.randn(2, 6, 4, 4, device="meta"),
    ],
    ids=["empty", "float64", "bfloat16", "meta"],
)
def test_what_the_library_does_not_take_is_torchs(native: NativeKernels, x: Tensor) -> None:
    if x.device.type == "meta":
        assert native.pointwise(x, torch.ones(4, 6, 1, 1, device="meta")).shape == (2, 4, 4, 4)
        return
    for found, expected in zip(everything(native, x), everything(EAGER, x), strict=True):
        assert found.dtype is x.dtype and torch.equal(found, expected)


def test_other_kernels_and_strides_are_torchs(native: NativeKernels) -> None:
    x = torch.randn(1, 4, 9, 9)
    for side, stride in ((1, 1), (9, 1), (3, 3), (5, 4)):
        w = torch.randn(4, 1, side, side)
        assert torch.equal(native.depthwise(x, w, stride), EAGER.depthwise(x, w, stride))


def test_one_value_per_channel_is_torchs_error(native: NativeKernels) -> None:
    for kernels in (native, EAGER):
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            kernels.norm_act(torch.randn(1, 3, 1, 1), norm(3))
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            kernels.depthwise_norm_act(torch.randn(1, 3, 2, 2), torch.randn(3, 1, 3, 3), 2, norm(3))


def test_autocast_is_torchs(native: NativeKernels) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert native.pointwise(torch.randn(1, 3, 2, 2), torch.randn(4, 3, 1, 1)).dtype is torch.bfloat16


def test_equal_threads_give_equal_bits(native: NativeKernels) -> None:
    x, w = torch.randn(6, 16, 7, 7), torch.randn(24, 16, 1, 1, requires_grad=True)
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found = []
        for _ in range(3):
            y = native.pointwise_norm_act(x, w, norm(24), "relu")
            found.append((y.detach(), torch.autograd.grad(y.square().sum(), w)[0]))
        assert all(torch.equal(a, b) for again in found[1:] for a, b in zip(again, found[0], strict=True))


# ---------------------------------------------------------------------- a whole step
def plain_block(block: nn.Module, x: Tensor, plan: BlockPlan) -> Tensor:
    """The block as its layers were first written: the reference of eager training, bit for bit."""
    expand, depth, project = block.conv.inverted_bottleneck, block.conv.depth_conv, block.conv.point_linear  # type: ignore[union-attr]
    act = F.relu if plan.act == "relu" else F.hardswish
    y = F.conv2d(x, expand.conv.conv.weight[: plan.middle, : plan.inputs])
    y = act(expand.bn(y))
    y = F.conv2d(y, depth.conv.weight(plan.middle, plan.kernel), None, plan.stride, plan.kernel // 2, 1, plan.middle)
    y = act(depth.bn(y))
    if plan.se:
        s = y.mean((2, 3), keepdim=True)
        reduce, gate = depth.se.fc["reduce"], depth.se.fc["expand"]
        m = depth.se.static(plan.middle).reduce.out_channels
        s = F.relu(F.conv2d(s, reduce.weight[:m, : plan.middle], reduce.bias[:m]))
        y = y * F.hardsigmoid(F.conv2d(s, gate.weight[: plan.middle, :m], gate.bias[: plan.middle]))
    y = project.bn(F.conv2d(y, project.conv.conv.weight[: plan.outputs, : plan.middle]))
    return x + y if plan.residual else y


def plain_forward(net: ElasticMobileNetV3, x: Tensor) -> Tensor:
    first, final, mix = net.blocks[0].conv, net.final_expand_layer, net.feature_mix_layer
    x = F.hardswish(net.first_conv.bn(net.first_conv.conv(x)))
    y = F.relu(first.depth_conv.bn(first.depth_conv.conv(x)))  # type: ignore[union-attr, operator]
    x = x + first.point_linear.bn(first.point_linear.conv(y))  # type: ignore[union-attr, operator]
    for plan in net._active:
        x = plain_block(net.blocks[plan.index + 1], x, plan)
    x = F.hardswish(final.bn(final.conv(x)))
    x = F.hardswish(mix.conv(x.mean((2, 3), keepdim=True)))
    return net.classifier.linear(torch.flatten(x, 1))  # type: ignore[no-any-return]


def sandwich(
    net: ElasticMobileNetV3, task: ImageTask, x: Tensor, y: Tensor, rng: np.random.Generator
) -> dict[str, float]:
    """Losses of one step whose gradients are left in the weights: the largest subnet on labels, others on its outputs."""
    space = net.space
    net.activate(space.largest())
    teacher = net(x)
    loss = task.loss(teacher, y, label_smoothing=0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    losses = {"largest": float(loss.detach())}
    for arch in (space.smallest(), *space.sample(2, rng, distinct=False)):
        net.activate(arch)
        loss = task.distillation_loss(net(task.resize(x, net.input_size(arch))), teacher.detach(), y)
        loss.backward()
        losses[arch.id] = float(loss.detach())
    return losses


def train(net: ElasticMobileNetV3, kernels: Kernels, steps: int, batch: int = 6) -> list[dict[str, float]]:
    """Losses of some sandwich steps on noise."""
    net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    task, losses = ImageTask(Preprocess((0.5,) * 3, (0.2,) * 3)), []
    for step in range(steps):
        rng = np.random.default_rng(step)
        x = torch.from_numpy(rng.normal(size=(batch, 3, 32, 32)).astype(np.float32)).contiguous(
            memory_format=torch.channels_last
        )
        y = torch.from_numpy(rng.integers(0, 4, batch))
        optimizer.zero_grad(set_to_none=True)
        with using(kernels):
            losses.append(sandwich(net, task, x, y, rng))
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
    return losses


def test_eager_steps_are_those_of_plain_layers_bit_for_bit(
    small_supernet: ElasticMobileNetV3, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (small_supernet.stem_act, small_supernet.first_act, small_supernet.head_act) == (
        "hardswish",
        "relu",
        "hardswish",
    )
    other = copy.deepcopy(small_supernet)
    found = train(small_supernet, EAGER, 20)
    monkeypatch.setattr(type(other), "forward", lambda net, x: plain_forward(net, x))
    assert train(other, EAGER, 20) == found
    for a, b in zip(small_supernet.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_step_is_as_near_to_float64_as_torchs(native: NativeKernels, small_supernet: ElasticMobileNetV3) -> None:
    """Summed over five networks: a single one's distance is chance."""
    distances = {"eager": 0.0, "native": 0.0}
    for seed in range(5):
        torch.manual_seed(seed)
        for p in small_supernet.parameters():
            p.data.mul_(1 + 0.05 * torch.randn_like(p))
        exact = copy.deepcopy(small_supernet).double()
        space = exact.space
        x = torch.randn(12, 3, 32, 32).contiguous(memory_format=torch.channels_last)
        exact.activate(space.largest())
        reference = torch.autograd.grad(
            exact.train()(x.double()).square().sum(), list(exact.parameters()), allow_unused=True
        )
        for kernels in (EAGER, native):
            net = copy.deepcopy(small_supernet).train()
            net.activate(space.largest())
            with using(kernels):
                found = torch.autograd.grad(net(x).square().sum(), list(net.parameters()), allow_unused=True)
            pairs = [(a.double(), b) for a, b in zip(found, reference, strict=True) if a is not None and b is not None]
            away = sum(float((a - b).square().sum()) for a, b in pairs) / sum(float(b.square().sum()) for _, b in pairs)
            distances[kernels.name] += away**0.5
    assert distances["native"] <= 2 * distances["eager"] and distances["native"] < 5e-5, distances


def test_first_losses_and_a_short_run(native: NativeKernels, small_supernet: ElasticMobileNetV3) -> None:
    """Losses of the first step within 1e-5; a run no farther from eager than three times a perturbed eager."""
    nets = [copy.deepcopy(small_supernet) for _ in range(3)]
    torch.manual_seed(1)
    for p in nets[2].parameters():
        p.data.mul_(1 + 1e-7 * torch.randn_like(p))
    steps = 16
    eager, kernels, moved = (train(n, k, steps) for n, k in zip(nets, (EAGER, native, EAGER), strict=True))
    assert all(abs(eager[0][k] - kernels[0][k]) < 1e-5 for k in eager[0])
    apart, chance = (
        np.median([max(abs(a[k] - b[k]) for k in a) for a, b in zip(eager, other, strict=True)])
        for other in (kernels, moved)
    )
    assert apart <= 3 * chance + 1e-6, (apart, chance)


def test_nothing_is_compiled_by_torch(native: NativeKernels, small_supernet: ElasticMobileNetV3) -> None:
    from torch._dynamo.utils import counters

    before = {k: dict(v) for k, v in counters.items()}
    train(small_supernet, native, 4, batch=4)
    assert {k: dict(v) for k, v in counters.items()} == before


def test_evaluation_does_not_use_them(native: NativeKernels, small_supernet: ElasticMobileNetV3) -> None:
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = small_supernet(x)
        with using(native):
            assert torch.equal(small_supernet(x), expected)


def test_they_know_whether_a_network_has_used_them(native: NativeKernels, small_supernet: ElasticMobileNetV3) -> None:
    """A transformer has no layer for them; a convolutional network has, in training mode only."""
    choice = Choice(NativeKernels(native.library), "why")
    assert not choice.kernels.used
    with using(choice.kernels):
        make_small_vit().train()(torch.randn(2, 3, 20, 20))
        small_supernet.eval()(torch.randn(2, 3, 32, 32))
        assert choice.after_a_step() == "eager (no layer of this network can use native ones)"
        small_supernet.train()(torch.randn(2, 3, 32, 32))
    assert choice.after_a_step() == "native (why)"
