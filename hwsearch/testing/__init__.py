"""Conformance suites for plug-ins; they need pytest. Subclass one in your own tests."""

from __future__ import annotations

from hwsearch.testing import _rewriting  # noqa: F401 - first: it acts on the modules that are imported after it
from hwsearch.testing.objectives import ObjectiveConformance
from hwsearch.testing.predictors import PredictorConformance
from hwsearch.testing.runtimes import RuntimeConformance
from hwsearch.testing.searchers import SearcherConformance
from hwsearch.testing.strategies import StrategyConformance
from hwsearch.testing.supernets import SupernetConformance
from hwsearch.testing.tasks import TaskConformance
from hwsearch.testing.weights import seeded_weights

__all__ = [
    "ObjectiveConformance",
    "PredictorConformance",
    "RuntimeConformance",
    "SearcherConformance",
    "StrategyConformance",
    "SupernetConformance",
    "TaskConformance",
    "seeded_weights",
]
