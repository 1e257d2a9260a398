"""How good a subnet is: data, batch-norm recalibration, top-1 with its error, and the front of many."""

from hwsearch.accuracy.budget import RaceResult, front_accuracy, race
from hwsearch.accuracy.evaluate import (
    Z90,
    Accuracy,
    Score,
    assess,
    calibrated_subnet,
    evaluate,
    subnet_accuracy,
    unpack,
)
from hwsearch.accuracy.recalibrate import recalibrate
from hwsearch.images import ImageData, Preprocess, from_arrays, from_folder, from_parquet

__all__ = [
    "Z90",
    "Accuracy",
    "ImageData",
    "Preprocess",
    "RaceResult",
    "Score",
    "assess",
    "calibrated_subnet",
    "evaluate",
    "from_arrays",
    "from_folder",
    "from_parquet",
    "front_accuracy",
    "race",
    "recalibrate",
    "subnet_accuracy",
    "unpack",
]
