"""The program that classifies a photo, and the example that runs it: its preparation is the package's, and it needs nothing of the package."""

from __future__ import annotations

import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hwsearch.exporters import write_bundle
from hwsearch.exporters.onnx.lower import lower
from hwsearch.reporting.deploy import runner_source
from hwsearch.supernets import catalogue
from hwsearch.tasks.images.preprocess import Preprocess

ROOT = Path(__file__).parents[2]
EXAMPLE, PROGRAM = ROOT / "examples" / "classify.py", ROOT / "hwsearch" / "reporting" / "templates" / "classify.py"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_report_puts_the_program_that_the_example_runs_beside_its_models() -> None:
    example = runpy.run_path(str(EXAMPLE))
    assert example["PROGRAM"] == PROGRAM and runner_source() == PROGRAM.read_bytes()


@pytest.mark.parametrize(
    ("crop", "base", "side"), [(1.0, None, 28), (0.875, None, 40), (0.875, 64, 48), (0.875, 64, 80)]
)
def test_images_are_prepared_as_for_the_accuracies(photo: Path, crop: float, base: int | None, side: int) -> None:
    spec = importlib.util.spec_from_file_location("classify", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    how = Preprocess(crop=crop, base=base)
    with Image.open(photo) as image:
        expected = how.tensor(how.pixels(image, base or side)[None], side).numpy()
        found = module.prepared(image, {"side": side, **how.to_dict()})
    np.testing.assert_allclose(found, expected, atol=5e-5)


def test_an_exported_subnet_classifies_a_photo_without_the_package(photo: Path, tmp_path: Path) -> None:
    entry = catalogue.entry("cifar10-mbv3")
    supernet = entry.build().eval()
    arch = supernet.space.smallest()
    net, side = supernet.subnet(arch).eval(), supernet.input_size(arch)
    model = lower(net, supernet.input_shape(arch))
    how = Preprocess(mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616))
    classes = [f"class {i}" for i in range(10)]
    card = {"input": {"preprocess": {"side": side, **how.to_dict()}}, "output": {"classes": classes}}
    write_bundle(tmp_path / "net.onnx", model, card)
    names = ("torch", "hwsearch", "pandas")
    code = (
        f"import runpy, sys; sys.argv = ['classify.py', {str(tmp_path / 'net.onnx')!r}, {str(photo)!r}]\n"
        f"try: runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')\n"
        f"except SystemExit as end: assert end.code == 0 and not set({names!r}) & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(photo) as image, torch.no_grad():
        logits = net(how.tensor(how.pixels(image, side)[None], side))[0]
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and lines[0].split("%")[1].strip() == classes[int(logits.argmax())]
    shares = [float(line.split("%")[0]) for line in lines]
    np.testing.assert_allclose(shares, 100 * logits.softmax(0).sort(descending=True).values[:5], atol=0.06)
    assert json.loads((tmp_path / "net.json").read_text())["file"] == "net.onnx"
