"""Strategies of supernet training, one file each, by name."""

from __future__ import annotations

from hwsearch.errors import TrainingError
from hwsearch.registry import Registry
from hwsearch.training.strategies.base import Strategy

STRATEGIES: Registry[type[Strategy]] = Registry(
    "hwsearch.strategies",
    "training strategy",
    TrainingError,
    lambda found: isinstance(found, type) and issubclass(found, Strategy),
    "a Strategy class",
)
