"""Supernets with generated weights: the contract of a supernet, widths that were never trained, files, and what is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typing_extensions import override

from hwsearch.errors import CheckpointError, SpaceError
from hwsearch.exporters import lower, run_onnx
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint import digest, read_state, save_weights
from hwsearch.supernets.declared import Depth, Width, elastic
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.vit.config import ElasticViTConfig
from hwsearch.supernets.families.vit.supernet import ElasticViT
from hwsearch.supernets.kernels import using
from hwsearch.supernets.kernels.masked import MaskedKernels
from hwsearch.supernets.weights.generated import (
    CARD_TENSOR,
    GeneratedSupernet,
    card_of,
    restored,
    with_generator,
)
from hwsearch.supernets.weights.generator import GeneratorError, GeneratorSettings
from hwsearch.testing import SupernetConformance
from hwsearch.testing.strategies import small_supernet
from hwsearch.testing.weights import seeded_weights

FEW, MORE = (0.25, 0.5, 0.75, 1.0), (0.25, 0.375, 0.5, 0.625, 0.75, 1.0)
SMALL = GeneratorSettings(hidden=8, chunk=32)


def network(shares: tuple[float, ...] = FEW, channels: int = 16, name: str = "net") -> Supernet:
    """A stem, two blocks with elastic widths of which one may be left out, and a classifier."""

    def block() -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(8, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, 8, 1), nn.BatchNorm2d(8),
        )  # fmt: skip

    with torch.random.fork_rng():
        torch.manual_seed(0)
        stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        model = nn.Sequential(
            stem, nn.Sequential(block(), block()), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
        )
        declared = {"1.*.0": Width(shares, divisor=2), "1": Depth((1, 2))}
        return elastic(model, declared, input_shape=(3, 16, 16), name=name)


def trained_like(net: GeneratedSupernet, seed: int = 0) -> GeneratedSupernet:
    """Weights with which the generator matters."""
    net.load_state_dict(seeded_weights(net.state_dict(), seed))
    return net.eval()


class TestDeclared(SupernetConformance):
    """A declared network, all of whose choices are generated."""

    @override
    def make(self) -> Supernet:
        return with_generator(network(MORE), SMALL)


class TestMobileNet(SupernetConformance):
    """A family with kernel transforms and squeeze and excitation; norms are generated, too."""

    subnets = 4

    @override
    def make(self) -> Supernet:
        return with_generator(small_supernet(), GeneratorSettings(mode="full", hidden=8, norms=True))


@pytest.mark.parametrize("mode", ["full", "chunk", "layer"])
def test_a_subnet_has_the_slices_of_what_is_made_for_it(mode: str) -> None:
    net = trained_like(with_generator(network(MORE), GeneratorSettings(mode=mode, hidden=8, chunk=32)))
    arch = net.space.architecture({"depth[1]": 2, "width[1.0.0]": 0.375, "width[1.1.0]": 1.0})
    torch.testing.assert_close(net.condition(arch), torch.tensor([1.0, 0.375, 1.0]))
    theta0 = dict(net.net.named_parameters())
    flat = net.generator(torch.tensor([1.0, 0.375, 1.0]))
    place = 0
    expected = {}
    for name, size in net.sizes.items():
        expected[name.removeprefix("model.")] = theta0[name] + flat[place : place + size].view(theta0[name].shape)
        place += size
    assert place == len(flat) == net.card.generated
    cut = dict(net.subnet(arch).named_parameters())
    assert torch.equal(cut["1.0.0.weight"], expected["1.0.0.weight"][:6])
    assert torch.equal(cut["1.0.3.weight"], expected["1.0.3.weight"][:, :6])
    assert torch.equal(cut["4.bias"], expected["4.bias"]) and torch.equal(cut["0.0.weight"], expected["0.0.weight"])
    assert torch.equal(cut["1.0.1.weight"], theta0["model.1.0.1.weight"][:6])  # norms are shared
    short = net.space.architecture({"depth[1]": 1, "width[1.0.0]": 0.375})
    torch.testing.assert_close(net.condition(short), torch.tensor([0.5, 0.375, 0.0]))


def test_the_condition_matters_and_theta0_is_the_supernet_alone() -> None:
    net = trained_like(with_generator(network(MORE), SMALL))
    arch = net.space.smallest()
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert not torch.allclose(net.subnet(arch)(x), net.net.subnet(arch)(x), atol=1e-3)
        for p in net.generator.parameters():
            p.zero_()
        torch.testing.assert_close(net.subnet(arch)(x), net.net.subnet(arch)(x))


def test_without_a_residual_weights_are_what_the_generator_makes() -> None:
    net = with_generator(network(), GeneratorSettings(mode="full", hidden=8, residual=False, encoding="raw"))
    cut = net.subnet(net.space.largest())
    made = net.weights(net.condition(net.space.largest()))
    assert torch.equal(cut.get_parameter("0.0.weight"), made["model.0.0.weight"])
    assert torch.equal(made["model.0.0.weight"].flatten(), net.generator(torch.ones(3))[: 8 * 3 * 9])
    norms = sum(p.numel() for n, p in net.net.named_parameters() if n not in net.sizes)
    assert net.card.stored_params == net.card.generator_params + norms
    assert all(p.requires_grad for p in cut.parameters())  # fine-tuning trains all of it
    whole = with_generator(network(), SMALL)
    assert whole.card.stored_params == whole.card.generator_params + sum(p.numel() for p in network().parameters())


def test_widths_that_were_never_trained_are_choices_of_a_wider_space(tmp_path: Path) -> None:
    net = trained_like(with_generator(network(FEW), SMALL))
    save_weights(net, tmp_path / "net.safetensors", {})
    entry = SupernetEntry("net", "", build=lambda: network(MORE), task="images")
    loaded = entry.load(tmp_path / "net.safetensors")
    more = loaded.net
    assert isinstance(more, GeneratedSupernet) and more.space.cardinality > net.space.cardinality
    assert more.card == net.card and more.card.trained["width[1.0.0]"] == list(FEW)
    assert isinstance(entry.shape(read_state(tmp_path / "net.safetensors")), GeneratedSupernet)
    x = np.random.default_rng(0).standard_normal((5, 3, 16, 16)).astype(np.float32)
    for width in (0.375, 0.625):
        arch = more.space.architecture({"depth[1]": 2, "width[1.0.0]": width, "width[1.1.0]": 0.625})
        plain = more.subnet(arch).eval()
        assert not any("Hypernetwork" in type(m).__name__ for m in plain.modules())
        assert plain[1][0][0].out_channels == 16 * width
        (found,) = run_onnx(lower(plain, (3, 16, 16)).SerializeToString(), x)
        more.activate(arch)
        with torch.no_grad():
            np.testing.assert_allclose(found, plain(torch.from_numpy(x)).numpy(), atol=1e-5, rtol=1e-5)
            np.testing.assert_allclose(found, more(torch.from_numpy(x)).numpy(), atol=1e-5, rtol=1e-5)
    same = net.space.largest()  # and where both spaces have a subnet it is the same
    x = torch.from_numpy(x)
    with torch.no_grad():
        assert torch.equal(net.subnet(same)(x), more.subnet(more.space.largest())(x))


def test_a_plain_file_and_one_of_another_space_are_told_apart(tmp_path: Path) -> None:
    save_weights(network(), tmp_path / "plain.safetensors", {})
    entry = SupernetEntry("net", "", build=lambda: network(MORE), task="images")
    assert not isinstance(entry.load(tmp_path / "plain.safetensors").net, GeneratedSupernet)
    save_weights(with_generator(network(), SMALL), tmp_path / "net.safetensors", {})

    def resized() -> Supernet:
        return network(channels=20)

    def renamed() -> Supernet:
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
        return elastic(net, {"0": Width((0.5, 1.0))}, input_shape=(3, 16, 16))

    for build, said in (
        (renamed, "of another search space than 'sequential'"),
        (resized, "makes .* weights, and the network"),
    ):
        with pytest.raises(CheckpointError, match=said):
            SupernetEntry("net", "", build=build, task="images").load(tmp_path / "net.safetensors")


def test_a_damaged_card_is_refused(tmp_path: Path) -> None:
    state = dict(with_generator(network(), SMALL).state_dict())
    for wrong in (torch.zeros(4, dtype=torch.uint8), torch.zeros(4), torch.tensor([123, 125], dtype=torch.uint8)):
        with pytest.raises(CheckpointError, match=r"card of (a|its) generator"):
            restored(network(), state | {CARD_TENSOR: wrong}, "the file")
    with pytest.raises(CheckpointError, match="has no card"):
        card_of({}, "the file")
    held = json.loads(bytes(state[CARD_TENSOR].numpy()))
    held["settings"]["mode"] = "half"
    with pytest.raises(CheckpointError, match="mode='half'"):
        card_of({CARD_TENSOR: torch.frombuffer(bytearray(json.dumps(held).encode()), dtype=torch.uint8)}, "the file")


def test_families_with_other_layers_are_refused_by_name() -> None:
    config = ElasticViTConfig(
        name="tiny-vit", classes=3, patch=8, resolutions=(16,), hidden=16, head_size=8, layers=(1, 2), heads=(1, 2), ffn=(8, 16)
    )  # fmt: skip
    with pytest.raises(GeneratorError, match=r"cannot serve ElasticViT: it has weights in .*\(\w+\)"):
        with_generator(ElasticViT(config), SMALL)


def test_conditions_are_checked_and_architectures_of_other_spaces_refused() -> None:
    net = with_generator(network(), SMALL)
    for value in (1.5, float("nan")):
        with pytest.raises(GeneratorError, match="a condition of a generator has"):
            net.weights(torch.tensor([0.5, value, 0.5]))
    with pytest.raises(SpaceError):
        net.condition(small_supernet().space.largest())
    with using(MaskedKernels()), pytest.raises(GeneratorError, match="masked kernels"):
        net(torch.zeros(1, 3, 16, 16))


def test_a_generator_goes_on_and_learns_of_new_values() -> None:
    net = with_generator(network(), SMALL, seed=1)
    assert with_generator(net, SMALL, seed=2) is net
    with pytest.raises(GeneratorError, match="mode='chunk', asked 'full'"):
        with_generator(net, GeneratorSettings(mode="full", hidden=8, chunk=32))
    more = restored(network(MORE), net.state_dict(), "the file")
    more.load_state_dict(net.state_dict())
    before = copy.deepcopy(more.generator.state_dict())
    on = with_generator(more, SMALL)
    assert on.card.trained["width[1.0.0]"] == list(MORE) and more.card.trained["width[1.0.0]"] == list(FEW)
    assert all(torch.equal(v, before[k]) for k, v in on.generator.state_dict().items())
    assert card_of(on.state_dict(), "it") == on.card
    assert (
        digest(with_generator(network(), SMALL, seed=1))
        == digest(net)
        != digest(with_generator(network(), SMALL, seed=2))
    )
