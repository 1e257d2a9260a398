"""Write some of the images that the package ships as folders of class folders: train, val and test.

python images.py images
"""

import io
import sys
from pathlib import Path

from PIL import Image

from hwsearch.supernets.families.cifar10 import images

#: split here, split of the shipped file, first and last image
PARTS = (("train", "calibration", 0, 1000), ("val", "validation", 0, 400), ("test", "test", 0, 600))


def write(folder: Path, parts: tuple[tuple[str, str, int, int], ...] = PARTS) -> None:
    """Write ``SPLIT/CLASS/NUMBER.png``."""
    for name, split, first, last in parts:
        data = images()[split]
        for i in range(first, last):
            place = folder / name / data.classes[data.labels[i]]
            place.mkdir(parents=True, exist_ok=True)
            with Image.open(io.BytesIO(data.images[i])) as image:
                image.save(place / f"{i:04}.png")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
