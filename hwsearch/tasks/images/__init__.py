"""Image classification: labelled images, their preprocessing and readers."""

from hwsearch.tasks.images.data import ImageData
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.readers import from_arrays, from_folder, from_parquet
from hwsearch.tasks.images.task import ImageTask

__all__ = ["ImageData", "ImageTask", "Preprocess", "from_arrays", "from_folder", "from_parquet"]
