"""Objectives: metrics with a direction and perhaps a limit, dominance among measured values, and Pareto fronts."""

from hwsearch.objectives.computed import ComputedMetric, computed_metric, computed_metrics
from hwsearch.objectives.front import Front
from hwsearch.objectives.limit import Limit, parse_limit
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import attainment, hypervolume, non_dominated, reference_point

__all__ = [
    "ComputedMetric",
    "Front",
    "Limit",
    "Objective",
    "attainment",
    "computed_metric",
    "computed_metrics",
    "hypervolume",
    "non_dominated",
    "parse_limit",
    "reference_point",
]
