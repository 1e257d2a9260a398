"""Objectives: metrics with a direction and perhaps a limit, dominance among measured values, and Pareto fronts.

Each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsearch._package import lazy_names

#: where each name is defined
PLACES = {
    "ComputedMetric": "hwsearch.objectives.computed",
    "Front": "hwsearch.objectives.front",
    "Limit": "hwsearch.objectives.limit",
    "Objective": "hwsearch.objectives.objective",
    "attainment": "hwsearch.objectives.pareto",
    "computed_metric": "hwsearch.objectives.computed",
    "computed_metrics": "hwsearch.objectives.computed",
    "hypervolume": "hwsearch.objectives.pareto",
    "non_dominated": "hwsearch.objectives.pareto",
    "parse_limit": "hwsearch.objectives.limit",
    "reference_point": "hwsearch.objectives.pareto",
}

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_names(__name__, PLACES)
