"""Shares of a training at 224 pixels: the step itself, decoding, and preparing batches.

    python -m benchmarks.training_images [--quick] [--json] [--folder DIR] [--images N] [--steps N] [--batch N]

Writes photos of 500 × 375 pixels as JPEG, and trains an elastic MobileNetV3 on them at up to 224 pixels by the sandwich rule, with
the kernels that `hwsearch train` would take: from the file of decoded images, and decoding in every step. In ``summary``:

- ``step_share``: share of the wall time that is not the preparation of batches, from the file (goal: 0.9 or more);
  ``step_share_decoding`` without the file
- ``step_cpu_share``, ``step_cpu_share_decoding``: the same of processor time, which other processes of a shared machine disturb less
- ``busy``: processor time of the steps, preparation left out, over wall time and cores (goal: 0.9 or more, on an idle machine)
- ``prepare_ms``, ``prepare_decoding_ms``: preparing one batch; ``prepare_cpu_ms``, ``prepare_decoding_cpu_ms`` of processor time
- ``decode_s``, ``open_s``: making the file, and opening it again with its checksums
- ``pillow_per_s``, ``simplejpeg_per_s``: images decoded a second by one thread, without resizing
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from PIL import Image

from benchmarks.frame import Benchmark, Result, Run
from hwsearch.devices.threads import compute_threads
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.kernels import choose
from hwsearch.tasks.images import ImageData, ImageTask, Preprocess, decoded, from_folder, jpeg
from hwsearch.tasks.images import data as images_module
from hwsearch.training import Sandwich, Trainer, TrainingConfig
from hwsearch.training import trainer as trainer_module
from hwsearch.training.allocator import keep_freed_memory

SIDE = 224
CONFIG = MobileNetV3Config(
    "bench-224",
    (
        Stage(24, 2, "relu", False),
        Stage(40, 2, "relu", True),
        Stage(80, 2, "h_swish", False),
        Stage(112, 1, "h_swish", True),
    ),
    final_width=576,
    mix_width=768,
    classes=2,
    kernels=(3, 5),
    depths=(1, 2),
    resolutions=(160, 192, 224),
)


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--images", type=int, help="default: 1000; quick: 500")
    parser.add_argument("--steps", type=int, help="default: 12; quick: 3")
    parser.add_argument("--batch", type=int, default=64, help="default: 64")


def write_photos(folder: Path, n: int) -> None:
    """Write smooth pictures with some noise: about 50 kB each."""
    rng = np.random.default_rng(0)
    for i in range(n):
        place = folder / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        low = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
            (500, 375), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(low, np.int16) + rng.integers(-12, 13, (375, 500, 3), dtype=np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place / f"{i}.jpg", quality=85)


class Clock:
    """Wall and processor time of the preparation of batches, and of all steps but the first."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.started: list[tuple[float, float]] = []

    def timed(self, prepare: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the function that prepares a batch; each call begins a step."""

        def wrapped(*args: Any) -> Any:
            self.started.append((time.perf_counter(), time.process_time()))
            found = prepare(*args)
            wall, cpu = self.started[-1]
            self.wall.append(time.perf_counter() - wall)
            self.cpu.append(time.process_time() - cpu)
            return found

        return wrapped

    def figures(self, cores: int) -> dict[str, float]:
        """Sum up the steps between the second preparation and the last one."""
        (w0, c0), (w1, c1) = self.started[1], self.started[-1]
        wall, cpu = w1 - w0, c1 - c0
        prepare, prepare_cpu = sum(self.wall[1:-1]), sum(self.cpu[1:-1])
        steps = len(self.started) - 2
        return {
            "step_ms": 1000 * wall / steps,
            "prepare_ms": 1000 * prepare / steps,
            "step_share": 1 - prepare / wall,
            "step_cpu_share": 1 - prepare_cpu / cpu,
            "prepare_cpu_ms": 1000 * prepare_cpu / steps,
            "busy": (cpu - prepare_cpu) / (wall * cores),
        }


@contextmanager
def file_of_images(on: bool, place: Path) -> Iterator[None]:
    """Keep decoded images in a file, or decode them in every step."""
    with mock.patch.dict(os.environ, {decoded.VARIABLE: str(place) if on else "off"}):
        if on:
            yield
        else:
            with mock.patch.object(images_module, "CACHE_BYTES", 0):
                yield


def trained(data: ImageData, steps: int, batch: int) -> dict[str, float]:
    """Train some steps, and time them."""
    net = ElasticMobileNetV3(CONFIG)
    init_weights(net, 0)
    clock = Clock()
    config = TrainingConfig(steps=steps + 2, batch=batch, checkpoint_steps=10**6)
    with (
        tempfile.TemporaryDirectory(prefix="hwsearch-bench-") as folder,
        mock.patch.object(trainer_module, "prepare_batch", clock.timed(trainer_module.prepare_batch)),
    ):
        task = ImageTask(data.preprocess)
        Trainer(net, Sandwich(random=2), task, data, config, Path(folder), kernels=choose("auto")).run()
    return clock.figures(torch.get_num_threads())


def per_second(decode: Callable[[bytes], object], photos: list[bytes]) -> float:
    """Count the images that one thread decodes a second."""
    started = time.process_time()
    for photo in photos:
        decode(photo)
    return len(photos) / (time.process_time() - started)


def pillow(photo: bytes) -> object:
    """Decode by Pillow."""
    import io

    with Image.open(io.BytesIO(photo)) as image:
        return np.asarray(image.convert("RGB"))


def run(given: Run) -> Result:
    """Train from the file and from JPEG."""
    n = given.args.images or (500 if given.quick else 1000)
    steps = given.args.steps or (3 if given.quick else 12)
    torch.set_num_threads(compute_threads())
    keep_freed_memory()
    photos, place = given.folder / "photos", given.folder / "decoded"
    for old in (photos, place):
        shutil.rmtree(old, ignore_errors=True)
    write_photos(photos, n)
    read = lambda: from_folder(photos, Preprocess(crop=0.875))  # noqa: E731
    few = [read().images[i] for i in range(min(n, 100))]
    rows, spent = [], {}
    for where, on in (("file", True), ("decoding", False)):
        with file_of_images(on, place):
            for name in ("decode_s", "open_s") if on else ():
                started = time.perf_counter()
                read().keep_for_training(SIDE)
                spent[name] = time.perf_counter() - started
            figures = trained(read(), steps, given.args.batch)
        rows.append({"images": where, **figures})
        given.say(f"{where}: {figures}")
    first, second = rows
    summary = {
        "step_share": first["step_share"],
        "step_share_decoding": second["step_share"],
        "step_cpu_share": first["step_cpu_share"],
        "step_cpu_share_decoding": second["step_cpu_share"],
        "busy": first["busy"],
        "prepare_ms": first["prepare_ms"],
        "prepare_decoding_ms": second["prepare_ms"],
        "prepare_cpu_ms": first["prepare_cpu_ms"],
        "prepare_decoding_cpu_ms": second["prepare_cpu_ms"],
        "step_ms": first["step_ms"],
        **spent,
        "pillow_per_s": per_second(pillow, few),
        "simplejpeg_per_s": per_second(lambda p: jpeg.decode_jpeg(p, 10**7), few) if jpeg.decoder() else None,
    }
    for old in (photos, place):
        shutil.rmtree(old, ignore_errors=True)
    return Result(
        summary, pd.DataFrame(rows), {"images": n, "kernels": str(choose("auto")), "threads": torch.get_num_threads()}
    )


BENCHMARK = Benchmark(
    "training_images",
    "Share of the step itself in a training at 224 pixels",
    "500 images, 3 steps",
    run,
    options,
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
