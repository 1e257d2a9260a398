"""Elastic ResNet-50-D: published sizes, and what every supernet promises. The reference is in test_reference_ofa."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hwsearch.errors import SpaceError
from hwsearch.exporters import lower, verify
from hwsearch.supernets import catalogue
from hwsearch.supernets.families.resnet.config import ResNetConfig
from hwsearch.supernets.families.resnet.supernet import ElasticResNet
from hwsearch.testing.weights import seeded_weights


@pytest.fixture(scope="module")
def small() -> ElasticResNet:
    config = ResNetConfig("small", 16, (32, 48), (1, 2), (1, 2), classes=5, resolutions=(24, 30, 32))
    net = ElasticResNet(config)
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


def test_the_published_sizes() -> None:
    """Millions of MACs and parameters of the reference's own classes; the space counts equal stems once."""
    net = catalogue.entry("ofa-resnet50d").build()
    space = net.space
    assert len(net.state_dict()) == 368 and sum(p.numel() for p in net.parameters()) == 48_105_992
    at = lambda arch, r: round(net.macs(space.architecture({**arch, "r": r})) / 1e6, 2)  # noqa: E731
    largest, smallest = space.largest(), space.smallest()
    middle = space.architecture(
        {**largest, "d[0]": 0, **{f"d[{s}]": 1 for s in range(1, 5)}, **{n: 0.25 for n in space.names if n[0] == "e"}}
    )
    assert (at(largest, 224), at(largest, 128), net.params(largest)) == (7491.64, 2447.63, 48_105_992)
    assert (at(middle, 224), at(middle, 128), net.params(middle)) == (3776.49, 1234.52, 24_169_736)
    assert (at(smallest, 224), at(smallest, 128), net.params(smallest)) == (962.19, 315.08, 6_539_280)
    stems, widths, expansions = 2, 2 * 3**5, (3**2 + 3**3 + 3**4) ** 3 * (3**4 + 3**5 + 3**6)
    assert space.cardinality == 25 * stems * widths * expansions


@torch.no_grad()
def test_activated_supernet_and_extracted_subnet_agree(small: ElasticResNet) -> None:
    outputs = []
    for arch in (small.space.smallest(), small.space.largest(), *small.space.sample(20, np.random.default_rng(0))):
        x = torch.randn(2, *small.input_shape(arch), generator=torch.Generator().manual_seed(1))
        small.activate(arch)
        subnet = small.subnet(arch)
        outputs.append(subnet(x))
        torch.testing.assert_close(outputs[-1], small(x), rtol=1e-5, atol=1e-6)
        own = {p.data_ptr() for p in small.parameters()}
        assert own.isdisjoint(p.data_ptr() for p in subnet.parameters())
        assert sum(p.numel() for p in subnet.parameters()) == small.params(arch)
        with FlopCounterMode(display=False) as counter:
            subnet(x[:1])
        assert counter.get_total_flops() == 2 * small.macs(arch)
    assert min(float((a - b).abs().max()) for a, b in zip(outputs[1:], outputs[:-1], strict=True)) > 1e-3


def test_export_is_lowered_and_equal(small: ElasticResNet) -> None:
    for arch in small.space.sample(3, np.random.default_rng(2)):
        subnet = small.subnet(arch)
        x = torch.randn(2, *small.input_shape(arch), generator=torch.Generator().manual_seed(2))
        model = lower(subnet, small.input_shape(arch))
        assert model.producer_name == "hwsearch"
        assert verify(model, subnet, x, tolerance=1e-5) <= 1e-5


def test_an_architecture_of_another_space_is_refused(small: ElasticResNet) -> None:
    other = catalogue.entry("ofa-resnet50d").build().space.smallest()
    with pytest.raises(SpaceError, match="not to 'small'"):
        small.activate(other)
