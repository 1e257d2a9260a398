"""The plug-in passes the suites that hwsearch ships: run with ``pytest examples/plugins/tabular``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.supernets.declared.module import ElasticModule
from hwsearch.testing import SupernetConformance, TaskConformance

sys.path.insert(0, str(Path(__file__).parent))
from hwsearch_tabular import COLUMNS, R2, Perceptron, Table, TabularTask, build


class TestTask(TaskConformance):
    def make(self) -> TabularTask:
        return TabularTask()

    def data(self) -> Table:
        rng = np.random.default_rng(0)
        x = rng.random((40, COLUMNS), dtype=np.float32)
        return Table(x, x[:, 0] - 2 * x[:, 1], self.make().preprocess)

    def net(self) -> nn.Module:
        torch.manual_seed(0)
        return Perceptron(8, 16, 1)


class TestSupernet(SupernetConformance):
    def make(self) -> ElasticModule:
        return build()


def test_r2_by_hand() -> None:
    """Targets 1, 2, 3 have a sum of squares of 2 around their mean; errors 0, 1, 0 leave half of it explained."""
    y, error = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.0])
    score = R2(np.column_stack([np.ones(3), y, y**2, error**2]))
    assert score.value == pytest.approx(50.0)
