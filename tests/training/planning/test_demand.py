"""What is counted against what a training really adds up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hwsearch.errors import TrainingError
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import TrainingConfig
from hwsearch.training.ghosts import run_ghosts
from hwsearch.training.parts.run import Run
from hwsearch.training.planning import Counted, Demand, stage_demand
from hwsearch.training.precision import Precision
from hwsearch.training.recipes import make_strategy
from hwsearch.training.trainer import assemble


@pytest.mark.parametrize("name", ["sandwich", "bignas", "uniform", "deps"])
def test_bytes_are_those_that_a_step_adds_up(name: str, make_net: Callable[..., Any], toy: ImageData) -> None:
    net, task = make_net(), ImageTask(toy.preprocess)
    config = TrainingConfig(steps=20, batch=32, ghost_batches=2)
    found = stage_demand(name, net, make_strategy(name, {}), task, toy, config, 2)
    run = Run(net.train(), task, toy, config)
    recipe = assemble(make_strategy(name, {}), run)
    precision = Precision("fp32", run.device)
    rng = np.random.default_rng(0)
    now = recipe.schedule.at(19)
    done, _ = run_ghosts(
        recipe, run, recipe.data.pick(now), now, rng, autocast=precision.autocast, scaled=precision.scaled
    )
    row = recipe.reducer._rows[0]
    assert row.dtype == torch.float32
    # a step may leave parameters out that none of its subnets uses; with the largest among them it leaves out none
    assert (4 * row.numel() == found.sum_bytes) if name != "uniform" else (4 * row.numel() <= found.sum_bytes)
    assert found.rows == 1 and found.steps == 20
    assert done.passes == found.passes if name != "deps" else 1 < found.passes < done.passes


def test_batches_that_cannot_be_shared_out_are_refused(make_net: Callable[..., Any], toy: ImageData) -> None:
    task, strategy = ImageTask(toy.preprocess), make_strategy("uniform", {})
    with pytest.raises(TrainingError, match="cannot be cut into 3"):
        stage_demand("uniform", make_net(), strategy, task, toy, TrainingConfig(steps=5, batch=32), 3)
    with pytest.raises(TrainingError, match="do not fill one batch"):
        stage_demand("uniform", make_net(), strategy, task, Counted(7, None), TrainingConfig(batch=32), 2)


def test_a_number_stands_for_examples(make_net: Callable[..., Any], toy: ImageData) -> None:
    task, config = ImageTask(toy.preprocess), TrainingConfig(epochs=3, batch=32)
    found = stage_demand("pada", make_net(), make_strategy("pada", {}), task, Counted(1000, toy), config, 2)
    assert found.steps == 3 * (1000 // 32)
    with pytest.raises(TrainingError, match="looks at examples"):
        stage_demand("pada", make_net(), make_strategy("pada", {}), task, Counted(1000, None), config, 2)


def test_modules_that_are_trained_apart_exchange_nothing(make_net: Callable[..., Any], toy: ImageData) -> None:
    """Of the toy net, two modules: the meta network trains half the steps with one subnet, a module all with four at most."""
    task, config = ImageTask(toy.preprocess), TrainingConfig(steps=20, batch=32)

    def planned(world: int, **settings: Any) -> Demand:
        return stage_demand("assemble", make_net(), make_strategy("assemble", settings), task, toy, config, world)

    both = planned(2)
    assert both.sum_bytes == 0 and both.told_bytes == 0 and both.shares == 2
    assert both.steps == 10 + 20 and 10 * 1 + 20 * 2 < both.passes * both.steps <= 10 * 1 + 20 * 4
    assert planned(2, meta=0.0).steps == 20 and planned(2, meta=2.0).steps == 40 + 20
    in_turn = planned(1)
    assert in_turn.steps == 10 + 2 * 20 and in_turn.shares == 1
    assert planned(5).steps == both.steps  # whole batches need not be shared out
    with pytest.raises(TrainingError, match=r"module = 1 does not belong.*Leave it out"):
        planned(2, module=1)
