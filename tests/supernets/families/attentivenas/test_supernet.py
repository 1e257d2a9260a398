"""AttentiveNAS and AlphaNet: outputs, MACs and weights of the authors' own network, and its published sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hwsearch.accuracy import recalibrate
from hwsearch.errors import CheckpointError
from hwsearch.exporters import lower, verify
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint.loading import Uninitialised, extract_subnet, load_weights
from hwsearch.supernets.families.attentivenas.config import AttentiveNASConfig, WideStage
from hwsearch.supernets.families.attentivenas.supernet import AttentiveNAS
from hwsearch.tasks.images import Preprocess, from_arrays
from hwsearch.testing.weights import seeded_weights

#: computed with the authors' classes (github.com/facebookresearch/AttentiveNAS, get_active_subnet) in float64:
#: weights are `seeded_weights` of their state dict, inputs normal (seed [7, side]), the first six logits kept
GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "attentivenas.npz")
SIDES = (64, 72)


@pytest.fixture(scope="module")
def net() -> AttentiveNAS:
    with Uninitialised():
        net = AttentiveNAS(AttentiveNASConfig("golden", resolutions=SIDES))
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


@pytest.fixture
def small() -> AttentiveNAS:
    stages = (
        WideStage((8, 16), (1, 2), (1,), 1, False),
        WideStage((16, 24), (1, 2, 3), (2, 3), 2, True),
        WideStage((24, 32), (1, 2), (3,), 2, True),
    )
    config = AttentiveNASConfig("small", (8, 16), stages, (32, 48), classes=5, resolutions=(28, 30, 32))
    net = AttentiveNAS(config)
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


@torch.no_grad()
@pytest.mark.parametrize("every", [24, pytest.param(8, marks=pytest.mark.slow)])  # of the golden subnets
def test_subnets_give_the_outputs_of_the_authors_network(net: AttentiveNAS, every: int) -> None:
    inputs = {s: np.random.default_rng([7, s]).standard_normal((2, 3, s, s)) for s in SIDES}
    for k in range(0, len(GOLDEN["rows"]), every):
        genes = net.space.from_array(GOLDEN["rows"][k : k + 1].astype(np.int64))[0]
        for i, side in enumerate(SIDES):
            arch = net.space.architecture({**genes, "r": side})
            found = extract_subnet(net, arch)(torch.from_numpy(inputs[side]).float())[:, :6].numpy()
            assert np.abs(found - GOLDEN["outputs"][k, i]).max() <= 1e-5


def test_macs_and_params_are_those_of_the_authors_network(net: AttentiveNAS) -> None:
    """Of all golden subnets; the reference's shortcut convolutions that are never used are not counted."""
    rows = GOLDEN["rows"].astype(np.int64)
    for i, side in enumerate(SIDES):
        rows[:, net.space.names.index("r")] = SIDES.index(side)
        assert (net.macs_array(rows) == GOLDEN["macs"][:, i]).all()
        assert (net.params_array(rows) == GOLDEN["params"]).all()


def test_the_published_space_and_sizes() -> None:
    for name in ("attentivenas", "alphanet"):
        net = catalogue.entry(name).build()
        assert isinstance(net, AttentiveNAS)
        space, options = net.space, net.config.options()
        assert space.cardinality == 440_301_256_704
        assert sum(p.numel() for p in net.parameters()) == 23_934_704
        published = {  # millions of MACs: evaluation table of the authors
            203: (192, [16, 16, 24, 32, 64, 112, 192, 216, 1792], [3] * 7, [1, 4, 4, 4, 4, 6, 6], [1, 3, 3, 3, 3, 3, 1]),
            279: (224, [16, 16, 24, 32, 64, 112, 192, 216, 1984], [3, 3, 3, 5, 3, 5, 3], [1, 4, 4, 4, 4, 6, 6], [1, 3, 3, 3, 3, 3, 1]),
            709: (288, [16, 16, 24, 32, 64, 112, 216, 224, 1984], [3, 3, 3, 3, 3, 5, 3], [1, 4, 6, 5, 4, 6, 6], [1, 3, 3, 4, 4, 6, 1]),
        }  # fmt: skip
        for macs, (r, w, ks, e, d) in published.items():
            values = {"r": r, **{f"w[{i}]": v for i, v in enumerate(w)}}
            values |= {
                f"{kind}[{i}]": v for kind, list_ in (("ks", ks), ("e", e), ("d", d)) for i, v in enumerate(list_)
            }
            arch = space.architecture({k: v for k, v in values.items() if len(options[k]) > 1})
            assert round(net.macs(arch) / 1e6) == macs


@torch.no_grad()
def test_activated_supernet_and_extracted_subnet_agree(small: AttentiveNAS) -> None:
    for arch in (small.space.smallest(), small.space.largest(), *small.space.sample(20, np.random.default_rng(0))):
        x = torch.randn(2, *small.input_shape(arch), generator=torch.Generator().manual_seed(1))
        small.activate(arch)
        subnet = small.subnet(arch)
        torch.testing.assert_close(subnet(x), small(x), rtol=1e-5, atol=1e-6)
        own = {p.data_ptr() for p in small.parameters()}
        assert own.isdisjoint(p.data_ptr() for p in subnet.parameters())
        assert sum(p.numel() for p in subnet.parameters()) == small.params(arch)
        with FlopCounterMode(display=False) as counter:
            subnet(x[:1])
        assert counter.get_total_flops() == 2 * small.macs(arch)


def test_export_is_lowered_and_equal(small: AttentiveNAS) -> None:
    arch = small.space.largest()
    subnet = small.subnet(arch)
    x = torch.randn(2, *small.input_shape(arch), generator=torch.Generator().manual_seed(2))
    model = lower(subnet, small.input_shape(arch))
    assert model.producer_name == "hwsearch"  # not the slow way
    assert verify(model, subnet, x, tolerance=1e-5) <= 1e-5


def test_a_file_in_the_authors_layout_loads(small: AttentiveNAS, tmp_path: Path) -> None:
    state = {f"module.{k}": v for k, v in small.state_dict().items()}
    extra = {f"module.first_conv.bn.bn_tracking.{i}.running_mean": torch.zeros(8) for i in (0, 1)}
    torch.save({"state_dict": {**state, **extra}, "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "a.pth.tar")
    from hwsearch.supernets.checkpoint.reading import read_state

    other = AttentiveNAS(replace(small.config, name="other"))
    load_weights(other, read_state(tmp_path / "a.pth.tar"), "a.pth.tar")
    found = small.state_dict()
    assert all(torch.equal(v, found[k]) for k, v in other.state_dict().items())
    with pytest.raises(CheckpointError, match="another width or version"):
        load_weights(AttentiveNAS(replace(small.config, mix=(32, 64))), read_state(tmp_path / "a.pth.tar"), "a")


def test_images_are_cropped_at_the_base_and_resized_bicubic() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 40, 50, 3), dtype=np.uint8)
    prepare = Preprocess(crop=0.875, base=28)
    data = from_arrays(images, np.zeros(3, np.int64), ("x",), prepare)
    (base, _), (other, _) = (next(data.batches(side, 3)) for side in (28, 36))
    expected = nn.functional.interpolate(base, (36, 36), mode="bicubic", align_corners=False)
    assert base.shape == (3, 3, 28, 28) and torch.equal(other, expected)
    recalibrate(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), data, 36, batch=2)
