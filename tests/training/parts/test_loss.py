"""Losses against those written out."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.loss import Labels, Outputs
from hwsearch.training.strategies.uniform import Uniform


def test_mixed_examples_learn_both_targets(start) -> None:
    case = start(Uniform())
    logits, y, other = torch.randn(4, 3), torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    loss = Labels()
    loss.prepare(case.run)
    batch = Batch(torch.zeros(4), y, np.arange(4), 16, None, other, 0.3)
    draw = Draw(case.run.space.smallest())
    found = loss(Outputs(logits), batch, draw, None, case.recipe.schedule.at(0))
    soft = 0.3 * F.one_hot(y, 3) + 0.7 * F.one_hot(other, 3)
    torch.testing.assert_close(found, F.cross_entropy(logits, soft))
