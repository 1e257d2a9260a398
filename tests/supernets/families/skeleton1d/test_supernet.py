"""The skeleton family against plain torch: convolutions, sums by hand, and a sequence without its padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hwsearch.errors import DataError
from hwsearch.exporters import lower, verify
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.catalogue import entry
from hwsearch.supernets.checkpoint import save_weights
from hwsearch.supernets.families.skeleton1d import Skeleton1D, Skeleton1DConfig
from hwsearch.supernets.families.skeleton1d.branches import time_difference
from hwsearch.supernets.families.skeleton1d.config import BRANCHES
from hwsearch.tasks.sequences import synthetic_skeletons
from hwsearch.testing import SupernetConformance
from hwsearch.testing.weights import seeded_weights

SMALL = Skeleton1DConfig(classes=5, frames=16, width=32, blocks=(1, 2), kernels=(3, 5, 7, 9))


def seeded(config: Skeleton1DConfig = SMALL) -> Skeleton1D:
    net = Skeleton1D(config)
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


def single(net: Skeleton1D, view: str, **genes: float) -> Architecture:
    """The largest network of one branch, but for some genes."""
    i = BRANCHES.index(view)
    c = net.config
    sizes = {"d": c.blocks[-1], "w": c.widths[-1], "ks": c.kernels[-1]} | genes
    return net.space.architecture({"branches": view, **{f"{k}[{i}]": v for k, v in sizes.items()}})


class TestSkeleton1D(SupernetConformance):
    def make(self) -> Skeleton1D:
        return Skeleton1D(SMALL)

    def inputs(self, net: Supernet, arch: Architecture) -> tuple[torch.Tensor, ...]:
        return inputs(n=2)  # random masks would leave hardly two frames in a row, of which differences are made


@pytest.fixture(scope="module")
def net() -> Skeleton1D:
    return seeded()


def inputs(frames: int = 16, real: int = 11, n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Random positions whose last frames are padding."""
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((n, 75, frames)).astype(np.float32))
    mask = torch.zeros(n, frames, dtype=torch.int64)
    mask[:, :real] = 1
    return x * mask[:, None], mask


def test_genes_of_a_branch_that_is_off_do_not_count(net: Skeleton1D) -> None:
    rows = np.zeros((2, len(net.space.choices)), np.int64)
    for gene in ("fusion", "d[0]", "w[1]", "ks[2]"):  # all of "difference" alone
        rows[1, net.space.names.index(gene)] = 1
    a, b = net.space.from_array(net.space.canonical(rows))
    assert a == b and a.id == b.id and set(a) == {"branches", "d[3]", "w[3]", "ks[3]"}


@torch.no_grad()
@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
def test_a_slice_is_torchs_own_convolution_of_the_centre(net: Skeleton1D, kernel: int) -> None:
    arch = single(net, "difference", d=1, w=0.5, ks=kernel)
    state = net.state_dict()
    x, mask = inputs()
    d, there = (x[:, :, 1:] - x[:, :, :-1]), mask[:, 1:] * mask[:, :-1]
    h = d * there[:, None]
    crop = (9 - kernel) // 2
    half = 16

    def layer(h: torch.Tensor, name: str) -> torch.Tensor:
        w = state[f"difference.nets.0.{name}.conv.weight"]
        conv = nn.Conv1d(h.shape[1], half, kernel, padding="same", bias=False)
        conv.weight.copy_(w[:half, : h.shape[1], crop : 9 - crop])
        bn = {
            k: state[f"difference.nets.0.{name}.bn.{k}"][:half, None]
            for k in ("weight", "bias", "running_mean", "running_var")
        }
        return (conv(h) - bn["running_mean"]) / (bn["running_var"] + 1e-5).sqrt() * bn["weight"] + bn["bias"]

    keep = there[:, None]
    h = F.relu(layer(h, "stem")) * keep
    h = F.relu(h + layer(F.relu(layer(h, "blocks.0.first")) * keep, "blocks.0.second")) * keep
    mean = torch.stack([row[:, : int(k.sum())].mean(1) for row, k in zip(h, there, strict=True)])
    expected = mean @ state["difference.head.weight"][:, :half].T + state["difference.head.bias"]
    torch.testing.assert_close(net.subnet(arch)(x, mask), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("view", ["body-part", "attention", "difference"])
def test_padding_changes_nothing(net: Skeleton1D, view: str) -> None:
    """A sequence padded to 16 frames has the logits that its 11 frames have alone."""
    subnet = net.subnet(single(net, view))
    x, mask = inputs()
    torch.testing.assert_close(subnet(x, mask), subnet(x[:, :, :11], mask[:, :11]), rtol=1e-4, atol=1e-5)
    noise = torch.where(mask[:, None] == 1, x, 7.0)  # what stands in padding is not read
    torch.testing.assert_close(subnet(noise, mask), subnet(x, mask), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_the_difference_of_a_body_at_rest_is_nothing_although_zeros_follow(net: Skeleton1D) -> None:
    subnet = net.subnet(single(net, "difference"))
    x, mask = inputs()
    still = x[:, :, :1].repeat(1, 1, 16) * mask[:, None]
    torch.testing.assert_close(subnet(still, mask), subnet(torch.zeros_like(x), mask), rtol=1e-6, atol=1e-7)
    assert not torch.allclose(subnet(still, torch.ones_like(mask)), subnet(torch.zeros_like(x), torch.ones_like(mask)))


def test_a_difference_needs_a_body_in_both_frames() -> None:
    x = torch.tensor([[[1.0, 3.0, 0.0, 10.0, 4.0]]])
    found, mask = time_difference(x, torch.tensor([[[1.0, 1.0, 0.0, 1.0, 1.0]]]))
    assert found.tolist() == [[[2.0, 0.0, 0.0, -6.0]]] and mask.tolist() == [[[1.0, 0.0, 0.0, 1.0]]]


@torch.no_grad()
def test_the_spatial_stream_runs_over_joints(net: Skeleton1D) -> None:
    """With the temporal stream's features struck out, exchanging two frames with their weights changes nothing."""
    one = seeded()
    one.branch("two-stream").head.weight[:, :32] = 0
    subnet = one.subnet(single(one, "two-stream"))
    x, mask = inputs(real=16)
    before = subnet(x, mask)
    weight = subnet.branches["two-stream"].nets[1].stem.conv.weight  # channel = 3 x frame + axis
    order = list(range(16))
    order[2], order[9] = 9, 2
    weight.copy_(weight[:, [3 * t + a for t in order for a in range(3)]])
    torch.testing.assert_close(subnet(x[:, :, order], mask), before, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(subnet(x, mask), before, rtol=1e-3)


@torch.no_grad()
def test_parts_see_their_joints_only(net: Skeleton1D) -> None:
    subnet = net.subnet(single(net, "body-part"))
    nets, x = subnet.branches["body-part"].nets, inputs(real=16)[0]
    ones = torch.ones(3, 1, 16)
    given = subnet.branches["body-part"].inputs(x, ones)
    left_arm = [4, 5, 6, 7, 21, 22]
    expected = x.reshape(3, 25, 3, 16)[:, left_arm].reshape(3, 18, 16)
    torch.testing.assert_close(nets[1](*given[1]), nets[1](expected, ones))
    assert sorted(c for p in range(5) for c in getattr(subnet.branches["body-part"], f"part{p}").tolist()) == list(
        range(75)
    )


@torch.no_grad()
@pytest.mark.parametrize("fusion", ["average", "product"])
def test_fusion_is_the_mean_or_the_product_of_probabilities(net: Skeleton1D, fusion: str) -> None:
    arch = net.space.architecture({**net.space.largest(), "fusion": fusion})
    x, mask = inputs()
    subnet = net.subnet(arch)
    parts = [net.subnet(single(net, view))(x, mask).double().softmax(1).numpy() for view in BRANCHES]
    expected = np.mean(parts, 0) if fusion == "average" else np.prod(parts, 0) / np.prod(parts, 0).sum(1, keepdims=True)
    assert subnet(x, mask).double().softmax(1).numpy() == pytest.approx(expected, rel=1e-4)


def test_macs_and_parameters_counted_by_hand() -> None:
    net = Skeleton1D(Skeleton1DConfig(classes=5, frames=16, width=32))
    # one difference network: 15 positions, 16 channels, 5 taps, stem + 2 blocks of two convolutions, 5 classes
    arch = single(net, "difference", d=2, w=0.5, ks=5)
    assert net.macs(arch) == 15 * 5 * (75 * 16 + 4 * 16 * 16) + 16 * 5
    assert net.params(arch) == 5 * (75 * 16 + 4 * 16 * 16) + 5 * 2 * 16 + 16 * 5 + 5
    # temporal over 16 frames of 75, spatial over 25 joints of 48
    arch = single(net, "two-stream", d=1, w=0.25, ks=3)
    assert net.macs(arch) == 3 * 16 * (75 * 8 + 2 * 8 * 8) + 3 * 25 * (48 * 8 + 2 * 8 * 8) + 2 * 8 * 5


@torch.no_grad()
def test_onnx_files_equal_torch_on_padded_sequences() -> None:
    net = seeded(Skeleton1DConfig(classes=8, frames=40, width=32))
    x, _ = next(synthetic_skeletons("test", 6).batches(40, 6))
    for arch in net.space.sample(6, np.random.default_rng(2)):
        (part,) = net.parts(arch, net.subnet(arch))
        model = lower(part.net, part.inputs, outputs=part.outputs, output_axes=part.output_axes)
        assert verify(model, part.net, *x, tolerance=1e-5) <= 1e-5


@torch.no_grad()
def test_a_subnet_leaves_the_active_architecture_alone(net: Skeleton1D) -> None:
    x, mask = inputs()
    arch = single(net, "attention", d=1)
    net.activate(arch)
    before = net(x, mask)
    net.subnet(net.space.largest())
    assert torch.equal(net(x, mask), before)


def test_the_network_is_of_the_datas_sizes(tmp_path: Path) -> None:
    found = entry("skeleton-1d")
    assert found.build_for_data is not None
    made = found.build_for_data(synthetic_skeletons("test", 32))
    assert made.classes == 8 and made.input_shape(made.space.largest()) == (75, 40)
    save_weights(made, tmp_path / "x.safetensors", {})
    loaded = found.load(tmp_path / "x.safetensors")
    assert loaded.net.space == made.space and loaded.net.config == made.config
    assert found.build_for_data(synthetic_skeletons("test", 8)).space.name.startswith("skeleton-1d-t")


def test_wrong_data_are_refused(net: Skeleton1D) -> None:
    with pytest.raises(DataError, match="no skeleton sequences"):
        net.check_data(_Other(), "test")
    with pytest.raises(DataError, match="8 classes, the supernet 5"):
        net.check_data(synthetic_skeletons("test", 8), "test")


class _Other:
    name = "sentences"
