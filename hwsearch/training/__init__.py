"""Training of supernets: one trainer, one file a strategy; and fine-tuning of a single subnet (`finetune`)."""

from hwsearch.training.config import TrainingConfig
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.strategies.base import Strategy
from hwsearch.training.strategies.sandwich import Sandwich
from hwsearch.training.trainer import Trainer

__all__ = ["Recipe", "Run", "Sandwich", "Strategy", "Trainer", "TrainingConfig"]
