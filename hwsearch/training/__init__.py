"""Training of supernets: one trainer, one file a strategy; and fine-tuning of a single subnet."""

from hwsearch.training.finetune import FinetuneConfig, finetune
from hwsearch.training.strategies.base import Strategy
from hwsearch.training.strategies.sandwich import Sandwich
from hwsearch.training.trainer import Trainer, TrainingConfig

__all__ = ["FinetuneConfig", "Sandwich", "Strategy", "Trainer", "TrainingConfig", "finetune"]
