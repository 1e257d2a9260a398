"""Certified training: the ramp, the loss and the regularisers by hand, the initialisation by its purpose."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hwsearch.accuracy.certified import Interval, Watch, interval_outputs, margin_bounds
from hwsearch.errors import TrainingError
from hwsearch.training import Run, TrainingConfig
from hwsearch.training.parts.intervals import (
    Bounded,
    EpsilonRamp,
    balance,
    initialise_for_intervals,
    layer_inputs,
    smooth_share,
    tightness,
)
from hwsearch.training.strategies.certified import Certified


def test_the_ramp_is_smooth_and_reaches_all_of_epsilon(start) -> None:
    case = start(Certified())
    ramp = EpsilonRamp(start=0.1, ramp=0.4)
    ramp.prepare(case.run)
    shares = np.array([ramp.at(step).values["epsilon"] for step in range(100)])
    assert (shares[:11] == 0).all() and (shares[50:] == 1).all()
    steps = np.diff(shares[10:51])
    assert (steps > 0).all() and np.allclose(steps[11:], steps[-1]) and (np.diff(steps[:11]) > 0).all()
    x = np.array([0.1, 0.2])  # the fourth power within the first quarter
    assert np.allclose([smooth_share(v) for v in x], smooth_share(0.25) * (x / 0.25) ** 4)
    still = EpsilonRamp(start=0.2, ramp=0.0)
    still.prepare(case.run)
    assert [still.at(s).values["epsilon"] for s in (19, 20)] == [0.0, 1.0]
    assert [ramp.rate(s) for s in (0, 50)] == [ramp.base.rate(s) for s in (0, 50)]


@pytest.mark.parametrize("step", [0, 15, 99])
def test_the_loss_is_that_of_the_worst_case_of_the_bound_slices(start, stepped, step: int) -> None:
    """Before the ramp the plain loss; within it with regularisers; behind it without them."""
    case = start(Certified(epsilon="1/255", random=0))
    share = case.recipe.schedule.at(step).values["epsilon"]
    found = stepped(case, step).losses
    x, y = next(case.run.data.batches(16, 32))
    case.net.train()
    for name, arch in (("largest", case.net.space.largest()), ("smallest", case.net.space.smallest())):
        case.net.activate(arch)
        inputs = case.run.task.resize(x, case.net.input_size(arch))
        if share == 0:
            expected = float(F.cross_entropy(case.net(inputs), y).detach())
            assert found[name] == pytest.approx(expected, rel=1e-3)
            continue
        watch = Watch()
        lower, upper = case.run.task.pixel_scale().box(inputs, share / 255)
        bounds = interval_outputs(case.net, Interval(lower, upper, inputs, watch=watch))
        expected = float(F.cross_entropy(-margin_bounds(bounds, y), y).detach())
        kept = Bounded(bounds, watch, (upper - lower).mean() / 2, share)
        extra = 0.5 * (1 - share) * float(tightness(kept, 0.5) + balance(watch, 0.5))
        assert (extra > 0) == (share < 1)
        assert found[name] == pytest.approx(expected + extra, rel=1e-4)
        assert expected > float(F.cross_entropy(bounds.nominal, y))


def test_regularisers_by_hand() -> None:
    """Half widths 1, 4 and 1 behind an input of 1: only the second is too wide, (0.5 - 0.25) / 0.5 of three."""
    ends = [(-torch.ones(4) * r, torch.ones(4) * r) for r in (1.0, 4.0, 1.0)]
    logits = Interval(torch.zeros(1), torch.zeros(1))
    assert float(tightness(Bounded(logits, Watch(ends), torch.tensor(1.0), 0.5), 0.5)) == pytest.approx(0.5 / 3)
    # centres 4 and 4 are surely on, -1 surely off, 0 undecided: sums 8 and 1; mean 1.75, squares 2 * 2.25^2 and 2.75^2
    watch = Watch([(torch.tensor([3.0, 3.0, -2.0, -1.0]), torch.tensor([5.0, 5.0, -0.5, 1.0]))])
    sums, squares = 1.25 / 8, 0.0
    mean = (4 + 4 - 1.25 + 0) / 4
    on, off = 2 * (4 - mean) ** 2, (-1.25 - mean) ** 2
    squares = min(on, off) / max(on, off)
    assert float(balance(watch, 0.5)) == pytest.approx((max(0, 0.5 - sums) + max(0, 0.5 - squares)) / 0.5, rel=1e-5)
    even = Watch([(torch.tensor([1.0, -2.0]), torch.tensor([2.0, -1.0]))])
    assert float(balance(even, 0.5)) == 0.0
    assert float(balance(Watch([(torch.ones(3), torch.ones(3))]), 0.5)) == 0.0  # nothing is off


def test_weights_are_drawn_so_that_bounds_do_not_explode(make_net, toy) -> None:
    from hwsearch.tasks.images import ImageTask

    def ratio(net) -> float:
        net.activate(net.space.largest())
        watch = Watch()
        with torch.no_grad():
            x, _ = next(toy.batches(16, 16))
            interval_outputs(net.eval(), Interval(x - 0.1, x + 0.1, watch=watch))
        return float(max((u - v).mean() / 2 for v, u in watch.activations)) / 0.1

    net = make_net()
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    plain = ratio(net)
    run = Run(net.train(), ImageTask(toy.preprocess), toy, TrainingConfig(steps=10, batch=32, seed=3))
    watch, last = layer_inputs(run)
    initialise_for_intervals(run)
    drawn = ratio(net)
    assert drawn < 0.2 * plain, (drawn, plain)
    changed = {n for n, p in net.named_parameters() if not torch.equal(p, before[n])}
    assert all(before[n].ndim > 1 for n in changed), "norms and biases stay"
    assert all(torch.equal(p, before[n]) for n, p in net.named_parameters() if p.data_ptr() == last.data_ptr())
    halved, first = 0, [*watch.layers]
    watch, last = layer_inputs(run)
    assert len(first) == len(watch.layers)
    for weight, summed in watch.layers:
        if weight.data_ptr() != last.data_ptr() and weight.numel() > 100:
            expected = math.sqrt(2 * math.pi) / weight[0].numel() * (0.5 if summed else 1.0)
            assert float(weight.detach().std()) == pytest.approx(expected, rel=0.35)
            halved += summed
    assert halved >= 1
    again = make_net()
    initialise_for_intervals(Run(again, run.task, toy, run.config))
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_weights_of_an_earlier_training_are_kept(start) -> None:
    """`start` randomises the running statistics, as a training would."""
    for strategy, kept in ((Certified(), True), (Certified(initialisation="intervals"), False)):
        case = start(strategy)
        before = [p.detach().clone() for p in case.net.parameters()]
        (event,) = case.recipe.events
        assert event.step == 0
        event.act()
        assert all(torch.equal(a, b) for a, b in zip(before, case.net.parameters(), strict=True)) == kept
    assert start(Certified(initialisation="keep")).recipe.events == ()


@pytest.mark.parametrize(
    ("option", "why"),
    [({"epsilon": 8}, "8/255"), ({"epsilon": "0/255"}, "above 0"), ({"initialisation": "x"}, "initialisation")],
)
def test_bad_options_are_refused(option: dict, why: str) -> None:
    with pytest.raises(TrainingError, match=why):
        Certified(**option)


def test_compiling_is_refused(start) -> None:
    with pytest.raises(TrainingError, match="compile"):
        start(Certified(), compile=True)
