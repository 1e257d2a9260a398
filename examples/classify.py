"""Classify a photo with an exported subnet: needs onnxruntime, numpy and Pillow, nothing else.

    python examples/classify.py MODEL.onnx PHOTO.jpg

This runs the program that a report puts into ``models/``, from its place in this checkout; to take it elsewhere, copy that one.
"""

from __future__ import annotations

import runpy
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "hwsearch" / "reporting" / "templates" / "classify.py"

if __name__ == "__main__":
    runpy.run_path(str(PROGRAM), run_name="__main__")
