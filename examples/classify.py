"""Classify images with an exported subnet: onnxruntime, numpy, Pillow and pandas, nothing of hwsearch.

    python examples/classify.py runs/demo/models/cpu-b1-t1/ARCH.onnx

Reads the card beside the model for the preparation of images, classifies the test images that the
package ships, and compares the top-1 with the card's.
"""

import argparse
import io
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from PIL import Image

IMAGES = Path(__file__).parent.parent / "hwsearch" / "supernets" / "embedded" / "cifar10-images.parquet"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="an exported .onnx file, its .json card beside it")
    parser.add_argument("--images", type=Path, default=IMAGES, help="parquet with columns split, label, jpeg")
    args = parser.parse_args()
    card = json.loads(args.model.with_suffix(".json").read_text(encoding="utf-8"))
    prepare = card["input"]["preprocess"]
    side, mean, std = prepare["side"], np.float32(prepare["mean"]), np.float32(prepare["std"])
    session = onnxruntime.InferenceSession(args.model, providers=["CPUExecutionProvider"])

    table = pd.read_parquet(args.images)
    table = table[table["split"] == "test"].head(card["accuracy"]["images"])
    correct = 0
    for start in range(0, len(table), 250):
        rows = table.iloc[start : start + 250]
        pixels = [
            Image.open(io.BytesIO(j)).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
            for j in rows["jpeg"]
        ]
        x = (np.stack([np.asarray(p, dtype=np.float32) for p in pixels]) / 255 - mean) / std
        logits = session.run(None, {card["input"]["name"]: np.ascontiguousarray(x.transpose(0, 3, 1, 2))})[0]
        correct += int((logits.argmax(1) == rows["label"].to_numpy()).sum())
        if start == 0:
            first = [card["output"]["classes"][i] for i in logits[:5].argmax(1)]
            print(f"first images: {', '.join(first)}")
    top1 = 100 * correct / len(table)
    print(f"top-1 {top1:.2f} % on {len(table)} images; the card says {card['accuracy']['top1_percent']:.2f} %")
    loaded = {m.split(".")[0] for m in sys.modules}
    assert not loaded & {"torch", "hwsearch"}, "this example must not need torch or hwsearch"
    return 0 if abs(top1 - card["accuracy"]["top1_percent"]) <= 0.1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
