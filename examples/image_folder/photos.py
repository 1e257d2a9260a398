"""Write pictures of four shapes as folders of class folders, in place of photos of your own: train, val and test.

python photos.py photos
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

CLASSES = ("circle", "cross", "square", "triangle")
#: split, and pictures of each class
PARTS = (("train", 400), ("val", 100), ("test", 150))


def picture(kind: str, rng: np.random.Generator) -> Image.Image:
    """Draw one shape at random: its place, size and colour, on a noisy background; as photos, of no fixed size."""
    width, height = (int(v) for v in rng.integers(70, 130, 2))
    low = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(low).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    r = int(rng.integers(12, 24))
    x, y = int(rng.integers(r, width - r)), int(rng.integers(r, height - r))
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    if kind == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    elif kind == "square":
        draw.rectangle((x - r, y - r, x + r, y + r), fill=colour)
    elif kind == "triangle":
        draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=colour)
    else:
        draw.line((x - r, y, x + r, y), fill=colour, width=r // 2)
        draw.line((x, y - r, x, y + r), fill=colour, width=r // 2)
    return image.filter(ImageFilter.GaussianBlur(0.8))


def write(folder: Path, parts: tuple[tuple[str, int], ...] = PARTS, seed: int = 0) -> None:
    """Write ``SPLIT/CLASS/NUMBER.jpg``."""
    rng = np.random.default_rng(seed)
    for split, count in parts:
        for kind in CLASSES:
            place = folder / split / kind
            place.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                picture(kind, rng).save(place / f"{i:04}.jpg", quality=90)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
