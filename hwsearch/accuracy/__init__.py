"""How good a subnet is: data, batch-norm recalibration, top-1 with its error."""

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
    "Score",
    "assess",
    "calibrated_subnet",
    "evaluate",
    "from_arrays",
    "from_folder",
    "from_parquet",
    "recalibrate",
    "subnet_accuracy",
    "unpack",
]
