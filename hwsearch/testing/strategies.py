"""Conformance of training strategies: subclass, say how yours is made, and let pytest run it."""

from __future__ import annotations

import copy
import json
import math
import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwsearch.errors import TrainingError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data
from hwsearch.tasks.images import ImageTask, Preprocess, from_arrays
from hwsearch.testing.weights import seeded_weights
from hwsearch.training import Recipe, Run, Strategy, Trainer, TrainingConfig
from hwsearch.training.batches import prepare_batch
from hwsearch.training.parts.data import Picked
from hwsearch.training.step import Stepped, run_step

#: classes and largest side, in pixels, of the network that the tests train
CLASSES, SIDE = 3, 16
#: examples, and steps of a run
EXAMPLES, STEPS = 48, 12


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
        """Make the task of the network; override it together with `supernet` and `data`.

        Returns
        -------
        Task
            Classification of images by default.
        """
        return ImageTask(Preprocess((0.35,) * 3, (0.2,) * 3))

    def data(self) -> Data:
        """Make the examples that every test trains on.

        Returns
        -------
        Data
            48 images of 16 pixels, whose class is their brightest channel.
        """
        rng = np.random.default_rng(0)
        labels = np.arange(EXAMPLES) % CLASSES
        pixels = rng.integers(0, 156, size=(EXAMPLES, SIDE, SIDE, 3))
        pixels[np.arange(EXAMPLES), :, :, labels] += 60
        preprocess = Preprocess((0.35,) * 3, (0.2,) * 3)
        return from_arrays(pixels.astype(np.uint8), labels, tuple("abc"), preprocess)

    def judged(self, space: SearchSpace) -> Architecture:
        """Name the subnet that must have learnt something; override it where the largest is not trained.

        Parameters
        ----------
        space : SearchSpace
            The space.

        Returns
        -------
        Architecture
            The largest by default.
        """
        return space.largest()

    def config(self, steps: int = STEPS) -> TrainingConfig:
        """Make the hyper-parameters of the tests' runs.

        Parameters
        ----------
        steps : int
            Steps of the run, four of which are an epoch.

        Returns
        -------
        TrainingConfig
            A small run.
        """
        return TrainingConfig(steps=steps, batch=EXAMPLES // 4, lr=0.05, padding=0, checkpoint_steps=3)

    # ------------------------------------------------------------------ helpers
    def _started(self, net: Supernet | None = None) -> tuple[Run, Recipe]:
        strategy, config = self.make(), self.config()
        prepared = strategy.prepare_supernet(net or self.supernet(), config.seed)
        run = Run(prepared, self.task(), self.data(), config)
        recipe = strategy.recipe(run)
        recipe.prepare(run)
        return run, recipe

    def _step(self, run: Run, recipe: Recipe, step: int = STEPS // 2, seed: int = 0) -> Stepped:
        run.supernet.zero_grad(set_to_none=True)
        index = np.arange(EXAMPLES // 4)
        batch = prepare_batch(run, Picked(index), np.random.default_rng(9))
        return run_step(recipe, run, batch, recipe.schedule.at(step), np.random.default_rng(seed))

    def _trainer(self, folder: Path, steps: int = STEPS) -> Trainer:
        return Trainer(self.supernet(), self.make(), self.task(), self.data(), self.config(steps), folder)

    # ------------------------------------------------------------------ settings
    def test_settings_are_json_and_tell_strategies_apart(self) -> None:
        """The identity survives JSON, and is equal for equal settings: a run is recognised by it."""
        identity = self.make().identity()
        assert json.loads(json.dumps(identity)) == identity, "settings must be values that JSON knows"
        assert self.make().identity() == identity
        _, recipe = self._started()
        assert json.loads(json.dumps(recipe.identity())) == recipe.identity(), "so must those of the parts"

    def test_unknown_settings_are_refused(self) -> None:
        """A misspelt option of a recipe file is an error, not the default."""
        wrong: dict[str, Any] = {"no_such_setting": 1}
        try:
            type(self.make())(**wrong)
        except TrainingError as error:
            assert "no_such_setting" in str(error)
        else:
            raise AssertionError("a setting that does not exist was taken: keep `extra='forbid'` of the base class")

    def test_parts_are_fresh_at_each_call(self) -> None:
        """Two runs share no state: `recipe` makes new parts."""
        strategy, run = self.make(), self._started()[0]
        first, second = strategy.recipe(run), strategy.recipe(run)
        for (name, a), (_, b) in zip(first.parts(), second.parts(), strict=True):
            assert a is not b, f"`recipe` must make a fresh {name} at each call"

    # ------------------------------------------------------------------ one step
    def test_losses_are_named_finite_numbers(self) -> None:
        """A step returns at least one loss, at any time of the run."""
        for step in (0, STEPS // 2, STEPS - 1):
            losses = self._step(*self._started(), step).losses
            assert losses, "a step must train at least one subnet"
            for name, value in losses.items():
                assert isinstance(name, str) and name, f"the name of a draw must be a text, got {name!r}"
                assert math.isfinite(value), f"loss {name!r} must be finite, got {value}"

    def test_subnets_are_of_the_space_and_a_teacher_comes_first(self) -> None:
        """Every draw is an architecture of the space; students follow a teacher, unless there is one outside."""
        run, recipe = self._started()
        for step in range(STEPS):
            draws = recipe.sampler.sample(recipe.schedule.at(step), np.random.default_rng(step))
            assert draws, "a sampler must draw at least one subnet"
            assert all(d.arch in run.space for d in draws), "a subnet that was drawn is not of the space"
            assert all(d.scale > 0 and math.isfinite(d.scale) for d in draws), "scales must be above 0"
            if recipe.teacher is None and any(d.role == "student" for d in draws):
                assert draws[0].role == "teacher", "students need a teacher before them"

    def test_gradients_are_left_in_the_parameters(self) -> None:
        """Some gradient is not zero and none is NaN or infinite."""
        run, recipe = self._started()
        self._step(run, recipe)
        found = [p.grad for _, p in recipe.view.named_parameters() if p.grad is not None]
        assert any(bool((g != 0).any()) for g in found), "the step left no gradient"
        assert all(bool(torch.isfinite(g).all()) for g in found), "a gradient is NaN or infinite"

    def test_parameters_are_left_to_the_optimiser(self) -> None:
        """A step changes no parameter: the trainer clips the gradients and updates."""
        run, recipe = self._started()
        before = [p.detach().clone() for _, p in recipe.view.named_parameters()]
        self._step(run, recipe)
        after = [p for _, p in recipe.view.named_parameters()]
        same = all(torch.equal(a, p) for a, p in zip(before, after, strict=True))
        assert same, "a part changed parameters: leave the update to the trainer's optimizer"

    def test_the_generator_decides(self) -> None:
        """The same weights, batch and generator give the same losses and gradients: a run can be resumed."""
        net = self.supernet()
        first, second = self._started(net), self._started(copy.deepcopy(net))
        why = "draw with the generator that is passed in"
        assert self._step(*first).losses == self._step(*second).losses, f"losses differ from equal seeds: {why}"
        for a, b in zip(first[0].supernet.parameters(), second[0].supernet.parameters(), strict=True):
            assert (a.grad is None) == (b.grad is None)
            assert a.grad is None or b.grad is None or torch.equal(a.grad, b.grad), f"gradients differ: {why}"

    def test_global_randomness_is_not_touched(self) -> None:
        """Neither torch's nor numpy's global generator moves."""
        run, recipe = self._started()
        torch_before, numpy_before = torch.get_rng_state(), _numpy_state()
        self._step(run, recipe)
        assert torch.equal(torch.get_rng_state(), torch_before), "a part drew from torch's global generator, not `rng`"
        assert _numpy_state() == numpy_before, "a part drew from numpy's global generator, not `rng`"

    # ------------------------------------------------------------------ a run
    def test_it_learns(self) -> None:
        """The loss of the subnet that is judged falls within 24 steps."""
        with tempfile.TemporaryDirectory() as folder:
            trainer = self._trainer(Path(folder), 24)
            before = self._loss(trainer)
            trainer.run()
            after = self._loss(trainer)
        assert after < before, f"the judged subnet's loss rose from {before:.4f} to {after:.4f} in 24 steps"

    def _loss(self, trainer: Trainer) -> float:
        """Compute the judged subnet's loss on all examples, with the statistics of their batch."""
        net, view = trainer.supernet.train(), trainer.recipe.view
        arch = self.judged(net.space)
        kept = {name: value.clone() for name, value in net.named_buffers()}
        view.bind(arch)
        with torch.no_grad():
            inputs, targets = next(trainer.train_data.batches(net.input_size(arch), EXAMPLES))
            loss = float(trainer.task.loss(view.forward(inputs), targets))
            for name, value in net.named_buffers():
                value.copy_(kept[name])
        return loss

    def test_a_run_taken_up_again_ends_with_the_same_bits(self) -> None:
        """Stopped within an epoch and at its end, and taken up by a fresh process, as far as parts can tell."""
        with tempfile.TemporaryDirectory() as folder:
            straight = self._trainer(Path(folder) / "straight")
            straight.run()
            for stop in (3, 4, 7, None):
                resumed = self._trainer(Path(folder) / "resumed")
                resumed.run(stop_at=stop)
        expected, found = _bits(straight), _bits(resumed)
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert torch.equal(value, found[name]), (
                f"{name!r} differs after resuming: a part has state that `state_dict` leaves out"
            )

    def test_subnets_cut_out_compute_what_was_trained(self) -> None:
        """`materialise` gives a plain network whose outputs equal the view's to 1e-5."""
        with tempfile.TemporaryDirectory() as folder:
            trainer = self._trainer(Path(folder), 4)
            trainer.run()
        net, view = trainer.supernet.eval(), trainer.recipe.view
        for arch in (net.space.smallest(), net.space.largest(), *net.space.sample(2, np.random.default_rng(0))):
            inputs, _ = next(trainer.train_data.batches(net.input_size(arch), 8))
            view.bind(arch)
            with torch.no_grad():
                expected = view.forward(inputs)
                plain = view.materialise(arch).eval()
                found = plain(*inputs) if isinstance(inputs, tuple) else plain(inputs)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def _bits(trainer: Trainer) -> dict[str, Tensor]:
    """Weights, statistics and momenta."""
    momenta = {f"momentum {k}": v["momentum_buffer"] for k, v in trainer.optimizer.state_dict()["state"].items()}
    extra = trainer.recipe.view.extra
    own = {} if extra is None else {f"extra {k}": v for k, v in extra.state_dict().items()}
    return {**trainer.supernet.state_dict(), **momenta, **own}


def _numpy_state() -> tuple[bytes, int]:
    """State of numpy's global generator: its words, which change once in 624 draws, and the place among them."""
    state = np.random.get_state(legacy=False)["state"]
    return state["key"].tobytes(), int(state["pos"])
