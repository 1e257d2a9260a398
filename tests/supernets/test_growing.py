"""Growing a supernet: functions against torch and by hand, coefficients against numpy, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.supernets.base import Supernet
from hwsearch.supernets.declared import Width, elastic
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.growing import (
    GrowthError,
    check_growth,
    check_same_channels,
    grow_weights,
    mixed_blocks,
    orthogonal_row,
    templates,
    widened,
)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.bn1 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.deep, self.two = nn.Conv2d(width, width, 3, 1, 1, groups=width), nn.Conv2d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.two(torch.relu(self.deep(torch.relu(self.bn1(self.one(x))))))


class Net(nn.Module):
    """A stem, a residual block with a depth-wise convolution, and two linear layers behind a flattening."""

    def __init__(self, width: int, hidden: int = 12) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, width, 3, 2, 1), Block(width)
        self.fc1, self.fc2 = nn.Linear(4 * width, hidden), nn.Linear(hidden, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.adaptive_avg_pool2d(self.block(self.stem(x)), 2).flatten(1)
        return self.fc2(torch.relu(self.fc1(x)))


def supernet(width: int, seed: int, hidden: int = 12) -> Supernet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Net(width, hidden)
        for name, value in net.named_buffers():
            if "running" in name:
                value.copy_(torch.rand(value.shape) + 0.5)
        return elastic(net, {"block.one": Width((0.5, 1.0), divisor=2)}, input_shape=(3, 8, 8), name="net").eval()


def logits(net: Supernet, n: int = 5) -> torch.Tensor:
    x = torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return net.subnet(net.space.largest()).eval()(x)


@pytest.mark.parametrize(("width", "hidden"), [(16, 24), (12, 12), (11, 19), (20, 40)])
def test_repeated_channels_keep_the_function(width: int, hidden: int) -> None:
    small, large = supernet(8, 0), supernet(width, 1, hidden)
    assert (logits(small) - logits(large)).abs().max() > 0.01
    grow_weights(small, large, "wider")
    torch.testing.assert_close(logits(large), logits(small), rtol=1e-5, atol=1e-5)
    assert check_same_channels(small, supernet(width, 2, hidden)) < 1e-5


def test_two_layers_by_hand() -> None:
    """y = [5, 7] · relu([[1, 2], [3, 4]] x): repeated units share 5 and 7 out."""
    one, two = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 7.0]])
    assert widened(one, (3, 2)).tolist() == [[1, 2], [3, 4], [1, 2]]
    assert widened(two, (1, 3)).tolist() == [[2.5, 7, 2.5]]
    assert widened(torch.tensor([1.0, 2.0]), (5,)).tolist() == [1, 2, 1, 2, 1]
    assert widened(torch.ones(2, 1, 3, 3), (4, 1, 3, 3)).sum() == 36  # depth-wise: no input is repeated


def test_members_that_do_not_see_each_other_are_an_ensemble() -> None:
    """Method zero: with a second network the mean of both networks' logits, without one the same logits."""
    first, second, large = supernet(8, 0), supernet(8, 1), supernet(16, 2, 24)
    grow_weights(first, large, "zero", second=second)
    torch.testing.assert_close(logits(large), (logits(first) + logits(second)) / 2, rtol=1e-5, atol=1e-5)
    grow_weights(first, large, "zero")
    torch.testing.assert_close(logits(large), logits(first), rtol=1e-5, atol=1e-5)


def test_blocks_lie_where_the_paper_has_them() -> None:
    first, second, large = supernet(8, 0), supernet(8, 1), supernet(16, 2, 24)
    grow_weights(first, large, "orthogonal", second=second)
    w, w0, w1 = (net.model.block.two.weight for net in (large, first, second))
    assert torch.equal(w[:8, :8], w0) and torch.equal(w[8:, 8:], w1)
    expected = mixed_blocks(w0.detach(), w1.detach())
    assert torch.equal(w[:8, 8:], expected[2]) and torch.equal(w[8:, :8], expected[3])
    stem = large.model.stem.weight
    assert torch.equal(stem, torch.cat([first.model.stem.weight, second.model.stem.weight]))
    head = large.model.fc2
    assert torch.equal(head.weight, torch.cat([first.model.fc2.weight, second.model.fc2.weight], 1) / 2)
    assert torch.equal(head.bias, (first.model.fc2.bias + second.model.fc2.bias) / 2)
    assert torch.equal(large.model.block.bn1.running_mean[8:], second.model.block.bn1.running_mean)


@pytest.mark.parametrize("shape", [(12, 10), (8, 4, 3, 3), (9, 1, 3, 3)])
def test_templates_are_orthogonal_parts_of_the_weight(shape: tuple[int, ...]) -> None:
    """Against numpy: their sum, their Frobenius products, and the share of the singular values that each has."""
    weight = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    bank = templates(weight, 4)
    np.testing.assert_allclose(sum(t.numpy() for t in bank) / 2, weight.numpy(), atol=1e-5)
    flat = np.stack([t.numpy().reshape(-1) for t in bank])
    gram = flat @ flat.T
    singular = np.linalg.svd(weight.numpy().reshape(shape[0], -1), compute_uv=False)
    np.testing.assert_allclose(np.diag(gram), [4 * (singular[k::4] ** 2).sum() for k in range(4)], rtol=1e-4)
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-4)


@pytest.mark.parametrize("alone", [True, False])
def test_coefficients_of_all_blocks_are_orthogonal(alone: bool) -> None:
    """Read back from the blocks by least squares, as numpy does it."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(16, 12, generator=generator) for _ in range(2))
    bank = templates(first, 4) if alone else [*templates(first, 2), *templates(second, 2)]
    columns = np.stack([t.numpy().reshape(-1) for t in bank], axis=1)
    blocks = mixed_blocks(first, None if alone else second)
    found = np.stack([np.linalg.lstsq(columns, b.numpy().reshape(-1), rcond=None)[0] for b in blocks])
    residual = [np.abs(columns @ c - b.numpy().reshape(-1)).max() for c, b in zip(found, blocks, strict=True)]
    assert max(residual) < 1e-4  # nothing but learned templates
    np.testing.assert_allclose(found @ found.T, np.eye(4), atol=1e-4)
    assert torch.equal(blocks[0], first) and (alone or torch.equal(blocks[1], second))


def test_the_next_row_is_the_null_space() -> None:
    rng = np.random.default_rng(0)
    rows = np.linalg.qr(rng.standard_normal((5, 4)))[0].T
    row = orthogonal_row(rows)
    assert np.linalg.norm(row) == pytest.approx(1) and np.abs(rows @ row).max() < 1e-12
    assert np.linalg.matrix_rank(np.vstack([rows, row])) == 5


def test_noise_has_the_spread_of_the_weights_and_follows_the_seed() -> None:
    small = supernet(32, 0)
    weights = []
    for seed in (3, 3, 4):
        large = supernet(64, 5, 24)
        grow_weights(small, large, "random", seed=seed)
        weights.append(large.model.block.one.weight.detach().clone())
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    learned = small.model.block.one.weight.detach()
    assert torch.equal(weights[0][:32, :32], learned)
    assert float(weights[0][:32, 32:].std() / learned.std()) == pytest.approx(1, abs=0.05)


def test_a_mobile_family_grows_and_its_small_subnets_stay_in_the_first_member() -> None:
    def family(width: int) -> Supernet:
        stages = (Stage(width, 1, "relu", False), Stage(2 * width, 2, "h_swish", True))
        config = MobileNetV3Config(
            f"w{width}", stages, width, 2, 3 * width, 3 * width, 3, kernels=(3, 5), expansions=(2,), depths=(1, 2), resolutions=(16,)
        )  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(width)
            return ElasticMobileNetV3(config).eval()

    small, large = family(16), family(32)
    assert check_same_channels(small, large) < 1e-4
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for method in ("wider", "zero"):
        grow_weights(small, large, method)
        with torch.no_grad():
            outs = [net.subnet(net.space.largest()).eval()(x) for net in (small, large)]
        torch.testing.assert_close(outs[1], outs[0], rtol=1e-4, atol=1e-5)


class Joined(nn.Module):
    """Concatenates two layers' channels: those of the first do not stay together when both grow."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, width, 1), nn.Conv2d(3, width, 1), nn.Conv2d(2 * width, 8, 1)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.a(x), self.b(x)], 1)
        return self.fc(torch.relu(self.c(x)).mean((2, 3)))


def test_concatenated_channels_are_refused() -> None:
    small, large = (
        elastic(Joined(w), {"c": Width((0.5, 1.0), divisor=2)}, input_shape=(3, 8, 8), name="joined") for w in (4, 8)
    )
    with pytest.raises(GrowthError, match="computes something else"):
        check_same_channels(small, large)


@pytest.mark.parametrize(
    ("small", "large", "method", "said"),
    [
        ({"a": (4,)}, {"b": (8,)}, "wider", r"not the same layers: a, b are in one"),
        ({"a": (4, 4)}, {"a": (2, 8)}, "wider", r"a would shrink from \(4, 4\) to \(2, 8\).*larger supernet second"),
        ({"a": (4, 4)}, {"a": (4, 6)}, "orthogonal", r"grows from \(4, 4\) to \(4, 6\): method 'orthogonal' doubles"),
        ({"a": (4,)}, {"a": (4,)}, "wider", "no width grows"),
    ],
)
def test_what_is_no_wider_version_is_refused(small, large, method: str, said: str) -> None:
    make = lambda shapes: {name: torch.zeros(shape) for name, shape in shapes.items()}  # noqa: E731
    with pytest.raises(GrowthError, match=said):
        check_growth(make(small), make(large), method)  # type: ignore[arg-type]


def test_methods_and_second_networks_are_checked() -> None:
    small, large = supernet(8, 0), supernet(16, 1, 24)
    with pytest.raises(GrowthError, match=r"method='thicker' is not valid.*wider, zero"):
        grow_weights(small, large, "thicker")  # type: ignore[arg-type]
    with pytest.raises(GrowthError, match="Leave the second network out"):
        grow_weights(small, large, "wider", second=supernet(8, 2))
    with pytest.raises(GrowthError, match="has not the shape of the first one"):
        grow_weights(small, large, "zero", second=supernet(16, 2))
