"""From nothing to ONNX in about a minute: make tables, train the elastic perceptron, search it, export the picks.

python examples/plugins/tabular/run.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

import hwsearch
from hwsearch.supernets.checkpoint import digest, save_weights
from hwsearch.tasks.data import NO_LIMIT
from hwsearch.training import Sandwich, Trainer, TrainingConfig

sys.path.insert(0, str(Path(__file__).parent))
from hwsearch_tabular import COLUMNS, ENTRY

CONFIG = """
[supernet]
name = "{plugin}:ENTRY"
checkpoint = "{folder}/tabular-mlp.safetensors"

[data]
validation = "{folder}/validation.csv"
test = "{folder}/test.csv"
validation_images = 400
test_images = 400

[profile]
latency = 10
accuracy = 10
random = 2

[search]
rounds = 2
per_round = 3

[validate]
candidates = 4
processes = [1, 2]
rounds = 0

[protocol]
processes = [1, 2]
visits = 3

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[[device]]
name = "this-cpu"
threads = 1
"""


def friedman(n: int, seed: int) -> np.ndarray:
    """Draw rows of the first function of Friedman (1991), scaled to about 1: five columns matter, three do not."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, COLUMNS))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return np.column_stack([x, (y - 14.4) / 4.9 + 0.1 * rng.standard_normal(n)])


def prepare(folder: Path, *, rows: int = 4000, epochs: int = 8) -> Path:
    """Write tables, weights of a trained supernet, and a configuration; return the path of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the network is too small for more
    for seed, (split, n) in enumerate({"train": rows, "validation": 400, "test": 400}.items()):
        np.savetxt(folder / f"{split}.csv", friedman(n, seed), delimiter=",", fmt="%.6g")
    task = ENTRY.find_task()
    net = ENTRY.build()
    config = TrainingConfig(epochs=epochs, batch=64, lr=0.02)
    data = task.read(str(folder / "train.csv"), limit=NO_LIMIT)
    Trainer(net, Sandwich(random=1), task, data, config, folder / "training").run()
    save_weights(net, folder / "tabular-mlp.safetensors", {"supernet": ENTRY.name, "digest": digest(net)})
    path = folder / "campaign.toml"
    plugin = Path(__file__).parent / "hwsearch_tabular.py"
    path.write_text(CONFIG.format(folder=folder.resolve().as_posix(), plugin=plugin.resolve().as_posix()))
    return path


def main(folder: Path) -> None:
    """Prepare everything in `folder` and run the campaign there."""
    result = hwsearch.run(prepare(folder), folder=folder / "campaign")
    for device in result["devices"]:
        for pick in device["picks"]:
            print(f"{pick['label']}: R² {pick['accuracy']:.1f} %, {pick['latency_ms']:.4f} ms, {pick['file']}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/tabular"))
