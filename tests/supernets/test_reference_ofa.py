"""Equality with the authors' own code: the MIT package `ofa` of PyPI (Han Cai et al., once-for-all).

Our state dict is loaded into the reference's supernet, and the subnets that it extracts are compared with ours: for
MobileNetV3 at both widths and for ProxylessNAS. The package imports torchvision for training data only, so empty stand-ins are enough for the model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.accuracy import Preprocess, from_arrays, recalibrate
from hwsearch.spaces import Architecture
from hwsearch.supernets import catalogue
from hwsearch.supernets.mobilenetv3 import ElasticMobileNetV3

ARCHS = 6


@pytest.fixture(scope="module")
def reference() -> Iterator[SimpleNamespace]:
    """The reference's supernet class and its BN recalibration."""
    torchvision, transforms, functional = (
        ModuleType(n) for n in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    )
    torchvision.transforms = transforms  # type: ignore[attr-defined]
    transforms.functional = functional  # type: ignore[attr-defined]
    transforms.RandomResizedCrop = type("RandomResizedCrop", (), {})  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        for module in (torchvision, transforms, functional):
            patch.setitem(sys.modules, module.__name__, module)
        from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3, OFAProxylessNASNets
        from ofa.imagenet_classification.elastic_nn.utils import set_running_statistics
        from ofa.utils import count_net_flops
    families = {"mobilenetv3": OFAMobileNetV3, "proxylessnas": OFAProxylessNASNets}
    yield SimpleNamespace(families=families, recalibrate=set_running_statistics, macs=count_net_flops)


@pytest.fixture(params=["ofa-mobilenetv3-w1.0", "ofa-mobilenetv3-w1.2", "ofa-proxylessnas-w1.3"])
def ours(request: pytest.FixtureRequest, randomise: Callable[..., None]) -> ElasticMobileNetV3:
    net = catalogue.entry(request.param).build()
    assert isinstance(net, ElasticMobileNetV3)
    randomise(net)
    return net.eval()


@pytest.fixture
def theirs(reference: SimpleNamespace, ours: ElasticMobileNetV3) -> nn.Module:
    _, family, width = ours.config.name.split("-")
    net = reference.families[family](
        1000,
        dropout_rate=0.0,
        width_mult=float(width[1:]),
        ks_list=[3, 5, 7],
        expand_ratio_list=[3, 4, 6],
        depth_list=[2, 3, 4],
        **({"base_stage_width": "proxyless"} if family == "proxylessnas" else {}),
    )
    state = ours.state_dict()
    assert {k: v.shape for k, v in net.state_dict().items()} == {k: v.shape for k, v in state.items()}
    net.load_state_dict(state)
    return net.eval()


def extract(net: nn.Module, arch: Architecture) -> nn.Module:
    """The reference's static subnet of `arch`; its settings of inactive blocks do not matter."""
    depths = [arch[name] for name in arch if name.startswith("d[")]
    blocks = 21 if len(depths) == 6 else 20
    ks, e = ([arch.get(f"{kind}[{i}]", 3) for i in range(blocks)] for kind in ("ks", "e"))
    net.set_active_subnet(ks=ks, e=e, d=depths)  # type: ignore[operator]
    return net.get_active_subnet(preserve_weight=True).eval()  # type: ignore[operator, no-any-return]


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def test_subnets_give_the_outputs_of_the_reference(ours: ElasticMobileNetV3, theirs: nn.Module) -> None:
    """Run in double precision, where random weights do not blow the rounding up: equal functions agree to 1e-9."""
    archs = [ours.space.smallest(), ours.space.largest(), *ours.space.sample(ARCHS - 2, np.random.default_rng(0))]
    outputs = []
    for arch in archs:
        x = torch.randn(1, *ours.input_shape(arch), generator=torch.Generator().manual_seed(1))
        ours.activate(arch)
        with torch.no_grad():
            subnet = ours.subnet(arch)
            assert relative(ours(x), subnet(x)) < 1e-5
            expected = extract(theirs, arch).double()(x.double())
            assert relative(subnet.double()(x.double()), expected) < 1e-9
        outputs.append(expected / expected.abs().max())
    assert min(relative(a, b) for a, b in zip(outputs[1:], outputs[:-1], strict=True)) > 1e-2  # no two alike


def test_subnets_have_the_weights_of_the_reference_bit_for_bit(ours: ElasticMobileNetV3, theirs: nn.Module) -> None:
    for arch in ours.space.sample(4, np.random.default_rng(1)):
        kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
        pairs = [
            [m for m in net.modules() if isinstance(m, kinds)] for net in (ours.subnet(arch), extract(theirs, arch))
        ]
        for mine, reference in zip(*pairs, strict=True):
            a, b = mine.state_dict(), reference.state_dict()
            assert set(a) == set(b)
            assert all(torch.equal(a[k], b[k]) for k in a)
            assert getattr(mine, "eps", None) == getattr(reference, "eps", None)


def test_macs_are_those_of_the_reference(
    reference: SimpleNamespace, ours: ElasticMobileNetV3, theirs: nn.Module
) -> None:
    for arch in ours.space.sample(2, np.random.default_rng(2)):
        count = reference.macs(extract(theirs, arch), (1, *ours.input_shape(arch)))
        assert count == pytest.approx(ours.macs(arch), rel=1e-6)  # the reference adds up in single precision


def test_recalibration_is_that_of_the_reference(
    reference: SimpleNamespace, ours: ElasticMobileNetV3, theirs: nn.Module
) -> None:
    rng = np.random.default_rng(3)
    arch = ours.space.architecture({**ours.space.smallest(), "r": 128})
    images = rng.integers(0, 256, size=(6, 128, 128, 3), dtype=np.uint8)
    data = from_arrays(images, np.zeros(6, np.int64), ("x",), Preprocess())
    mine, reference_net = ours.subnet(arch), extract(theirs, arch)
    recalibrate(mine, data, 128, batch=4)
    reference.recalibrate(reference_net, list(data.batches(128, 4)))
    norms = [[m for m in net.modules() if isinstance(m, nn.BatchNorm2d)] for net in (mine, reference_net)]
    for a, b in zip(*norms, strict=True):
        torch.testing.assert_close(
            a.running_mean, b.running_mean, rtol=1e-4, atol=1e-4 * float(b.running_mean.abs().max())
        )
        torch.testing.assert_close(a.running_var, b.running_var, rtol=1e-4, atol=1e-4 * float(b.running_var.max()))


def test_a_file_of_the_reference_loads_in_either_spelling(
    theirs: nn.Module, ours: ElasticMobileNetV3, tmp_path
) -> None:
    """Files of before November 2020 say ``mobile_inverted_conv``; some name elastic layers once, some twice."""
    state = theirs.state_dict()
    old = {
        k.replace(".conv.", ".mobile_inverted_conv.", 1) if k.startswith("blocks.") else k: v for k, v in state.items()
    }
    old = {k.replace("classifier.linear.", "classifier.linear.linear."): v for k, v in old.items()}
    assert set(old).isdisjoint(k for k in state if k.startswith("blocks."))
    for number, file in enumerate((state, old)):
        torch.save({"state_dict": file}, tmp_path / f"{number}.pth")
        loaded = catalogue.entry(ours.config.name).load(tmp_path / f"{number}.pth")
        assert all(torch.equal(v, state[k]) for k, v in loaded.net.state_dict().items())


def test_proxylessnas_is_the_published_one() -> None:
    """Counts of the reference's own classes: parameters, MACs, tensors and the number of subnets."""
    net = catalogue.entry("ofa-proxylessnas-w1.3").build()
    space = net.space
    assert space.cardinality == 25 * 9 * 7371**5
    assert len(net.state_dict()) == 446 and sum(p.numel() for p in net.parameters()) == 7_956_882
    largest = space.largest()
    assert (net.params(largest), net.params(space.smallest())) == (7_942_056, 3_718_832)
    assert [round(net.macs(space.architecture({**largest, "r": r})) / 1e6, 2) for r in (128, 224)] == [329.25, 1004.91]
