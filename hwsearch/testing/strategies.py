"""Conformance of training strategies: subclass, say how yours is made, and let pytest run it."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from hwsearch.supernets.base import Supernet
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.base import Task
from hwsearch.tasks.images import ImageTask
from hwsearch.testing.weights import seeded_weights
from hwsearch.training import Strategy

#: classes and largest side, in pixels, of the network that the tests train
CLASSES, SIDE = 3, 16


def small_supernet() -> Supernet:
    """Build a MobileNetV3 of two stages for images of 12 and 16 pixels, with three classes.

    Returns
    -------
    Supernet
        The same weights at each call, in training mode.
    """
    stages = (Stage(8, 1, "relu", False), Stage(16, 2, "h_swish", True))
    config = MobileNetV3Config(
        "conformance-training",
        stages,
        8,
        2,
        24,
        24,
        CLASSES,
        kernels=(3, 5),
        expansions=(1, 2),
        depths=(1, 2),
        resolutions=(12, SIDE),
    )
    net = ElasticMobileNetV3(config)
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.train()


class StrategyConformance:
    """Test what `hwsearch.training.Strategy` promises; each method is one promise.

    Examples
    --------
    ::

        class TestMine(StrategyConformance):
            def make(self):
                return MyStrategy()
    """

    @abstractmethod
    def make(self) -> Strategy:
        """Make the strategy under test.

        Returns
        -------
        Strategy
            A fresh one at each call, with the same settings.
        """

    def supernet(self) -> Supernet:
        """Make the network that is trained; override it for strategies of another task.

        Returns
        -------
        Supernet
            A fresh one at each call, with the same weights, in training mode.
        """
        return small_supernet()

    def task(self) -> Task:
        """Make the task of the network; override it together with `supernet` and `batch`.

        Returns
        -------
        Task
            Classification of images by default.
        """
        return ImageTask()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Make the batch that every test trains on.

        Returns
        -------
        tuple of Tensor
            Images (24, 3, 16, 16) at the largest resolution, whose class is their brightest channel, and labels (24,).
        """
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(24) % CLASSES
        images = 0.3 * torch.randn((24, 3, SIDE, SIDE), generator=generator)
        images[torch.arange(24), labels] += 1.0
        return images, labels

    def _step(self, net: Supernet, strategy: Strategy, progress: float = 0.5, seed: int = 0) -> dict[str, float]:
        net.zero_grad(set_to_none=True)
        return strategy.step(net, self.task(), *self.batch(), progress, np.random.default_rng(seed))

    def test_losses_are_named_finite_numbers(self) -> None:
        """A step returns at least one loss, at any time of the run."""
        net = self.supernet()
        for progress in (0.0, 0.5, 1.0):
            losses = self._step(net, self.make(), progress)
            assert isinstance(losses, dict), f"`step` must return a dict of losses by name, got {losses!r}"
            assert losses, "`step` must return at least one loss"
            for name, value in losses.items():
                assert isinstance(name, str) and name, f"the name of a loss must be a text, got {name!r}"
                assert type(value) is float, f"loss {name!r} must be a float, as float(loss.detach()) is, got {value!r}"
                assert math.isfinite(value), f"loss {name!r} must be finite, got {value}"

    def test_gradients_are_left_in_the_parameters(self) -> None:
        """Some gradient is not zero and none is NaN or infinite."""
        net = self.supernet()
        self._step(net, self.make())
        found = [p.grad for p in net.parameters() if p.grad is not None]
        assert any(bool((g != 0).any()) for g in found), "`step` left no gradient: call backward() on the loss"
        assert all(bool(torch.isfinite(g).all()) for g in found), "a gradient is NaN or infinite"

    def test_parameters_are_left_to_the_optimiser(self) -> None:
        """A step changes no parameter: the trainer clips the gradients and updates."""
        net = self.supernet()
        before = [p.detach().clone() for p in net.parameters()]
        self._step(net, self.make())
        same = all(torch.equal(a, p) for a, p in zip(before, net.parameters(), strict=True))
        assert same, "`step` changed parameters: leave the update to the trainer's optimiser"

    def test_gradients_are_added_to_those_that_are_there(self) -> None:
        """Two steps without clearing sum up, as they do in gradient accumulation."""
        net = self.supernet()
        net.eval()  # batch statistics of the first step must not reach the second
        strategy = self.make()
        self._step(net, strategy)
        once = {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}
        strategy.step(net, self.task(), *self.batch(), 0.5, np.random.default_rng(0))
        for name, parameter in net.named_parameters():
            if name in once:
                assert parameter.grad is not None
                close = torch.allclose(parameter.grad, 2 * once[name], rtol=1e-3, atol=1e-5)
                assert close, (
                    f"gradients of {name!r} after two equal steps are not twice those of one: `step` must not clear "
                    "gradients or change parameters"
                )

    def test_the_generator_decides(self) -> None:
        """The same weights, batch and generator give the same losses and gradients: a run can be resumed."""
        net = self.supernet()
        other = copy.deepcopy(net)
        why = "draw with the generator that is passed to `step`"
        assert self._step(net, self.make()) == self._step(other, self.make()), f"losses differ from equal seeds: {why}"
        for a, b in zip(net.parameters(), other.parameters(), strict=True):
            assert (a.grad is None) == (b.grad is None)
            assert a.grad is None or b.grad is None or torch.equal(a.grad, b.grad), f"gradients differ: {why}"

    def test_global_randomness_is_not_touched(self) -> None:
        """Neither torch's nor numpy's global generator moves."""
        net = self.supernet()
        torch_before, numpy_before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()
        self._step(net, self.make())
        assert torch.equal(torch.get_rng_state(), torch_before), "`step` drew from torch's global generator, not `rng`"
        numpy_after = np.random.get_state(legacy=False)["state"]["key"]
        assert np.array_equal(numpy_after, numpy_before), "`step` drew from numpy's global generator, not `rng`"

    def test_inputs_are_left_alone(self) -> None:
        """The batch is what it was after a step."""
        net = self.supernet()
        images, labels = self.batch()
        before = images.clone(), labels.clone()
        self.make().step(net, self.task(), images, labels, 0.5, np.random.default_rng(0))
        assert torch.equal(images, before[0]) and torch.equal(labels, before[1])

    def test_it_learns(self) -> None:
        """The loss of the largest subnet falls in 15 steps on one batch."""
        net = self.supernet()
        strategy, (images, labels) = self.make(), self.batch()

        def loss() -> float:
            net.activate(net.space.largest())
            with torch.no_grad():
                return float(torch.nn.functional.cross_entropy(net(images), labels))

        before = loss()
        optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        for step in range(15):
            self._step(net, strategy, step / 15, seed=step)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
        after = loss()
        assert after < before, f"the largest subnet's loss rose from {before:.4f} to {after:.4f} in 15 steps"
