"""Accuracy of subnets: batch-norm recalibration, the score of one, and the front of many."""

from hwsearch.accuracy.evaluate import calibrated_subnet, subnet_score
from hwsearch.accuracy.front import front_accuracy
from hwsearch.accuracy.racing import RaceResult, race
from hwsearch.accuracy.recalibrate import recalibrate
from hwsearch.tasks.classification import Accuracy
from hwsearch.tasks.score import Z95, Score

__all__ = [
    "Z95",
    "Accuracy",
    "RaceResult",
    "Score",
    "calibrated_subnet",
    "front_accuracy",
    "race",
    "recalibrate",
    "subnet_score",
]
