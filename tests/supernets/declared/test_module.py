"""Declared supernets against the network they were made from: its own outputs, torch's own counts, and its own
weights with what is cut set to zero."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils.flop_counter import FlopCounterMode

from hwsearch.accuracy import recalibrate
from hwsearch.errors import CheckpointError, SpaceError, SupernetError
from hwsearch.spaces import Architecture, SearchSpace, When
from hwsearch.supernets.checkpoint.loading import load_weights
from hwsearch.supernets.checkpoint.writing import digest
from hwsearch.supernets.declared import ElasticModule
from hwsearch.supernets.declared.declaration import Depth, KernelSize, Width
from hwsearch.supernets.declared.elastic import elastic
from hwsearch.supernets.families.plain.mobilenet_v2 import MobileNetV2
from hwsearch.supernets.families.plain.resnet import Bottleneck, ResNet, resnet18, resnet50
from hwsearch.supernets.families.plain.supernet import mobilenet_v2_declaration
from hwsearch.supernets.layers.containers import ElasticModuleList, ElasticSequential
from hwsearch.supernets.layers.ordering import sort_by_importance
from hwsearch.supernets.layers.sliced.kinds import SLICED
from hwsearch.supernets.layers.sliced.norm import SlicedBatchNorm2d
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.readers import from_arrays

Randomise = Callable[..., None]
ELASTIC_TYPES = (*SLICED.values(), ElasticSequential, ElasticModuleList)


class Gate(nn.Module):
    """Squeeze and excitation by linear layers, written with sizes and views."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // 2)
        self.excite = nn.Linear(channels // 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.size()
        s = F.adaptive_avg_pool2d(x, 1).view(b, c)
        s = torch.sigmoid(self.excite(F.relu(self.squeeze(s))))
        return x * s.view(b, c, 1, 1)


class Mixer(nn.Module):
    """Depth-wise 5×5, then a two-layer perceptron in channels-last order, as in ConvNeXt; residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dw = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.up = nn.Linear(channels, 2 * channels)
        self.down = nn.Linear(2 * channels, channels)

    def forward(self, x: Tensor, scale: float | None = None) -> Tensor:
        y = self.norm(self.dw(x).permute(0, 2, 3, 1))
        y = self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)
        return x + (y if scale is None else scale * y)


class Odd(nn.Module):
    """What a user may have: gates, group norm, a module list, sizes in views, an unused default argument."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.SiLU())
        self.blocks = nn.ModuleList(Mixer(16) for _ in range(3))
        self.wide = nn.Sequential(nn.Conv2d(16, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32, momentum=None), nn.ReLU())
        self.gate = Gate(32)
        self.side = nn.Conv2d(16, 32, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(32, 24)
        self.norm = nn.BatchNorm1d(24)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor, scale: float | None = None) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, scale)
        x = F.max_pool2d(self.gate(self.wide(x)) + self.side(x), 2)
        x = self.pool(x)
        x = x.view(x.size(0), -1)
        return self.head(self.drop(F.relu(self.norm(self.hidden(x)))))


ODD = {
    "stem.0": Width((0.25, 0.5, 1.0), divisor=4),
    "blocks": Depth((1, 3)),
    "blocks.*.up": Width((0.25, 1.0)),
    "blocks.*.dw": KernelSize((1, 3, 5)),
    "wide.0": [Width((0.5, 0.75, 1.0)), KernelSize((1, 3))],
    "gate.squeeze": Width((0.5, 1.0)),
    "hidden": Width((0.5, 1.0)),
}
RESNET18 = {"layer*.*.conv1": Width((0.25, 0.5, 1.0)), "layer[1-4]": Depth((1, 2)), "conv1": KernelSize((3, 5, 7))}
RESNET50 = {
    "layer*.*.conv[12]": Width((0.5, 1.0)),
    "layer2": Depth((1, 2, 4)),
    "layer3": Depth((2, 6)),
    "layer1.0.conv3": Width((0.5, 1.0)),
}
MODELS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], tuple[int, ...]]] = {
    "resnet18": (lambda: resnet18(7, width=16), RESNET18, (32, 48, 64)),
    "resnet50": (lambda: resnet50(7, width=16), RESNET50, (32, 64)),
    "mobilenet-v2": (lambda: MobileNetV2(7, width=0.5), mobilenet_v2_declaration(), (32, 64)),
    "odd": (Odd, ODD, (12, 16, 23)),
}


@cache
def made(name: str, randomise: Randomise) -> tuple[nn.Module, ElasticModule]:
    """Trace and prove each network once; nothing may change what is returned."""
    build, declaration, sides = MODELS[name]
    model = build()
    randomise(model)
    model.eval()
    shape = (3, sides[-1], sides[-1])
    return model, elastic(model, declaration, input_shape=shape, resolutions=sides, name=name)


def make(name: str, randomise: Randomise) -> tuple[nn.Module, ElasticModule]:
    """Copy a network and its supernet, for the test to change."""
    return copy.deepcopy(made(name, randomise))


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest, randomise: Randomise) -> tuple[nn.Module, ElasticModule]:
    return make(request.param, randomise)


@pytest.fixture
def odd(randomise: Randomise) -> ElasticModule:
    return make("odd", randomise)[1]


def images(net: ElasticModule, arch: Architecture, n: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(n, *net.input_shape(arch), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def largest_error(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape and float(expected.std()) > 1e-3
    return float((found - expected).abs().max() / max(1.0, float(expected.abs().max())))


def with_genes(net: ElasticModule, **genes: Any) -> Architecture:
    """The largest architecture but for these genes; in names, __ stands for a dot."""
    given = {k.replace("__", "."): v for k, v in genes.items()}
    return net.space.architecture({**net.space.largest(), **given})


# ---------------------------------------------------------------------- the contract of a supernet
def test_the_largest_subnet_is_the_given_network(pair: tuple[nn.Module, ElasticModule]) -> None:
    model, net = pair
    largest = net.space.largest()
    x = images(net, largest)
    net.activate(largest)
    with torch.no_grad():
        expected = model(x)
        assert torch.equal(net(x), expected)
        assert torch.equal(net.subnet(largest)(x), expected)
    assert net.params(largest) == sum(p.numel() for p in model.parameters())


def test_random_subnets_equal_the_activated_supernet_and_cost_what_torch_counts(
    pair: tuple[nn.Module, ElasticModule],
) -> None:
    net = pair[1]
    archs = [net.space.smallest(), *net.space.sample(18, np.random.default_rng(1))]
    rows = net.space.to_array(archs)
    macs, params, features = net.macs_array(rows), net.params_array(rows), net.cost_features(rows)
    for k, arch in enumerate(archs):
        net.activate(arch)
        x, subnet = images(net, arch), net.subnet(arch)
        assert not [m for m in subnet.modules() if isinstance(m, ELASTIC_TYPES)]
        assert params[k] == net.params(arch) == sum(p.numel() for p in subnet.parameters())
        written: list[int] = []
        for module in subnet.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                module.register_forward_hook(lambda m, i, o, written=written: written.append(o[0].numel()))
        with torch.no_grad():
            expected = net(x)
            with FlopCounterMode(display=False) as counter:
                found = subnet(x)
        assert largest_error(found, expected) <= 1e-6
        assert macs[k] == net.macs(arch) == counter.get_total_flops() // 2 // len(x)
        assert features["activations"][k] == sum(written)
    net.activate(net.space.largest())
    assert len(set(macs)) > 15 and len(set(params)) > 5


def test_cost_features_add_up(pair: tuple[nn.Module, ElasticModule]) -> None:
    net = pair[1]
    rows = net.space.sample_array(50, np.random.default_rng(0))
    costs = net.cost_features(rows)
    for kind in ("macs", "activations"):
        stages = [v for k, v in costs.items() if k.startswith(f"{kind}_")]
        assert len(stages) > 2 and np.array_equal(sum(stages), costs[kind])
    assert np.array_equal(costs["macs"], net.macs_array(rows))
    assert np.array_equal(costs["log_params"], np.log(net.params_array(rows)))
    values, names = net.features_array(rows)
    assert values.shape == (50, len(set(names))) and np.isfinite(values).all()


def test_a_subnet_shares_nothing_with_its_supernet(pair: tuple[nn.Module, ElasticModule]) -> None:
    model, net = pair
    for arch in (net.space.largest(), net.space.smallest()):
        subnet = net.subnet(arch)
        mine = {v.untyped_storage().data_ptr() for v in subnet.state_dict().values()}
        others = [*net.state_dict().values(), *model.state_dict().values()]
        assert not mine & {v.untyped_storage().data_ptr() for v in others}
        held = sum(v.untyped_storage().nbytes() for v in subnet.state_dict().values())
        assert held == sum(v.numel() * v.element_size() for v in subnet.state_dict().values())


def test_extraction_does_not_change_what_is_active(odd: ElasticModule) -> None:
    largest = odd.space.largest()
    x = images(odd, largest)
    with torch.no_grad():
        expected = odd(x)
        odd.subnet(odd.space.smallest())
        assert torch.equal(odd(x), expected)


def test_a_subnet_keeps_the_mode_of_its_supernet(odd: ElasticModule) -> None:
    arch = odd.space.smallest()
    assert not any(m.training for m in odd.eval().subnet(arch).modules())
    assert all(m.training for m in odd.train().subnet(arch).modules())


def test_architectures_of_another_space_are_refused(odd: ElasticModule) -> None:
    other = SearchSpace("other", odd.space.choices).smallest()
    for use in (odd.activate, odd.subnet, odd.macs):
        with pytest.raises(SpaceError, match="'other', not"):
            use(other)


def test_the_given_network_is_not_changed(randomise: Randomise) -> None:
    model = Odd()
    randomise(model)
    model.train().norm.eval()
    before, facts = digest(model), [(type(m), m.training) for m in model.modules()]
    net = elastic(model, ODD, input_shape=(3, 16, 16))
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    assert digest(model) == before and [(type(m), m.training) for m in model.modules()] == facts
    assert not net.model.norm.training and net.model.stem.training and net.model.wide[1].training


# ---------------------------------------------------------------------- slices, against zeroed weights
def test_a_narrow_block_is_the_wide_one_with_the_cut_columns_zeroed(randomise: Randomise) -> None:
    model, net = make("resnet18", randomise)
    arch = with_genes(net, **{"width[layer2.0.conv1]": 0.25, "width[layer3.1.conv1]": 0.5})
    with torch.no_grad():
        model.layer2[0].conv2.weight[:, 8:] = 0
        model.layer3[1].conv2.weight[:, 32:] = 0
        x = images(net, arch)
        assert largest_error(net.subnet(arch)(x), model(x)) <= 1e-5
    assert net.subnet(arch).layer2[0].conv1.out_channels == 8


def test_a_shared_width_is_cut_in_all_that_it_is_tied_to(randomise: Randomise) -> None:
    """The output of ResNet-50's first stage: three last convolutions, a shortcut, and three readers."""
    model, net = make("resnet50", randomise)
    arch = with_genes(net, **{"width[layer1.0.conv3]": 0.5})
    with torch.no_grad():
        for reader in (
            model.layer1[1].conv1,
            model.layer1[2].conv1,
            model.layer2[0].conv1,
            model.layer2[0].downsample[0],
        ):
            reader.weight[:, 32:] = 0
        x = images(net, arch)
        subnet = net.subnet(arch)
        assert largest_error(subnet(x), model(x)) <= 1e-5
    assert subnet.layer1[0].downsample[0].out_channels == subnet.layer1[2].bn3.num_features == 32


def test_inverted_residuals_cut_expansion_depthwise_and_projection(randomise: Randomise) -> None:
    model, net = make("mobilenet-v2", randomise)
    arch = with_genes(net, **{"width[features.5.conv.0.0]": 0.5, "depth[features.7-10]": 2})
    with torch.no_grad():
        model.features[5].conv[2].weight[:, 48:] = 0
        model.features[9], model.features[10] = nn.Identity(), nn.Identity()
        x = images(net, arch)
        assert largest_error(net.subnet(arch)(x), model(x)) <= 1e-5
    assert net.subnet(arch).features[5].conv[1][0].groups == 48
    assert [n for n, _ in net.subnet(arch).features.named_children()] == [str(i) for i in range(19) if i not in (9, 10)]


def test_a_small_kernel_is_the_centre_of_the_large_one(randomise: Randomise) -> None:
    model, net = make("odd", randomise)
    arch = with_genes(net, **{"kernel[blocks.1.dw]": 3, "kernel[wide.0]": 1})
    with torch.no_grad():
        for weight in (model.blocks[1].dw.weight, model.wide[0].weight):
            border = torch.ones_like(weight, dtype=torch.bool)
            border[:, :, 1:-1, 1:-1] = False
            weight[border] = 0
        x = images(net, arch)
        assert largest_error(net.subnet(arch)(x), model(x)) <= 1e-5
    assert net.subnet(arch).blocks[1].dw.padding == (1, 1)


def test_depth_keeps_the_first_children(randomise: Randomise) -> None:
    for name, gene, cut in (
        ("odd", "depth[blocks]", lambda m: m.blocks),
        ("resnet18", "depth[layer4]", lambda m: m.layer4),
    ):
        model, net = make(name, randomise)
        arch = with_genes(net, **{gene: 1})
        del cut(model)[1:]
        x = images(net, arch)
        net.activate(arch)
        with torch.no_grad():
            expected = model(x)
            assert torch.equal(net.subnet(arch)(x), expected) and torch.equal(net(x), expected)


def test_group_norm_keeps_the_size_of_its_groups(odd: ElasticModule) -> None:
    norm = odd.subnet(with_genes(odd, **{"width[stem.0]": 0.5})).stem[1]
    assert isinstance(norm, nn.GroupNorm) and (norm.num_channels, norm.num_groups) == (8, 2)


# ---------------------------------------------------------------------- the space
def test_genes_are_named_after_the_modules_and_wait_for_their_depth() -> None:
    net = elastic(
        resnet18(width=8),
        {"layer*.*.conv1": Width((0.5, 1.0), divisor=4), "layer[34]": Depth((1, 2))},
        input_shape=(3, 32, 32),
        resolutions=(32, 24),
        name="my-resnet18",
    )
    choices = {c.name: c for c in net.space.choices}
    assert net.space.name == "my-resnet18" and choices["r"].values == (24, 32)
    assert choices["depth[layer3]"].values == (1, 2) and choices["width[layer3.0.conv1]"].values == (0.5, 1.0)
    assert choices["width[layer3.1.conv1]"].when == When("depth[layer3]", (2,))
    assert choices["width[layer3.0.conv1]"].when is None and choices["width[layer2.1.conv1]"].when is None
    assert net.space.cardinality == 2 * 2**4 * (2 + 4) ** 2
    assert net.input_shape(net.space.smallest()) == (3, 24, 24) and net.classes == 1000


def test_without_resolutions_the_input_is_no_choice() -> None:
    net = elastic(Odd(), {"hidden": Width((0.5, 1.0))}, input_shape=(3, 12, 20))
    assert net.space.names == ("width[hidden]",) and net.space.name == "odd"
    assert net.input_shape(net.space.smallest()) == (3, 12, 20)


def test_shares_that_round_to_the_same_width_are_one_choice() -> None:
    assert Width((0.1, 0.25, 0.5, 1)).choices(32) == {0.25: 8, 0.5: 16, 1: 32}
    assert Width((0.5, 1)).choices(10) == {0.5: 8, 1: 10}
    assert Width((0.5, 1)).choices(6) == {1: 6}
    assert Width((0.5, 1), divisor=1).choices(6) == {0.5: 3, 1: 6}


def test_one_declaration_of_a_tied_group_is_enough_and_equal_ones_are_one_gene() -> None:
    width = Width((0.5, 1.0))
    for pattern in ("layer1.0.conv3", "layer1.?.conv3", "layer1.2.conv3", "layer1.**.conv3"):
        net = elastic(ResNet(Bottleneck, (3, 1, 1, 1), width=8), {pattern: width}, input_shape=(3, 32, 32))
        assert len(net.space.choices) == 1
        subnet = net.subnet(net.space.smallest())
        assert {m.out_channels for n, m in subnet.layer1.named_modules() if n.endswith(("conv3", "downsample.0"))} == {
            16
        }


def test_nested_depths_are_conditional_on_each_other(randomise: Randomise) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3)))
            self.up, self.down = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.down(F.relu(self.up(self.body(x))))

    model = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Sequential(Block(), Block()), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )
    randomise(model)
    declaration = {
        "1": Depth((1, 2)),
        "1.*.body": Depth((1, 3)),
        "1.*.up": Width((0.5, 1.0)),
        "1.*.body.2": KernelSize((1, 3)),
    }
    net = elastic(model, declaration, input_shape=(3, 8, 8)).eval()
    when = {c.name: c.when for c in net.space.choices}
    assert when["depth[1.1.body]"] == when["width[1.1.up]"] == When("depth[1]", (2,))
    assert when["kernel[1.1.body.2]"] == When("depth[1.1.body]", (3,))
    assert when["kernel[1.0.body.2]"] == When("depth[1.0.body]", (3,)) and when["depth[1.0.body]"] is None
    archs = list(net.space.enumerate())
    params = net.params_array(net.space.to_array(archs))
    for arch, count in zip(archs, params, strict=True):
        x, subnet = images(net, arch), net.subnet(arch)
        net.activate(arch)
        with torch.no_grad():
            assert largest_error(subnet(x), net(x)) <= 1e-6
        assert count == sum(p.numel() for p in subnet.parameters())
    assert len({net.subnet(a).__repr__() for a in archs}) == len(archs) == 2 * 3 * (1 + 2 * 3)


def test_a_dropped_child_may_itself_vary_in_depth(randomise: Randomise) -> None:
    """Sequences directly within a sequence: what is dropped is an elastic container."""
    rows = lambda: nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))  # noqa: E731
    model = nn.Sequential(nn.Linear(6, 6), nn.Sequential(rows(), rows()), nn.Linear(6, 3))
    randomise(model)
    net = elastic(model, {"1": Depth((1, 2)), "1.*": Depth((1, 2))}, input_shape=(6,)).eval()
    archs = list(net.space.enumerate())
    assert len(archs) == 2 + 2 * 2
    for arch in archs:
        x, subnet = images(net, arch), net.subnet(arch)
        net.activate(arch)
        with torch.no_grad():
            assert largest_error(subnet(x), net(x)) <= 1e-6
        assert net.params(arch) == sum(p.numel() for p in subnet.parameters())
        assert not any(isinstance(m, (nn.Identity, *ELASTIC_TYPES)) for m in subnet.modules())


def test_the_smallest_subnet_is_extracted_when_it_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(layer: nn.Module, inputs: int) -> nn.Module:
        raise RuntimeError("no such slice")

    monkeypatch.setattr(SlicedBatchNorm2d, "static", broken)
    with pytest.raises(SupernetError, match="the smallest subnet cannot be extracted: no such slice"):
        elastic(resnet18(width=8), {"layer1.0.conv1": HALF}, input_shape=(3, 32, 32))


@pytest.mark.parametrize(
    "step",
    [
        lambda block, x: F.relu(block(x)),
        lambda block, x: x + block(x),
        lambda block, x: F.relu(x + 0.5 * torch.sigmoid(block(x))),
    ],
)
def test_what_a_loop_does_to_a_blocks_output_goes_with_the_block(step: Any, randomise: Randomise) -> None:
    """Equal to the network of fewer blocks with the same weights, in results and in what torch counts."""
    model = Loop(step)
    randomise(model)
    net = elastic(model, {"blocks": Depth((1, 2, 3)), "blocks.*": HALF, "stem": HALF}, input_shape=(3, 6, 6)).eval()
    for arch in net.space.enumerate():
        x, subnet = images(net, arch), net.subnet(arch)
        net.activate(arch)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            found = subnet(x)
        assert net.macs(arch) == counter.get_total_flops() // 2 // len(x)
        assert net.params(arch) == sum(p.numel() for p in subnet.parameters())
        with torch.no_grad():
            assert largest_error(found, net(x)) <= 1e-6
    widest = {c.name: c.values[-1] for c in net.space.choices}
    for depth in (1, 2, 3):
        short = Loop(step, depth)
        short.load_state_dict({k: v for k, v in model.state_dict().items() if k in short.state_dict()})
        arch = net.space.architecture(widest | {"depth[blocks]": depth})
        with torch.no_grad():
            assert torch.equal(net.subnet(arch)(images(net, arch)), short(images(net, arch)))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "computed",
    [
        nn.utils.spectral_norm,
        nn.utils.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.weight_norm,
        lambda conv: prune.l1_unstructured(conv, "weight", 0.5),
        lambda conv: prune.l1_unstructured(conv, "bias", 0.5),
    ],
)
@pytest.mark.parametrize("declared", [{"0": Width((0.5, 1))}, {"1": Width((0.5, 1))}, {"1": KernelSize((1, 3))}])
def test_a_weight_that_is_computed_is_refused_by_name(computed: Any, declared: Any) -> None:
    """Be it declared itself or read what is cut."""
    conv = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
    model = nn.Sequential(conv[0], computed(conv[1]), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(SupernetError, match=r"a weight of '1' is computed .* has to be removed first"):
        elastic(model, declared, input_shape=(3, 6, 6))


@pytest.mark.parametrize("computed", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm])
def test_a_weight_that_is_computed_may_stand_where_nothing_is_cut(computed: Any) -> None:
    conv = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
    model = nn.Sequential(conv[0], computed(conv[1]), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2)).eval()
    net = elastic(model, {"0": KernelSize((1, 3))}, input_shape=(3, 6, 6))
    for arch in net.space.enumerate():
        net.activate(arch)
        with torch.no_grad():
            assert largest_error(net.subnet(arch)(images(net, arch)), net(images(net, arch))) <= 1e-6


def test_outputs_between_which_depth_chooses_have_one_width() -> None:
    """Without residuals: whatever child is the last one, its output goes to the same reader."""
    chain = nn.Sequential(*(nn.Conv2d(3 if i == 0 else 8, 8, 1) for i in range(4)))
    model = nn.Sequential(chain, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    net = elastic(model, {"0": Depth((2, 4)), "0.?": HALF}, input_shape=(3, 4, 4)).eval()
    assert net.space.names == ("depth[0]", "width[0.0]", "width[0.1]", "width[0.2]")
    assert net.space.choices[3].when == When("depth[0]", (4,))
    for arch in net.space.enumerate():
        x, subnet = images(net, arch), net.subnet(arch)
        net.activate(arch)
        with torch.no_grad():
            assert largest_error(subnet(x), net(x)) <= 1e-6
        assert net.params(arch) == sum(p.numel() for p in subnet.parameters())


def test_a_network_that_is_itself_a_sequence_can_vary_in_depth() -> None:
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(3)))
    net = elastic(model, {"": Depth((1, 2, 3))}, input_shape=(6,))
    assert list(net.space.names) == ["depth[network]"]
    assert len(net.subnet(net.space.smallest())) == 1 and net.params(net.space.smallest()) == 42


# ---------------------------------------------------------------------- weights
def test_the_state_dict_is_that_of_the_network(pair: tuple[nn.Module, ElasticModule], randomise: Randomise) -> None:
    model, net = pair
    own = model.state_dict()
    assert {k: v.shape for k, v in net.state_dict().items()} == {k: v.shape for k, v in own.items()}
    other = copy.deepcopy(model)
    randomise(other, seed=5)
    before = {k: v.clone() for k, v in own.items()}
    load_weights(net, other.state_dict(), "a test")
    x = images(net, net.space.largest())
    with torch.no_grad():
        assert torch.equal(net(x), other(x))
    load_weights(net, before, "a test")
    assert digest(net) == digest(model)
    with pytest.raises(CheckpointError, match=r"does not fit ElasticModule: tensors 1 missing .* 1 unknown \(extra\)"):
        load_weights(net, {**dict(list(before.items())[1:]), "extra": torch.zeros(1)}, "a test")


def test_a_child_called_model_keeps_its_name() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))

        def forward(self, x: Tensor) -> Tensor:
            return self.model(x)

    model = Wrapper()
    net = elastic(model, {"model.0": Width((0.5, 1.0), divisor=1)}, input_shape=(4,))
    assert list(net.state_dict()) == list(model.state_dict())
    net.load_state_dict(model.state_dict())
    nested = nn.ModuleDict({"a": net})
    assert list(nested.state_dict()) == [f"a.{k}" for k in model.state_dict()]
    nested.load_state_dict(nested.state_dict())


def test_training_reaches_the_slices_and_nothing_else(randomise: Randomise) -> None:
    net = make("resnet18", randomise)[1].train()
    arch = with_genes(net, **{"width[layer2.0.conv1]": 0.25, "depth[layer3]": 1})
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.activate(arch)
    net(images(net, arch, 4)).square().sum().backward()
    grads = {k.removeprefix("model."): p.grad for k, p in net.named_parameters()}
    assert grads["layer3.1.conv1.weight"] is None
    rows = grads["layer2.0.conv1.weight"].flatten(1).abs().sum(1)
    assert bool((rows[:8] > 0).all()) and not rows[8:].any()
    columns = grads["layer2.0.conv2.weight"].abs().sum((0, 2, 3))
    assert bool((columns[:8] > 0).all()) and not columns[8:].any()
    after = net.state_dict()
    for statistic in ("running_mean", "running_var"):
        changed = after[f"layer2.0.bn1.{statistic}"] != before[f"layer2.0.bn1.{statistic}"]
        assert bool(changed[:8].all()) and not changed[8:].any()
        assert torch.equal(after[f"layer3.1.bn1.{statistic}"], before[f"layer3.1.bn1.{statistic}"])
    assert int(after["layer2.0.bn1.num_batches_tracked"]) == int(before["layer2.0.bn1.num_batches_tracked"]) + 1


def test_statistics_follow_torch_with_and_without_momentum(randomise: Randomise) -> None:
    """The largest subnet in training mode ends with the same statistics as the network itself."""
    model, net = make("odd", randomise)
    model.drop.p = net.model.drop.p = 0.0
    x = images(net, net.space.largest(), 4)
    for _ in range(2):
        assert torch.equal(net.train()(x), model.train()(x))
    assert digest(net) == digest(model)


def test_recalibration_works_on_a_subnet(odd: ElasticModule) -> None:
    rng = np.random.default_rng(0)
    data = from_arrays(
        rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8), np.arange(40) % 5, tuple("abcde"), Preprocess()
    )
    arch = with_genes(odd, r=12, **{"width[wide.0]": 0.5})
    subnet = odd.subnet(arch)
    recalibrate(subnet, data, 12, batch=20)
    norm = subnet.wide[1]
    seen: list[Tensor] = []
    norm.register_forward_pre_hook(lambda m, i: seen.append(i[0]))
    with torch.no_grad():
        subnet(torch.cat([x for x, _ in data.batches(12, 20)]))
    torch.testing.assert_close(norm.running_mean, seen[0].mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


def without_bias(layer: nn.Module) -> nn.Module:
    layer.register_parameter("bias", None)
    return layer


LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv2d(8, 8, 5, padding="same"), (6, 7, 7)),
    (nn.Conv2d(8, 8, 5, 2, 4, dilation=2, bias=False), (6, 9, 9)),
    (nn.Conv2d(8, 8, 3, padding=(1, 2), groups=8), (6, 5, 5)),
    (nn.Linear(8, 8, bias=False), (3, 6)),
    (nn.BatchNorm2d(8, affine=False), (6, 4, 4)),
    (nn.BatchNorm2d(8, track_running_stats=False), (6, 4, 4)),
    (nn.BatchNorm1d(8, eps=0.1), (6,)),
    (without_bias(nn.BatchNorm2d(8)), (6, 4, 4)),
    (nn.LayerNorm(8, elementwise_affine=False), (3, 6)),
    (nn.LayerNorm(8, bias=False, eps=0.1), (3, 6)),
    (nn.GroupNorm(4, 8, affine=False), (6, 3)),
]


@pytest.mark.parametrize(("source", "shape"), LAYERS, ids=lambda v: repr(v) if isinstance(v, nn.Module) else "")
def test_each_option_of_a_layer_is_kept(source: nn.Module, shape: tuple[int, ...], randomise: Randomise) -> None:
    """The elastic layer, the static one, and for convolutions the zero-padded weights that torch is given."""
    if getattr(source, "running_mean", source) is not None:
        randomise(source)
    layer: Any = SLICED[type(source)](copy.deepcopy(source).eval())
    chosen = {"outputs": 4} if isinstance(source, nn.Linear) else {}
    if isinstance(source, nn.Conv2d):
        chosen = {"outputs": 6 if source.groups > 1 else 4, "crop": 1}
    for name, value in chosen.items():
        setattr(layer, name, value)
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))
    static = layer.static(6, **chosen)
    assert type(static) is type(source) and not static.training
    assert static.state_dict().keys() == layer.state_dict().keys() == source.state_dict().keys()
    with torch.no_grad():
        expected = layer(x)
        assert torch.equal(static(x), expected)
        if isinstance(source, nn.Conv2d):
            whole = copy.deepcopy(source)
            whole.weight[:, :, [0, -1]] = whole.weight[:, :, :, [0, -1]] = 0
            padded = torch.cat([x, torch.zeros(5, 2, *shape[1:])], 1)
            torch.testing.assert_close(expected, whole(padded)[:, : chosen["outputs"]], rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------------- importance
def importance_kept(net: ElasticModule, reader: str, n: int) -> float:
    weight = net.state_dict()[f"{reader}.weight"].abs()
    weight = weight.sum([d for d in range(weight.ndim) if d != 1])
    return float(weight[:n].sum() / weight.sum())


@pytest.mark.parametrize(
    ("name", "readers"),
    [
        ("resnet18", {"layer1.0.conv2": 8, "layer4.1.conv2": 32}),
        ("resnet50", {"layer3.2.conv2": 32, "layer3.2.conv3": 32}),
        ("mobilenet-v2", {"features.4.conv.2": 48}),
        ("odd", {"blocks.2.down": 8, "head": 16, "gate.excite": 8}),
    ],
)
def test_sorting_keeps_the_function_and_gives_small_subnets_what_matters(
    name: str, readers: dict[str, int], randomise: Randomise
) -> None:
    model, net = make(name, randomise)
    before = {r: importance_kept(net, r, n) for r, n in readers.items()}
    net.sort_channels()
    x = images(net, net.space.largest())
    with torch.no_grad():
        assert largest_error(net(x), model(x)) <= 1e-5
    assert digest(net) != digest(model)
    for reader, n in readers.items():
        assert importance_kept(net, reader, n) > before[reader]
        weight = net.state_dict()[f"{reader}.weight"].abs()
        sums = weight.double().sum([d for d in range(weight.ndim) if d != 1])
        assert bool((sums.diff() <= 0).all())
    arch = net.space.smallest()
    net.activate(arch)
    y = images(net, arch)
    with torch.no_grad():
        assert largest_error(net.subnet(arch)(y), net(y)) <= 1e-6


def test_sorting_keeps_the_channels_of_a_group_norm_together() -> None:
    weight = torch.tensor([[1.0, 1, 5, 0, 2, 2]])
    names = torch.arange(6.0)
    order = sort_by_importance([(names, 0)], [(weight, 1)], block=2)
    assert order.tolist() == [2, 3, 4, 5, 0, 1] and names.tolist() == [2, 3, 4, 5, 0, 1]


# ---------------------------------------------------------------------- errors
class Small(nn.Module):
    """`last` of a small network is given; before it lie 8 channels of 4×4 pixels."""

    def __init__(self, last: Callable[[nn.Module, Tensor], Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.head = nn.Linear(8, 2)
        for name, module in modules.items():
            self.add_module(name, module)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self, self.conv(x))


def pooled(net: Any, x: Tensor) -> Tensor:
    return net.head(x.mean((2, 3)))


HALF = Width((0.5, 1.0), divisor=1)


def turned(net: Any, x: Tensor) -> Tensor:
    """Axes go round and come back, by arguments of every form."""
    x = x.transpose(1, 3).transpose(-1, 1).permute(0, 2, 3, 1).permute((0, 3, 1, 2))
    x = torch.transpose(x, 1, 2).transpose(2, 1).unsqueeze(-1).squeeze(-1)
    return net.head(x.flatten(2).sum(axis=-1).reshape(x.shape[0], -1))


def test_a_width_follows_its_axis() -> None:
    net = elastic(Small(turned), {"conv": HALF}, input_shape=(3, 4, 4))
    arch = net.space.smallest()
    net.activate(arch)
    x = images(net, arch)
    with torch.no_grad():
        assert largest_error(net.subnet(arch)(x), net(x)) <= 1e-6
    assert net.params(arch) == 4 * 28 + 2 * 5


CANNOT = {
    "named arguments": (
        Small(lambda n, x: pooled(n, x.transpose(dim0=1, dim1=2).transpose(1, 2))),
        "'conv' cannot have an elastic width: the operation 'transpose' .* cannot be cut",
    ),
    "grouped": (
        Small(lambda n, x: pooled(n, n.grouped(x)), grouped=nn.Conv2d(8, 8, 1, groups=2)),
        r"'conv' cannot have an elastic width: 'grouped' is a grouped convolution \(2 groups\)",
    ),
    "cat": (
        Small(lambda n, x: pooled(n, n.back(torch.cat([x, x], 1))), back=nn.Conv2d(16, 8, 1)),
        "'conv' cannot have an elastic width: the operation 'cat' in the network's forward cannot be cut",
    ),
    "flatten": (
        Small(lambda n, x: n.wide(torch.flatten(x, 1)), wide=nn.Linear(128, 2)),
        "'conv' cannot have an elastic width: the operation 'flatten' in the network's forward mixes axes of 8 × 4 × 4",
    ),
    "flatten layer": (
        Small(lambda n, x: n.wide(n.flat(x)), flat=nn.Flatten(), wide=nn.Linear(128, 2)),
        "'conv' cannot have an elastic width: .* in 'flat' mixes axes of 8 × 4 × 4",
    ),
    "reshape": (
        Small(lambda n, x: pooled(n, x.reshape(-1, 2, 4, 4, 4).transpose(1, 2).reshape(-1, 8, 4, 4))),
        "'conv' cannot have an elastic width: the operation 'reshape' .* mixes axes of 8",
    ),
    "fixed view": (
        Small(lambda n, x: n.head(x.mean((2, 3)).view(-1, 8))),
        "'conv' cannot have an elastic width: the operation 'view' .* asks for 8",
    ),
    "chunk": (
        Small(lambda n, x: n.part(x.chunk(2, 1)[0].mean((2, 3))), part=nn.Linear(4, 2)),
        "'conv' cannot have an elastic width: the operation 'chunk' .* cannot be cut",
    ),
    "output": (Small(lambda n, x: x.mean((2, 3))), "'conv' cannot have an elastic width: .* the network's output"),
    "parameter": (
        Small(lambda n, x: pooled(n, x * n.holder.weight.view(1, 8, 1, 1)), holder=nn.LayerNorm(8)),
        "'conv' cannot have an elastic width: the tensor 'holder.weight' is used by itself",
    ),
    "parameter first": (
        Small(lambda n, x: pooled(n, n.holder.weight.view(1, 8, 1, 1) * x), holder=nn.LayerNorm(8)),
        "'conv' cannot have an elastic width: the tensor 'holder.weight' is used by itself",
    ),
    "padding": (
        Small(lambda n, x: pooled(n, n.mirror(x)), mirror=nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")),
        "'conv' cannot have an elastic width: 'mirror' pads by 'reflect'",
    ),
    "layer": (
        Small(lambda n, x: pooled(n, n.up(x)), up=nn.ConvTranspose2d(8, 8, 2, 2)),
        "'conv' cannot have an elastic width: 'up', a layer of type ConvTranspose2d, cannot be cut",
    ),
    "index": (
        Small(lambda n, x: n.one(x[:, :1].mean((2, 3))), one=nn.Linear(1, 2)),
        "'conv' cannot have an elastic width: the operation 'getitem' .* cannot be cut",
    ),
    "matrices": (
        Small(
            lambda n, x: n.square(torch.bmm(x.flatten(2), x.flatten(2).transpose(1, 2)).mean(2)), square=nn.Linear(8, 2)
        ),
        "'conv' cannot have an elastic width: the operation 'bmm' .* cannot be cut",
    ),
}


@pytest.mark.parametrize("case", CANNOT)
def test_a_width_that_cannot_be_cut_names_module_and_reason(case: str) -> None:
    model, message = CANNOT[case]
    with pytest.raises(SupernetError, match=message):
        elastic(model, {"conv": HALF}, input_shape=(3, 4, 4))


class Dense(nn.Module):
    """The result is the product of what all blocks give."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        total = x
        for block in self.blocks:
            x = F.relu(block(x))
            total = total * x
        return total.mean((2, 3))


class Loop(nn.Module):
    """Blocks in a list, and what its loop does to the output of each."""

    def __init__(self, step: Callable[[nn.Module, Tensor], Tensor], depth: int = 3) -> None:
        super().__init__()
        self.step = step
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 2)
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = self.step(block, x)
        return self.head(x.mean((2, 3)))


class Twice(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(super().forward(x)).mean((2, 3))


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Linear(3, 2)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.a(self.b(x)).mean((2, 3)))


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks[1](self.blocks[0](x)).mean((2, 3))


class Up(nn.Module):
    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.up, self.gate, self.down = nn.Conv2d(3, 8, 1), gate, nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.gate(self.up(x)))


class TwoDepths(nn.Module):
    """Blocks of two sequences share a gate, and so a width."""

    def __init__(self) -> None:
        super().__init__()
        gate = nn.BatchNorm2d(8, affine=False)
        self.a = nn.Sequential(nn.Identity(), Up(gate))
        self.b = nn.Sequential(nn.Identity(), Up(gate))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x)).mean((2, 3))


def stages(*children: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Sequential(*children), nn.AdaptiveAvgPool2d(1), nn.Flatten())


DECLARATIONS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], str]] = {
    "no such module": (
        lambda: resnet18(width=8),
        {"layer1.0.conv9": HALF},
        r"has no module 'layer1.0.conv9'. Did you mean 'layer1.0.conv[12]'\?",
    ),
    "a star ends at a dot": (lambda: resnet18(width=8), {"*.conv1": HALF}, r"has no module '\*.conv1'"),
    "wrong kind": (
        lambda: resnet18(width=8),
        {"layer1.0.bn1": HALF},
        "'layer1.0.bn1', of type BatchNorm2d, but Width is for Conv2d and Linear",
    ),
    "depth of a block": (lambda: resnet18(width=8), {"layer1.0": Depth((1, 2))}, "type BasicBlock, but Depth is for"),
    "no choice": (lambda: resnet18(width=8), {"layer1": (1, 2)}, "1 is not a Width, Depth or KernelSize"),
    "a number": (lambda: resnet18(width=8), {"layer1": 2}, "2 is not a Width, Depth or KernelSize"),
    "empty": (lambda: resnet18(width=8), {}, "the declaration is empty"),
    "deeper than it is": (
        lambda: resnet18(width=8),
        {"layer1": Depth((1, 3))},
        "'layer1': the largest depth is 3, but there are 2 children",
    ),
    "never whole": (lambda: resnet50(width=8), {"layer1": Depth((1, 2))}, "largest depth is 2, but there are 3"),
    "children that are not there": (
        lambda: resnet18(width=8),
        {"layer1": Depth((1, 2), children=range(1, 3))},
        "'layer1' has 2 children",
    ),
    "depths that overlap": (
        lambda: resnet50(width=8),
        {"layer1": [Depth((1, 2, 3)), Depth((1, 2), children=range(1, 3))]},
        "'layer1' and 'layer1.1-2' are depths declared for the same children",
    ),
    "a depth that changes the shape": (
        lambda: stages(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 1)),
        {"0": Depth((1, 2))},
        r"'0' cannot vary in depth: after 1 children the output is \(1, 4, 32, 32\), after all of them \(1, 8, 32, 32\)",
    ),
    "a depth that is no chain": (
        lambda: Dense(),
        {"blocks": Depth((1, 3))},
        "'blocks' cannot vary in depth: 'blocks.1' is not the only one that takes the output of 'blocks.0'",
    ),
    "a depth between whose blocks is more": (
        lambda: Loop(lambda block, x: F.max_pool2d(block(x), 3, 1, 1)),
        {"blocks": Depth((1, 3))},
        "'blocks.1' does not take the output of 'blocks.0', or between them stands more than element-wise operations",
    ),
    "a depth called twice": (
        lambda: stages(*[nn.Conv2d(3, 3, 1)] * 2),
        {"0": Depth((1, 2))},
        "'0' cannot vary in depth: '0.0' is called 2 times, not once",
    ),
    "a sequence with a forward": (
        lambda: Twice(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)),
        {"": Depth((1, 2))},
        "forward of its own",
    ),
    "a shared weight": (Shared, {"a": HALF}, "'a.weight' and 'b.weight' are one weight"),
    "code that counts on what was cut": (Counts, {"blocks": Depth((1, 2))}, "smallest subnet does not run"),
    "widths under different depths": (
        lambda: TwoDepths(),
        {"a": Depth((1, 2)), "b": Depth((1, 2)), "a.1.up": HALF},
        r"'width\[a.1.up\]' is the width of 'a.1.up', 'b.1.up', which depend on different depths",
    ),
    "kernel too large": (lambda: resnet18(width=8), {"conv1": KernelSize((3, 9))}, "'conv1' has a kernel of 7×7.*9×9"),
    "kernel of other parity": (
        lambda: resnet18(width=8),
        {"conv1": KernelSize((4, 7))},
        "'conv1': a kernel of 4 is not",
    ),
    "kernel without padding": (
        lambda: stages(nn.Conv2d(3, 4, 3)),
        {"0.0": KernelSize((1, 3))},
        "'0.0': a kernel of 1 would change the output's size",
    ),
    "two kernels": (
        lambda: resnet18(width=8),
        {"conv1": KernelSize((3, 7)), "conv?": KernelSize((5, 7))},
        r"'conv1' has two different declarations, kernels \(3, 7\) and \(5, 7\)",
    ),
    "tied but different": (
        lambda: resnet50(width=8),
        {"layer1.0.conv3": HALF, "layer1.1.conv3": Width((0.25, 1.0))},
        "'layer1.0.conv3' and 'layer1.1.conv3' share one width, but are declared as",
    ),
    "same module, different": (
        lambda: resnet50(width=8),
        {"layer1.0.conv1": HALF, "layer1.?.conv1": Width((0.25, 1.0))},
        "'layer1.0.conv1' and 'layer1.0.conv1' share one width",
    ),
    "groups of a norm": (Odd, {"stem.0": Width((0.1, 1.0), divisor=1)}, "'stem.1' normalises groups of 4"),
    "not called": (
        lambda: Small(lambda n, x: pooled(n, x), unused=nn.Linear(8, 8)),
        {"unused": HALF},
        r"'unused' \(torch.nn.modules.linear.Linear\) is not a plain torch.nn layer that the network's forward calls",
    ),
}


@pytest.mark.parametrize("case", DECLARATIONS)
def test_a_declaration_that_fits_nothing_says_what_is_wrong(case: str) -> None:
    model, declaration, message = DECLARATIONS[case]
    with pytest.raises(SupernetError, match=message):
        elastic(model(), declaration, input_shape=(3, 32, 32))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Width(()), "Width takes one or more numbers, not \\(\\)"),
        (lambda: Width(0.5), "Width takes one or more numbers, not 0.5"),
        (lambda: Depth((1, 2.5)), "Depth takes one or more whole numbers"),
        (lambda: KernelSize("35"), "KernelSize takes one or more whole numbers, not '35'"),
        (lambda: Width((0.0, 1.0)), "shares lie above 0"),
        (lambda: Width((0.5, 0.75)), "the largest is 1.0"),
        (lambda: Width((0.5, 1.5)), "the largest is 1.0"),
        (lambda: Width((1.0,), divisor=0), "divisor is at least 1"),
        (lambda: Depth((0, 1)), "at least one child is kept"),
        (lambda: Depth((1, 2), children=range(0, 4, 2)), "a range without gaps"),
        (lambda: Depth((1, 2), children=(4, 5)), "a range without gaps"),  # type: ignore[arg-type]
        (lambda: KernelSize((0, 3)), "a side of at least 1"),
    ],
)
def test_choices_that_make_no_sense_are_refused(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(SupernetError, match=message):
        wrong()


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Branches(), {}, "Branches cannot be traced by torch.fx: .* Python that branches"),
        (Pair(), {}, "Pair gives tuple, expected one tensor"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(12, 2)),
            {"input_shape": (3, 4, 4)},
            r"not run on an input of shape \(3, 4, 4\)",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(48, 2)),
            {"input_shape": (3, 4, 4), "resolutions": (2, 4)},
            r"does not run on an input of shape \(3, 2, 2\)",
        ),
        (
            Odd(),
            {"input_shape": (3, 8, 6), "resolutions": (8,)},
            r"sides of square images, but the input shape is \(3, 8, 6\)",
        ),
    ],
)
def test_a_network_that_cannot_be_traced_or_run_is_refused(model: nn.Module, options: Any, message: str) -> None:
    with pytest.raises(SupernetError, match=message):
        elastic(model, {}, **options)


# ---------------------------------------------------------------------- any declaration of a random network
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_random_networks_keep_the_contract(seed: int, randomise: Randomise) -> None:
    """A chain of random layers with residual adds, gates and norms; every convolution is declared where that is possible."""
    rng = np.random.default_rng(seed)
    model = Chain(rng)
    randomise(model, seed % 1000)
    net = elastic(model.eval(), {"layers.*": [HALF]}, input_shape=(3, 9, 9), resolutions=(5, 9), name="chain").eval()
    archs = [net.space.largest(), net.space.smallest(), *net.space.sample(2, rng)]
    costs = net.macs_array(net.space.to_array(archs)), net.params_array(net.space.to_array(archs))
    with torch.no_grad():
        assert torch.equal(net(images(net, archs[0])), model(images(net, archs[0])))
    for arch, macs, params in zip(archs, *costs, strict=True):
        net.activate(arch)
        x, subnet = images(net, arch, 1), net.subnet(arch)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            found = subnet(x)
        assert counter.get_total_flops() // 2 == macs and sum(p.numel() for p in subnet.parameters()) == params
        with torch.no_grad():
            assert torch.allclose(found, net(x), rtol=1e-5, atol=1e-6)


class Chain(nn.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        layers, self.kinds, width = [], [], 3
        for _ in range(int(rng.integers(2, 7))):
            kind = rng.choice(["conv", "residual", "depthwise", "norm", "gate"])
            wide = int(rng.integers(2, 12)) if kind == "conv" else width
            make = {
                "conv": lambda a, b: nn.Conv2d(a, b, 3, int(rng.integers(1, 3)), 1),
                "residual": lambda a, b: nn.Conv2d(a, b, 3, padding=1),
                "depthwise": lambda a, b: nn.Conv2d(a, b, 3, padding=1, groups=a),
                "norm": lambda a, b: nn.BatchNorm2d(b) if rng.random() < 0.5 else nn.GroupNorm(b, b),
                "gate": lambda a, b: nn.Conv2d(a, b, 1),
            }
            if width == 3 and not layers:  # what is tied to the input cannot be cut
                kind, wide = "conv", int(rng.integers(4, 12))
            layers.append(make[kind](width, wide))
            self.kinds.append(kind)
            width = wide
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        for kind, layer in zip(self.kinds, self.layers, strict=True):
            y = layer(x)
            if kind == "residual":
                y = F.relu(x + y)
            elif kind == "gate":
                y = x * torch.sigmoid(y.mean((2, 3), keepdim=True))
            x = y
        return self.head(x.mean((2, 3)))
