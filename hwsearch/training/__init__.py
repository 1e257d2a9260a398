"""Training of supernets: one trainer, one file a strategy; and fine-tuning of a single subnet."""

from hwsearch.training.finetuning import FinetuneConfig, finetune
from hwsearch.training.sandwich import Sandwich
from hwsearch.training.strategy import Strategy
from hwsearch.training.trainer import Trainer, TrainingConfig

__all__ = ["FinetuneConfig", "Sandwich", "Strategy", "Trainer", "TrainingConfig", "finetune"]
