"""Equality with the authors' own code: the MIT package `ofa` of PyPI (Han Cai et al., once-for-all).

Our state dict is loaded into the reference's supernet, and the subnets that it extracts are compared with ours: for
MobileNetV3 at both widths, for ProxylessNAS and for ResNet-50-D.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.accuracy import recalibrate
from hwsearch.errors import CheckpointError
from hwsearch.supernets import Supernet, catalogue
from hwsearch.supernets.checkpoint.loading import Uninitialised
from hwsearch.supernets.families.resnet.supernet import ElasticResNet
from hwsearch.tasks.images import Preprocess, from_arrays
from hwsearch.testing import reference_ofa
from hwsearch.testing.weights import seeded_weights

ARCHS = 4
NAMES = ("ofa-mobilenetv3-w1.0", "ofa-mobilenetv3-w1.2", "ofa-proxylessnas-w1.3", "ofa-resnet50d")


@pytest.fixture(scope="module", params=NAMES)
def ours(request: pytest.FixtureRequest) -> Supernet:
    with Uninitialised():
        net = catalogue.entry(request.param).build()
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


@pytest.fixture(scope="module")
def theirs(ours: Supernet) -> nn.Module:
    with Uninitialised():
        net = reference_ofa.build(ours)
    state = ours.state_dict()
    assert {k: v.shape for k, v in net.state_dict().items()} == {k: v.shape for k, v in state.items()}
    net.load_state_dict(state)
    return net.eval()


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def test_subnets_give_the_outputs_of_the_reference(ours: Supernet, theirs: nn.Module) -> None:
    """Equal functions agree to 1e-5 in single and to 1e-9 in double precision; the weights are those of any input size."""
    archs = [ours.space.smallest(), ours.space.largest(), *ours.space.sample(ARCHS - 2, np.random.default_rng(0))]
    outputs = []
    for arch in archs:
        arch = ours.space.architecture({**arch, "r": 128})
        x = torch.randn(1, *ours.input_shape(arch), generator=torch.Generator().manual_seed(1))
        ours.activate(arch)
        with torch.no_grad():
            subnet = ours.subnet(arch)
            assert relative(ours(x), subnet(x)) < 1e-5
            reference = reference_ofa.extract(theirs, ours, arch)
            assert relative(subnet(x), reference(x)) < 1e-5
            expected = reference.double()(x.double())
            assert relative(subnet.double()(x.double()), expected) < 1e-9
        outputs.append(expected / expected.abs().max())
    assert min(relative(a, b) for a, b in zip(outputs[1:], outputs[:-1], strict=True)) > 1e-2  # no two alike


def test_subnets_have_the_weights_of_the_reference_bit_for_bit(ours: Supernet, theirs: nn.Module) -> None:
    for arch in ours.space.sample(4, np.random.default_rng(1)):
        kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
        pairs = [
            [m for m in net.modules() if isinstance(m, kinds)]
            for net in (ours.subnet(arch), reference_ofa.extract(theirs, ours, arch))
        ]
        for mine, reference in zip(*pairs, strict=True):
            a, b = mine.state_dict(), reference.state_dict()
            assert set(a) == set(b)
            assert all(torch.equal(a[k], b[k]) for k in a)
            assert getattr(mine, "eps", None) == getattr(reference, "eps", None)


def test_macs_and_params_are_those_of_the_reference(ours: Supernet, theirs: nn.Module) -> None:
    for arch in ours.space.sample(2, np.random.default_rng(2)):
        net = reference_ofa.extract(theirs, ours, arch)
        assert sum(p.numel() for p in net.parameters()) == ours.params(arch)
        count = reference_ofa.macs(net, ours.input_size(arch))
        assert count == pytest.approx(ours.macs(arch), rel=1e-6)  # the reference adds up in single precision


def test_recalibration_is_that_of_the_reference(ours: Supernet, theirs: nn.Module) -> None:
    from ofa.imagenet_classification.elastic_nn.utils import set_running_statistics

    rng = np.random.default_rng(3)
    arch = ours.space.architecture({**ours.space.smallest(), "r": 128})
    images = rng.integers(0, 256, size=(6, 128, 128, 3), dtype=np.uint8)
    data = from_arrays(images, np.zeros(6, np.int64), ("x",), Preprocess())
    mine, reference_net = ours.subnet(arch), reference_ofa.extract(theirs, ours, arch)
    recalibrate(mine, data, 128, batch=4)
    set_running_statistics(reference_net, list(data.batches(128, 4)))
    norms = [[m for m in net.modules() if isinstance(m, nn.BatchNorm2d)] for net in (mine, reference_net)]
    for a, b in zip(*norms, strict=True):
        torch.testing.assert_close(
            a.running_mean, b.running_mean, rtol=1e-4, atol=1e-4 * float(b.running_mean.abs().max())
        )
        torch.testing.assert_close(a.running_var, b.running_var, rtol=1e-4, atol=1e-4 * float(b.running_var.max()))


def test_channels_are_sorted_as_the_reference_sorts_them(ours: Supernet, theirs: nn.Module) -> None:
    """The same permutation of every tensor, bit for bit; the largest subnet computes what it did.

    In double precision: in single, the reference's sums order near ties by their rounding.
    """
    mine, reference = copy.deepcopy(ours).double(), copy.deepcopy(theirs).double()
    reference.re_organize_middle_weights()  # type: ignore[operator]
    mine.sort_channels()  # type: ignore[operator]
    before, after = {k: v.double() for k, v in ours.state_dict().items()}, mine.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in reference.state_dict().items())
    assert sum(not torch.equal(v, before[k]) for k, v in after.items()) > 100
    x = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(5))
    largest = ours.space.architecture({**ours.space.largest(), "r": 128})
    with torch.no_grad():
        assert relative(mine.float().subnet(largest)(x), ours.subnet(largest)(x)) < 1e-5


def test_a_file_of_the_reference_loads_in_either_spelling(theirs: nn.Module, ours: Supernet, tmp_path: Path) -> None:
    """Files of before November 2020 say ``mobile_inverted_conv``; some name elastic layers once, some twice."""
    state = theirs.state_dict()
    if isinstance(ours, ElasticResNet):
        pairs = ((".linear.linear.", ".linear."), (".bn.bn.", ".bn."), (".conv.conv.weight", ".conv.weight"))
        old = {}
        for name, value in state.items():
            for today, then in pairs:
                name = name.replace(today, then)
            old[name] = value
    else:
        old = {k.replace(".conv.", ".mobile_inverted_conv.", 1) if "blocks." in k else k: v for k, v in state.items()}
        old = {k.replace("classifier.linear.", "classifier.linear.linear."): v for k, v in old.items()}
    assert len(old) == len(state) and set(old).isdisjoint(k for k in state if k.startswith("blocks."))
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


def test_a_tensor_under_two_names_is_refused(theirs: nn.Module, ours: Supernet) -> None:
    state = theirs.state_dict()
    name = next(k for k in state if k.startswith("classifier") and k.endswith("weight"))
    other = (
        name.replace(".linear.linear.", ".linear.")
        if ".linear.linear." in name
        else name.replace(".linear.", ".linear.linear.")
    )
    with pytest.raises(CheckpointError, match="twice"):
        ours.rename({**state, other: state[name]})
