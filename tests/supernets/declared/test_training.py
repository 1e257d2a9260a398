"""A declared network learns with shared weights: the worked example, short and whole."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch

from hwsearch.accuracy import subnet_score
from hwsearch.supernets.declared.elastic import elastic
from hwsearch.supernets.families.cifar10 import images
from hwsearch.tasks.images import ImageTask


@pytest.fixture(scope="module")
def example() -> ModuleType:
    path = Path(__file__).parents[3] / "examples" / "elastic_resnet18.py"
    spec = spec_from_file_location("elastic_resnet18", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_few_seconds_of_training_teach_all_subnets(example: ModuleType) -> None:
    """Chance is 10 %; before training every subnet is within reach of it."""
    torch.manual_seed(0)
    net = elastic(example.ResNet18(width=8), example.DECLARATION, input_shape=(3, 32, 32), resolutions=(16, 24))
    ends = (net.space.smallest(), net.space.largest())
    calibration, test = images()["calibration"].head(500), images()["test"].head(1000)
    untrained = [subnet_score(ImageTask(), net, arch, calibration, test).value for arch in ends]
    example.train(net, 3)
    trained = [subnet_score(ImageTask(), net, arch, calibration, test).value for arch in ends]
    assert max(untrained) < 20 and min(trained) > 25


@pytest.mark.slow
def test_the_worked_example_learns(
    example: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["elastic_resnet18.py"])
    assert example.main() == 0
    top1 = [float(v) for v in re.findall(r"top-1 ([\d.]+)", capsys.readouterr().out)]
    assert len(top1) == 5 and min(top1) > 38 and top1[-1] > 42
