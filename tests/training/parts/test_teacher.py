"""The frozen teacher."""

from __future__ import annotations

import numpy as np
import torch

from hwsearch.training.parts.batch import Batch
from hwsearch.training.strategies.ofa import ProgressiveShrinking


def test_the_frozen_teacher_is_the_largest_as_it_was(start) -> None:
    case = start(ProgressiveShrinking(kernel=0.5), 8)
    teacher = case.recipe.teacher
    x, y = next(case.run.data.batches(16, 32))
    batch = Batch(x, y, np.arange(32), 16)
    teacher.advance(3)
    assert teacher.outputs(batch) is None
    teacher.advance(4)
    net = case.net.eval()
    net.activate(case.run.space.largest())
    with torch.no_grad():
        expected = net(x)
        next(net.parameters()).add_(1.0)
    assert torch.equal(teacher.outputs(batch).logits, expected)
    again = start(ProgressiveShrinking(kernel=0.5), 8).recipe.teacher
    again.load_state_dict(teacher.state_dict())
    assert torch.equal(again.outputs(batch).logits, expected)
