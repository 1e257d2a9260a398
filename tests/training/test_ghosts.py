"""Ghost batches: by hand, in one process and in two, to the same bits; and runs that stop, differ or change their number."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Recipe, Run, Sandwich, Strategy, Trainer, TrainingConfig
from hwsearch.training.batches import prepare_batch
from hwsearch.training.ghosts import GHOST_RNG, part_of
from hwsearch.training.parts.data import Picked
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.sampler import OneSampler, UniformSampler
from hwsearch.training.ranks import ALONE, Ranks
from hwsearch.training.strategies.bands import BandShift
from hwsearch.training.strategies.pada import PathAndDataSampling
from hwsearch.training.strategies.uniform import Uniform
from tests.training.several import together

pytestmark = pytest.mark.timeout(120)
#: 8 steps an epoch, 24 in all
CONFIG = TrainingConfig(epochs=3, batch=32, lr=0.05, padding=1, seed=3, checkpoint_steps=3, mixup=0.2)

Make = Callable[..., Trainer]


@pytest.fixture
def make(make_net: Callable[..., Supernet], toy: ImageData, tmp_path: Path) -> Make:
    """Makes a trainer of the tiny supernet."""

    def trainer(folder: str, ranks: Ranks = ALONE, strategy: Strategy | None = None, **config: Any) -> Trainer:
        return Trainer(
            make_net(),
            strategy or Sandwich(random=1),
            ImageTask(toy.preprocess),
            toy,
            CONFIG.model_copy(update=config),
            tmp_path / folder,
            ranks=ranks,
        )

    return trainer


def saved(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "training.pt", weights_only=True)


def curve(folder: Path) -> list[dict[str, str]]:
    """The figures of a run without its times."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def same(first: object, second: object) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and torch.equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


class Largest(Strategy):
    """One pass of the largest subnet a step."""

    @override
    def recipe(self, run: Run) -> Recipe:
        return Recipe(OneSampler(which="largest"))


def test_the_gradient_is_the_mean_over_parts_that_are_normalised_by_themselves(make: Make, toy: ImageData) -> None:
    """Each half by plain torch: its own augmentation and statistics; then gradients and running statistics are averaged."""
    trainer = make("run", strategy=Largest(), ghost_batches=2, mixup=0.0, clip=1e9)
    net, run = trainer.supernet, trainer.plan
    start = {name: value.clone() for name, value in net.state_dict().items()}
    index = run.rng(0).permutation(len(toy))[:32]
    gradients, statistics = [], []
    for part in range(2):
        net.load_state_dict(start)
        net.train()
        net.zero_grad()
        net.activate(net.space.largest())
        batch = prepare_batch(run, Picked(index[16 * part : 16 * part + 16]), run.rng(0, 0, GHOST_RNG, part))
        F.cross_entropy(net(batch.inputs), batch.targets).backward()
        gradients.append({n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None})
        statistics.append({n: b.clone() for n, b in net.named_buffers()})
    net.load_state_dict(start)
    seen: dict[str, Tensor] = {}
    step = trainer.optimizer.step
    trainer.optimizer.step = lambda: (  # type: ignore[method-assign]
        seen.update({n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}),
        step(),
    )
    trainer.run(stop_at=1)
    assert seen.keys() == gradients[0].keys()
    for name, value in seen.items():
        torch.testing.assert_close(value, (gradients[0][name] + gradients[1][name]) / 2, rtol=1e-5, atol=1e-7)
    for name, value in net.named_buffers():
        if value.is_floating_point():
            torch.testing.assert_close(value, (statistics[0][name] + statistics[1][name]) / 2, rtol=1e-5, atol=1e-7)
    assert any(not torch.equal(statistics[0][n], statistics[1][n]) for n in statistics[0])


STRATEGIES = [
    pytest.param(Sandwich(random=1, alone=0.2), {"ema": 0.9}, id="sandwich"),
    pytest.param(PathAndDataSampling(), {}, id="pada"),
    pytest.param(BandShift(draws=2, every=5, bands=2), {}, id="band-shift"),
]


@pytest.mark.parametrize(("strategy", "config"), STRATEGIES)
def test_two_processes_have_the_bits_of_two_ghost_batches(
    make: Make, tmp_path: Path, strategy: Strategy, config: dict[str, Any]
) -> None:
    """Gradients of each step, the curve of 20 losses, weights, momenta, averages and what parts have learnt."""

    def train(folder: str, ranks: Ranks, **more: Any) -> list[dict[str, Tensor]]:
        trainer = make(folder, ranks, strategy, **config, **more)
        net, step, gradients = trainer.supernet, trainer.optimizer.step, []

        def noting() -> None:
            gradients.append({n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None})
            step()

        trainer.optimizer.step = noting  # type: ignore[method-assign,assignment]
        trainer.run(stop_at=20)
        return gradients

    expected = train("one", ALONE, ghost_batches=2)
    found = together(2, lambda ranks: train("two", ranks), tmp_path / "found")
    assert len(expected) == 20 and same(found, [expected, expected])
    assert curve(tmp_path / "one") == curve(tmp_path / "two") and len(curve(tmp_path / "one")) == 4
    one, two = saved(tmp_path / "one"), saved(tmp_path / "two")
    for part in ("identity", "model", "optimizer", "average", "parts", "losses", "passes"):
        assert same(one[part], two[part]), part
    assert not list((tmp_path / "two").glob("*.partial")) and two["step"] == 20


def test_four_ghost_batches_have_the_same_bits_in_one_process_and_in_two(make: Make, tmp_path: Path) -> None:
    make("one", strategy=Uniform(), ghost_batches=4).run(stop_at=3)
    said = together(
        2, lambda ranks: make("two", ranks, Uniform(), ghost_batches=4).run(stop_at=3) and "done", tmp_path / "found"
    )
    assert said == ["done", "done"]
    assert same(saved(tmp_path / "one")["model"], saved(tmp_path / "two")["model"])


def test_a_run_goes_on_with_another_number_of_processes_where_ghost_batches_say_so(make: Make, tmp_path: Path) -> None:
    """Two processes, then one with two ghost batches, then two again: the bits of a run that was not stopped."""
    make("straight", ghost_batches=2).run(stop_at=9)
    together(2, lambda ranks: make("run", ranks).run(stop_at=4) and None, tmp_path / "found")
    with pytest.raises(
        TrainingError,
        match=r"cuts batches into 2 parts, and this one cuts them into 1 part: .*set ghost_batches = 2 under",
    ):
        make("run").run()
    make("run", ghost_batches=2).run(stop_at=6)
    together(2, lambda ranks: make("run", ranks).run(stop_at=9) and None, tmp_path / "found")
    assert same(saved(tmp_path / "straight")["model"], saved(tmp_path / "run")["model"])
    assert saved(tmp_path / "run")["step"] == 9


@pytest.mark.parametrize(
    ("config", "world", "said"),
    [
        (
            {"ghost_batches": 3},
            1,
            "batch=32 cannot be cut into 3 equal ghost batches. Choose a multiple of 3, such as 33",
        ),
        ({"ghost_batches": 2}, 4, "ghost_batches=2 cannot be shared out over 4 processes. Choose a multiple of 4"),
        ({"batch": 31}, 2, "batch=31 cannot be cut into 2 equal ghost batches. Choose a multiple of 2"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_training(
    make: Make, config: dict[str, Any], world: int, said: str
) -> None:
    with pytest.raises(TrainingError, match=said):
        make("run", Ranks(0, world), **config)


class Gradients(Strategy):
    """A strategy that looks at whole gradients."""

    @override
    def recipe(self, run: Run) -> Recipe:
        run.bus.subscribe("gradient")
        return Recipe(UniformSampler())


def test_whole_gradients_are_not_gathered(make: Make) -> None:
    with pytest.raises(
        TrainingError, match="looks at the gradient of each subnet, which is not kept with ghost batches"
    ):
        make("run", strategy=Gradients(), ghost_batches=2)


def test_examples_and_weights_are_cut_alike() -> None:
    part = part_of(Picked(np.arange(8), np.arange(8) / 2), 3, 4)
    assert part.index.tolist() == [6, 7] and part.weight is not None and part.weight.tolist() == [3.0, 3.5]


# ---------------------------------------------------------------------- what goes wrong
#: what goes wrong, in which rank at which step; not a setting, so that the run can be taken up without it
ODD: dict[str, Any] = {}


class OddSampler(UniformSampler):
    """Draws something else in one rank at one step; or kills it, or interrupts it."""

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        if ODD and (now.step, self._run.ranks.rank) == (ODD["step"], ODD["rank"]):
            if ODD["what"] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if ODD["what"] == "interrupt":
                os.kill(os.getpid(), signal.SIGINT)
            if ODD["what"] == "draw":
                rng.random()
            if ODD["what"] == "fail":
                raise TrainingError("the loss is not finite.", hint="Lower lr.")
        return super().sample(now, rng)


class Odd(Strategy):
    """Uniform draws but for one rank at one step."""

    @override
    def recipe(self, run: Run) -> Recipe:
        return Recipe(OddSampler())


@pytest.mark.parametrize(
    ("what", "rank", "said", "step"),
    [
        (
            "draw",
            1,
            ["RankError: at step 5 rank 1 of 2 has other subnets, examples or weights in use than rank 0"] * 2,
            3,
        ),
        ("fail", 1, ["RankError: rank 1 of 2 stopped: the loss is not finite. Lower lr", "TrainingError: the loss"], 3),
        ("fail", 0, ["TrainingError: the loss", "RankError: rank 0 of 2 stopped: the loss is not finite"], 3),
        ("kill", 1, ["RankLost: at step 5 another process of this training ended", None], 3),
        ("kill", 0, [None, "RankLost: at step 5 another process of this training ended"], 3),
        ("interrupt", 1, ["KeyboardInterrupt: ", "KeyboardInterrupt: "], 6),
        ("interrupt", 0, ["KeyboardInterrupt: ", "KeyboardInterrupt: "], 6),
    ],
)
def test_a_rank_that_differs_fails_dies_or_is_interrupted_ends_all_and_the_run_goes_on_from_a_whole_checkpoint(
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    rank: int,
    said: list[str | None],
    step: int,
) -> None:
    """Saved every third step; after Ctrl-C the step that was under way is kept as well."""

    def train(ranks: Ranks) -> None:
        make("run", ranks, Odd()).run(stop_at=8)

    with monkeypatch.context() as patch:
        patch.setitem(ODD, "what", what)
        patch.setitem(ODD, "rank", rank)
        patch.setitem(ODD, "step", 5)
        found = together(2, train, tmp_path / "found")
    for one, expected in zip(found, said, strict=True):
        assert (one is None) if expected is None else str(one).startswith(expected), found
    assert saved(tmp_path / "run")["step"] == step
    assert together(2, train, tmp_path / "found") == [None, None]
    make("straight", strategy=Odd(), ghost_batches=2).run(stop_at=8)
    assert same(saved(tmp_path / "run")["model"], saved(tmp_path / "straight")["model"])


def test_ranks_with_other_settings_do_not_begin(make: Make, tmp_path: Path) -> None:
    found = together(2, lambda ranks: make("run", ranks, lr=0.1 * (1 + ranks.rank)).run(), tmp_path / "found")
    assert all("at step 0 rank 1 of 2 has other settings, data or versions than rank 0" in str(one) for one in found)
    assert not (tmp_path / "run" / "training.pt").exists()
