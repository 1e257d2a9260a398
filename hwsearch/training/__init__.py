"""Training of supernets: one trainer, one file a strategy; and fine-tuning of a single subnet (`finetune`)."""

from hwsearch.training.strategies.base import Strategy
from hwsearch.training.strategies.sandwich import Sandwich
from hwsearch.training.trainer import Trainer, TrainingConfig

__all__ = ["Sandwich", "Strategy", "Trainer", "TrainingConfig"]
