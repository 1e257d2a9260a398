"""Training of supernets: one trainer, one file a strategy."""

from hwsearch.training.sandwich import Sandwich
from hwsearch.training.strategy import Strategy
from hwsearch.training.trainer import Trainer, TrainingConfig

__all__ = ["Sandwich", "Strategy", "Trainer", "TrainingConfig"]
