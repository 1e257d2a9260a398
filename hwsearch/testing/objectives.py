"""Conformance of computed objectives: subclass, name yours, and let pytest run it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.computed import ComputedMetric
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet


class ObjectiveConformance:
    """Test what `hwsearch.objectives.computed.ComputedMetric` promises; each method is one promise.

    Attributes
    ----------
    metric : ComputedMetric
        The metric under test.

    Examples
    --------
    ::

        class TestMine(ObjectiveConformance):
            metric = MY_METRIC
    """

    metric: ClassVar[ComputedMetric]

    def supernet(self) -> Supernet:
        """Make the network that the metric is computed on; override it for metrics of another family.

        Returns
        -------
        Supernet
            Of any weights: the embedded supernet's shape by default.
        """
        return catalogue.entry("cifar10-mbv3").build()

    def values(self) -> tuple[Supernet, IntArray, FloatArray]:
        """Compute the metric of 40 random architectures.

        Returns
        -------
        tuple of Supernet, ndarray and ndarray
            The network, rows of gene indices (40, genes), and their values (40,).
        """
        net = self.supernet()
        rows = net.space.sample_array(40, np.random.default_rng(0))
        return net, rows, self.metric.values(net, rows)

    def test_says_what_it_is(self) -> None:
        """It has a name, a unit and a direction."""
        assert isinstance(self.metric, ComputedMetric), "`metric` must be a ComputedMetric, not the function it calls"
        assert self.metric.name.isidentifier()
        assert self.metric.unit
        assert self.metric.direction in ("min", "max")

    def test_gives_one_finite_number_an_architecture(self) -> None:
        """Values are (n,), finite, and not all the same."""
        net, rows, values = self.values()
        assert len(set(values.tolist())) > 1, f"all {len(rows)} subnets have the same value: nothing to choose by"
        assert self.metric.values(net, rows[:0]).shape == (0,)

    def test_rows_are_independent(self) -> None:
        """A row has the same value alone and among others, in any order."""
        net, rows, values = self.values()
        backwards = self.metric.values(net, rows[::-1].copy())[::-1]
        assert values.tolist() == backwards.tolist(), "a subnet's value depends on the order of the rows"
        for row, value in zip(rows[:5], values[:5], strict=True):
            alone = float(self.metric.values(net, row[None])[0])
            assert alone == value, f"a subnet's value is {alone} alone and {value} among other rows"

    def test_rows_are_left_alone(self) -> None:
        """The given array is what it was."""
        net, rows, _ = self.values()
        before = rows.copy()
        self.metric.compute(net, rows)
        assert np.array_equal(rows, before), "`compute` changed the rows it was given: work on a copy"
