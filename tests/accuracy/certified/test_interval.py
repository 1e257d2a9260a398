"""Bounds of whole networks, against auto_LiRPA and against points."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.accuracy.certified import Interval, Watch, interval_outputs, margin_bounds
from hwsearch.errors import BoundError
from hwsearch.testing.strategies import small_supernet
from tests.accuracy.certified.networks import EPSILON, gated_supernet, images, random_subnets


def box(x: torch.Tensor, epsilon: float = EPSILON, **more) -> Interval:
    return Interval(x - epsilon, x + epsilon, **more)


@torch.no_grad()
def test_bounds_and_margins_of_60_random_subnets_are_those_of_auto_lirpa() -> None:
    """Frozen, since auto_LiRPA 0.3 reads graphs by functions that torch no longer has; see the file for how they were made."""
    frozen = json.loads((Path(__file__).parent / "lirpa.json").read_text())["rows"]
    net, x, labels = gated_supernet(), images(2), torch.tensor([1, 3])
    archs = random_subnets(net, len(frozen))
    assert len({a.id for a in archs}) >= 50
    for arch, row in zip(archs, frozen, strict=True):
        found = interval_outputs(net.subnet(arch).eval(), box(x))
        margins = margin_bounds(found, labels)
        others = torch.stack([m[torch.arange(5) != y] for m, y in zip(margins, labels, strict=True)])
        for name, value in {"lower": found.lower, "upper": found.upper, "margins": others}.items():
            np.testing.assert_allclose(value.numpy(), np.array(row[name]), rtol=1e-5, atol=1e-5, err_msg=name)


@torch.no_grad()
@pytest.mark.parametrize("make", [gated_supernet, small_supernet], ids=["declared", "mobilenetv3"])
def test_a_sliced_supernet_has_the_bounds_of_its_subnets_and_no_point_leaves_them(make) -> None:
    net = make().eval()
    rng = torch.Generator().manual_seed(0)
    for arch in [net.space.smallest(), net.space.largest(), *net.space.sample(6, np.random.default_rng(0))]:
        channels, side, _ = net.input_shape(arch)
        x = images(3, channels, side)
        plain = net.subnet(arch).eval()
        found = interval_outputs(plain, box(x, 0.01, nominal=x))
        net.activate(arch)
        sliced = interval_outputs(net, box(x, 0.01))
        torch.testing.assert_close(sliced.lower, found.lower, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(sliced.upper, found.upper, rtol=1e-5, atol=1e-4)
        assert torch.equal(found.nominal, plain(x))
        for k in range(20):
            share = torch.rand(x.shape, generator=rng) * 2 - 1
            y = plain(x + 0.01 * (share.sign() if k % 2 else share))
            room = 1e-5 * (1 + y.abs())
            assert bool((y >= found.lower - room).all() and (y <= found.upper + room).all())


@torch.no_grad()
def test_a_smaller_box_is_within_a_larger_one_and_a_point_is_itself() -> None:
    net = gated_supernet()
    plain, x = net.subnet(net.space.largest()).eval(), images(2)
    large, small, point = (interval_outputs(plain, box(x, e)) for e in (0.05, 0.02, 0.0))
    assert bool((large.lower <= small.lower).all() and (small.upper <= large.upper).all())
    torch.testing.assert_close(point.lower, plain(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(point.upper, point.lower, rtol=1e-5, atol=1e-5)


def test_operators_without_a_rule_are_refused_by_name() -> None:
    x = box(torch.ones(2, 4))
    for module, name in (
        (nn.Softmax(1), "softmax"),
        (nn.LayerNorm(4), "layer_norm"),
        (nn.GELU(approximate="tanh"), "gelu"),
        (nn.LeakyReLU(-0.1), "leaky_relu"),
        (nn.Upsample(scale_factor=2, mode="bicubic"), "interpolate"),
    ):
        given = x if name != "interpolate" else box(torch.ones(1, 1, 4, 4))
        with pytest.raises(BoundError, match=f"'{name}'"):
            module(given)
    for function, name in (
        (lambda v: v @ v.transpose(0, 1), "matmul"),
        (lambda v: torch.ones(2, 4) / v, "div"),
        (lambda v: torch.add(v, 1, out=torch.ones(2, 4)), "add"),
        (lambda v: v.argmax(1), "argmax"),
        (lambda v: torch.ones(2, 4).add_(v), "add_"),
        (lambda v: v if v.sum() > 0 else -v, "__gt__|gt|decides|not supported"),
    ):
        with pytest.raises((BoundError, TypeError), match=name):
            function(x)
    with pytest.raises(BoundError, match="decides by the values"):
        bool(x)
    with pytest.raises(BoundError, match="one shape"):
        Interval(torch.ones(2), torch.ones(3))


def test_functions_in_place_change_the_interval_and_its_views() -> None:
    with torch.no_grad():
        x = Interval(torch.tensor([[-1.0, 2.0]]), torch.tensor([[1.0, 3.0]]))
        view = x.view(2)
        nn.ReLU(inplace=True)(x)
        assert x.lower.tolist() == [[0.0, 2.0]] and view.lower.tolist() == [0.0, 2.0]
        y = x
        y += x
        assert x.upper.tolist() == [[2.0, 6.0]] and view.upper.tolist() == [2.0, 6.0]
    weight = torch.tensor([[-1.0, 1.0]], requires_grad=True)
    z = nn.functional.linear(Interval(torch.zeros(1, 2), torch.ones(1, 2)), weight)
    torch.relu_(z)
    z.upper.sum().backward()
    assert z.upper.item() == 1.0 and weight.grad.tolist() == [[0.0, 1.0]]


def test_a_watch_sees_activations_and_which_layers_follow_a_sum() -> None:
    net = gated_supernet()
    watch = Watch()
    with torch.no_grad():
        interval_outputs(net.subnet(net.space.largest()).eval(), box(images(1), watch=watch))
    assert len(watch.activations) == 1 + 4 * 3  # stem; two of each block and one in its gate
    # each block but the first gets a sum; so do the shortcut of the third, the first layer of each gate no, and the classifier
    sums = [tuple(weight.shape) for weight, summed in watch.layers if summed]
    assert sums == [(8, 8, 3, 3), (12, 8, 3, 3), (12, 8, 1, 1), (12, 12, 3, 3), (5, 12)]


def test_batch_norms_in_training_mode_need_a_nominal_point_and_use_its_statistics() -> None:
    norm = nn.BatchNorm2d(3).train()
    x = images(4, 3, 5)
    with pytest.raises(BoundError, match="nominal point"):
        norm(box(x))
    before = norm.running_mean.clone()
    found = norm(box(x, 0.1, nominal=x))
    reference = nn.BatchNorm2d(3).train()
    expected = reference(x)
    torch.testing.assert_close(found.nominal, expected)
    torch.testing.assert_close(found.centre, expected, rtol=1e-4, atol=1e-5)
    assert not torch.equal(before, norm.running_mean) and torch.equal(norm.running_mean, reference.running_mean)
    torch.testing.assert_close(
        found.radius[0, :, 0, 0], 0.1 / x.var((0, 2, 3), unbiased=False).add(1e-5).sqrt(), rtol=1e-4, atol=1e-6
    )
