"""Classification of skeleton sequences: joints in space over time."""

from hwsearch.tasks.sequences.data import SequenceData
from hwsearch.tasks.sequences.preprocess import SkeletonPreprocess
from hwsearch.tasks.sequences.synthetic import synthetic_skeletons
from hwsearch.tasks.sequences.task import SkeletonTask

__all__ = ["SequenceData", "SkeletonPreprocess", "SkeletonTask", "synthetic_skeletons"]
