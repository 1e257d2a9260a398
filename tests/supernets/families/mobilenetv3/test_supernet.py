"""The elastic MobileNetV3: published sizes, an independent count, and subnets that equal the activated supernet.

Published: Once-for-All (Cai et al., 2020, arXiv 1908.09791) with the authors' counters, and three rows of the
measurements of DyNAS-T (Intel, Apache-2.0, notebooks/data/mbnv3w10_*.csv).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from hwsearch.errors import SpaceError, SupernetError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3


@pytest.fixture(scope="module")
def ofa(ofa_config: MobileNetV3Config) -> ElasticMobileNetV3:
    with torch.device("meta"):  # shapes only
        return ElasticMobileNetV3(ofa_config).eval()


@pytest.fixture(scope="module")
def ofa_wide(ofa_config: MobileNetV3Config) -> ElasticMobileNetV3:
    """Width multiplier 1.2."""
    widths = (32, 48, 96, 136, 192)
    stages = tuple(replace(s, width=w) for s, w in zip(ofa_config.stages, widths, strict=True))
    with torch.device("meta"):
        return ElasticMobileNetV3(
            replace(ofa_config, name="ofa-w1.2", stages=stages, stem_width=24, final_width=1152, mix_width=1536)
        )


def same(space: SearchSpace, kernel: int, expansion: int, depth: int, side: int = 224) -> Architecture:
    """The architecture with one kernel, expansion and depth everywhere."""
    value = {"ks": kernel, "e": expansion, "d": depth, "r": side}
    return space.architecture({n: value[n.partition("[")[0]] for n in space.names})


def counted_macs(net: torch.nn.Module, shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates that torch's own counter sees in one forward pass."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net.to("meta")(torch.zeros(1, *shape, device="meta"))
    return counter.get_total_flops() // 2


# ---------------------------------------------------------------------- published numbers
@pytest.mark.parametrize(
    ("kernel", "expansion", "depth", "params", "millions", "params_wide", "millions_wide"),
    [
        (7, 6, 4, 7_664_760, 566.17, 10_701_632, 843.10),
        (5, 4, 3, 4_551_792, 250.75, 6_245_312, 385.66),
        (3, 3, 2, 3_410_792, 121.28, 4_602_456, 193.08),
    ],
)
def test_sizes_are_the_published_ones(
    ofa: ElasticMobileNetV3,
    ofa_wide: ElasticMobileNetV3,
    kernel: int,
    expansion: int,
    depth: int,
    params: int,
    millions: float,
    params_wide: int,
    millions_wide: float,
) -> None:
    for net, p, m in ((ofa, params, millions), (ofa_wide, params_wide, millions_wide)):
        arch = same(net.space, kernel, expansion, depth)
        assert net.params(arch) == p
        assert round(net.macs(arch) / 1e6, 2) == m


@pytest.mark.parametrize(
    ("side", "largest", "smallest"), [(128, 188.25, 41.48), (160, 291.32, 63.24), (192, 417.29, 89.84)]
)
def test_macs_at_other_resolutions_are_the_published_ones(
    ofa: ElasticMobileNetV3, side: int, largest: float, smallest: float
) -> None:
    assert round(ofa.macs(same(ofa.space, 7, 6, 4, side)) / 1e6, 2) == largest
    assert round(ofa.macs(same(ofa.space, 3, 3, 2, side)) / 1e6, 2) == smallest


@pytest.mark.parametrize(
    ("ks", "e", "d", "params", "macs"),
    [
        ("57553337553773335555", "43444634434336664344", "23243", 5_029_656, 255_502_624),
        ("33777573755535535755", "44644464364436466644", "34344", 6_186_272, 355_624_832),
        ("75753557575535777557", "66646666444364636466", "43443", 5_711_024, 402_927_712),
    ],
)
def test_sizes_of_mixed_subnets_are_the_published_ones(
    ofa: ElasticMobileNetV3, ks: str, e: str, d: str, params: int, macs: int
) -> None:
    genes = {"r": 224}
    for kind, values in (("ks", ks), ("e", e), ("d", d)):
        genes |= {f"{kind}[{i}]": int(v) for i, v in enumerate(values)}
    arch = ofa.space.architecture(genes)
    assert (ofa.params(arch), ofa.macs(arch)) == (params, macs)


def test_cardinality_is_the_published_one(ofa_config: MobileNetV3Config) -> None:
    space = replace(ofa_config, resolutions=(224,)).search_space()
    assert len(space.names) == 46 and space.sizes.tolist() == [1] + 45 * [3]
    assert space.cardinality == 7371**5 == 21_758_655_492_572_485_851
    assert ofa_config.search_space().cardinality == 25 * 7371**5


def test_state_dict_is_that_of_the_published_files(ofa: ElasticMobileNetV3, ofa_wide: ElasticMobileNetV3) -> None:
    state = ofa.state_dict()
    assert len(state) == 475
    assert sum(p.numel() for p in ofa.parameters()) == 7_678_880
    assert sum(p.numel() for p in ofa_wide.parameters()) == 10_715_752
    expected = {
        "first_conv.conv.weight": (16, 3, 3, 3),
        "first_conv.bn.running_var": (16,),
        "blocks.0.conv.depth_conv.conv.weight": (16, 1, 3, 3),
        "blocks.0.conv.point_linear.bn.num_batches_tracked": (),
        "blocks.1.conv.inverted_bottleneck.conv.conv.weight": (96, 16, 1, 1),
        "blocks.5.conv.depth_conv.conv.conv.weight": (144, 1, 7, 7),
        "blocks.5.conv.depth_conv.conv.7to5_matrix": (25, 25),
        "blocks.20.conv.depth_conv.conv.5to3_matrix": (9, 9),
        "blocks.5.conv.depth_conv.se.fc.reduce.weight": (40, 144, 1, 1),
        "blocks.17.conv.depth_conv.se.fc.expand.bias": (672,),
        "blocks.20.conv.depth_conv.bn.bn.running_mean": (960,),
        "blocks.20.conv.point_linear.conv.conv.weight": (160, 960, 1, 1),
        "final_expand_layer.conv.weight": (960, 160, 1, 1),
        "feature_mix_layer.conv.weight": (1280, 960, 1, 1),
        "classifier.linear.weight": (1000, 1280),
        "classifier.linear.bias": (1000,),
    }
    assert {k: tuple(state[k].shape) for k in expected} == expected


# ---------------------------------------------------------------------- independent counts
def test_vectorised_costs_equal_those_of_torch(
    small_supernet: ElasticMobileNetV3, ofa_config: MobileNetV3Config
) -> None:
    for net, n in ((small_supernet, 12), (ElasticMobileNetV3(ofa_config).eval(), 4)):
        rows = net.space.sample_array(n, np.random.default_rng(3))
        macs, params = net.macs_array(rows), net.params_array(rows)
        for k, arch in enumerate(net.space.from_array(rows)):
            subnet = net.subnet(arch)
            assert params[k] == net.params(arch) == sum(p.numel() for p in subnet.parameters())
            assert macs[k] == net.macs(arch) == counted_macs(subnet, net.input_shape(arch))


def test_cost_features_add_up(small_supernet: ElasticMobileNetV3) -> None:
    archs = small_supernet.space.sample(10, np.random.default_rng(0))
    costs = small_supernet.cost_features(small_supernet.space.to_array(archs))
    fixed = costs["macs"] - sum(costs[f"macs_stage{s}"] for s in range(2))
    by_side = {a["r"]: f for a, f in zip(archs, fixed, strict=True)}
    assert [by_side[a["r"]] for a in archs] == fixed.tolist() and min(by_side.values()) > 0
    assert costs["blocks"].tolist() == [a.integer("d[0]") + a.integer("d[1]") for a in archs]
    assert np.allclose(costs["log_macs"], np.log(small_supernet.macs_array(small_supernet.space.to_array(archs))))
    values, names = small_supernet.features(archs)
    assert values.shape == (10, len(names)) and len(set(names)) == len(names)
    assert np.array_equal(values[:, names.index("params")], costs["params"])


def test_activations_are_those_that_the_convolutions_write(small_supernet: ElasticMobileNetV3) -> None:
    for arch in small_supernet.space.sample(4, np.random.default_rng(5)):
        net = small_supernet.subnet(arch)
        written: list[int] = []
        for name, module in net.named_modules():
            if isinstance(module, torch.nn.Conv2d) and ".se." not in name:
                module.register_forward_hook(lambda m, x, y, written=written: written.append(y[0].numel()))
        with torch.no_grad():
            net(torch.zeros(1, *small_supernet.input_shape(arch)))
        assert small_supernet.cost_features(small_supernet.space.to_array([arch]))["activations"][0] == sum(written)


# ---------------------------------------------------------------------- the contract of a supernet
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_subnets_equal_the_activated_supernet(seed: int, contract_net: ElasticMobileNetV3) -> None:
    net = contract_net
    (arch,) = net.space.sample(1, np.random.default_rng(seed))
    x = torch.randn(3, *net.input_shape(arch), generator=torch.Generator().manual_seed(seed))
    net.activate(arch)
    with torch.no_grad():
        expected, found = net(x), net.subnet(arch)(x)
    assert expected.shape == (3, 4) and float(expected.std(0).max()) > 1e-3
    assert float((found - expected).abs().max()) <= 1e-6 * max(1.0, float(expected.abs().max()))


@pytest.fixture(scope="module")
def contract_net(randomise: Callable[..., None]) -> ElasticMobileNetV3:
    stages = (Stage(8, 1, "relu", False), Stage(16, 2, "h_swish", True), Stage(24, 2, "relu6", False))
    net = ElasticMobileNetV3(
        MobileNetV3Config(
            "contract", stages, 8, 1, 32, 48, 4, expansions=(2, 3, 4), depths=(1, 2), resolutions=(12, 15, 16)
        )
    )
    randomise(net)
    return net.eval()


def test_all_extremes_equal_the_activated_supernet(small_supernet: ElasticMobileNetV3) -> None:
    space = small_supernet.space
    for arch in (space.smallest(), space.largest()):
        x = torch.randn(2, *small_supernet.input_shape(arch), generator=torch.Generator().manual_seed(1))
        small_supernet.activate(arch)
        with torch.no_grad():
            expected, found = small_supernet(x), small_supernet.subnet(arch)(x)
        assert float((found - expected).abs().max()) <= 1e-6 * float(expected.abs().max())


def test_a_fresh_supernet_is_set_to_its_largest_subnet(small_supernet: ElasticMobileNetV3) -> None:
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    fresh = small_supernet(x)
    small_supernet.activate(small_supernet.space.smallest())
    assert not torch.allclose(small_supernet(x), fresh)
    small_supernet.activate(small_supernet.space.largest())
    assert torch.equal(small_supernet(x), fresh)


def test_a_subnet_shares_nothing_with_its_supernet(small_supernet: ElasticMobileNetV3) -> None:
    subnet = small_supernet.subnet(small_supernet.space.largest())
    mine = {v.untyped_storage().data_ptr() for v in subnet.state_dict().values()}
    theirs = {v.untyped_storage().data_ptr() for v in small_supernet.state_dict().values()}
    assert not mine & theirs
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    before = subnet(x)
    with torch.no_grad():
        for value in small_supernet.state_dict().values():
            value.zero_()
    assert torch.equal(subnet(x), before) and float(before.detach().std()) > 0
    assert not any(isinstance(m, ElasticMobileNetV3) for m in subnet.modules())


def test_a_subnet_keeps_the_mode_of_its_supernet(small_supernet: ElasticMobileNetV3) -> None:
    arch = small_supernet.space.smallest()
    assert not any(m.training for m in small_supernet.subnet(arch).modules())
    assert all(m.training for m in small_supernet.train().subnet(arch).modules())


def test_architectures_of_another_space_are_refused(small_supernet: ElasticMobileNetV3) -> None:
    other = SearchSpace("other", small_supernet.space.choices).smallest()
    for use in (small_supernet.activate, small_supernet.subnet, small_supernet.macs):
        with pytest.raises(SpaceError, match="'other', not"):
            use(other)


def test_a_config_survives_a_dict(ofa_config: MobileNetV3Config) -> None:
    data = asdict(ofa_config)
    data["kernels"] = list(data["kernels"])
    assert MobileNetV3Config.from_dict(data) == ofa_config
    for wrong in (data | {"colour": 1}, {"name": "x"}, data | {"stages": [{"width": 8}]}):
        with pytest.raises(SupernetError, match="not a MobileNetV3 configuration"):
            MobileNetV3Config.from_dict(wrong)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(SupernetError, match="'gelu' is not one of relu, h_swish, relu6"):
        ElasticMobileNetV3(MobileNetV3Config("x", (Stage(8, 1, "gelu", False),)))


def test_initial_weights_depend_on_the_seed_alone(
    small_supernet: ElasticMobileNetV3, randomise: Callable[..., None]
) -> None:
    def weights(seed: int, before: int) -> torch.Tensor:
        randomise(small_supernet, before)
        init_weights(small_supernet, seed)
        return torch.cat(
            [m.weight.detach().flatten() for m in small_supernet.modules() if isinstance(m, torch.nn.Conv2d)]
        )

    assert torch.equal(weights(1, 0), weights(1, 5))
    assert not torch.equal(weights(1, 0), weights(2, 0))
