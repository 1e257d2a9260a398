"""Relations between places, and classes of sizes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hwsearch.errors import TrainingError
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.loss import Outputs
from hwsearch.training.strategies.autodistil import AutoDistil, Relations, relations
from hwsearch.training.strategies.uniform import Uniform

Start = Callable[..., SimpleNamespace]


def test_relations_do_not_depend_on_the_number_of_channels() -> None:
    maps = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    assert relations(maps).shape == (2, 12, 12) == relations(maps[:, :3]).shape
    assert relations(maps, (2, 2)).shape == (2, 4, 4)
    tokens = maps.flatten(2).transpose(1, 2)
    torch.testing.assert_close(relations(tokens), relations(maps))


def test_a_student_that_relates_as_its_teacher_does_loses_nothing(start: Start) -> None:
    run = start(Uniform()).run
    loss = Relations(weight=1.0, outputs=0.0)
    loss.prepare(run)
    maps = torch.randn(4, 6, 3, 3, generator=torch.Generator().manual_seed(0))
    batch = Batch(torch.zeros(4), torch.zeros(4).long(), np.arange(4), 16)
    draw, now, logits = Draw(run.space.smallest()), None, torch.zeros(4, 3)

    def of(features: torch.Tensor) -> float:
        return float(loss(Outputs(logits, features), batch, draw, Outputs(logits, maps), now))  # type: ignore[arg-type]

    assert of(3 * maps) == pytest.approx(0.0, abs=1e-5)  # a layer norm takes the scale away
    assert of(maps.flip(0)) > 0.01 and of(-maps) == pytest.approx(0.0, abs=1e-5)


def test_a_cell_holds_its_class_of_sizes(start: Start) -> None:
    run = start(Uniform()).run
    cells = AutoDistil(cells=3).partition(run)
    for k, cell in enumerate(cells):
        recipe = AutoDistil(cells=3, cell=k).recipe(run)
        recipe.prepare(run)
        draws = recipe.sampler.sample(recipe.schedule.at(0), np.random.default_rng(0))
        macs = [run.supernet.macs(d.arch) for d in draws]
        assert cell.macs.min() == min(macs) and cell.macs.max() == macs[0] == max(macs)
    with pytest.raises(TrainingError, match="cell=3 is none of the 3 cells"):
        AutoDistil(cells=3, cell=3).recipe(run)
