"""How good a subnet is: data, batch-norm recalibration, top-1 with its error, and the front of many."""

from hwsearch.accuracy.evaluate import assess, calibrated_subnet, evaluate, subnet_accuracy
from hwsearch.accuracy.racing import RaceResult, front_accuracy, race
from hwsearch.accuracy.recalibrate import recalibrate
from hwsearch.tasks.images.data import ImageData
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.readers import from_arrays, from_folder, from_parquet
from hwsearch.tasks.score import Z90, Accuracy, Score, unpack

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
