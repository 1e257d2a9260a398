"""Where a training computes: what is chosen and refused, and that nothing is left behind on the processor."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch.utils import backend_registration

from hwsearch.errors import TrainingError
from hwsearch.training.compute_device import compute_device, moved, on_processor
from tests.training.pretended import cases

Found = Callable[[int], None]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Found:
    """Lets torch find so many GPUs."""

    def have(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return have


@pytest.mark.parametrize(
    ("name", "count", "place", "processes", "expected"),
    [
        ("auto", 0, 0, 1, "cpu"),
        ("auto", 1, 0, 1, "cuda:0"),
        ("auto", 4, 3, 4, "cuda:3"),
        ("auto", 1, 1, 2, "cpu"),  # on one GPU two would wait for each other
        ("cpu", 4, 0, 1, "cpu"),
        ("cuda", 2, 0, 1, "cuda:0"),
        ("cuda", 2, 1, 2, "cuda:1"),
        ("cuda:1", 2, 0, 1, "cuda:1"),
    ],
)
def test_each_process_of_a_host_gets_the_gpu_of_its_number(
    gpus: Found, name: str, count: int, place: int, processes: int, expected: str
) -> None:
    gpus(count)
    assert str(compute_device(name, place, processes)) == expected


@pytest.mark.parametrize(
    ("name", "count", "processes", "said"),
    [
        ("gpu", 1, 1, r"device='gpu' is not valid: choose auto, cpu, cuda, cuda:N"),
        ("cuda:", 1, 1, "is not valid"),
        ("cuda:-1", 1, 1, "is not valid"),
        ("cuda:1\n", 2, 1, "is not valid"),
        ("cuda:2", 2, 1, r"there is no GPU 2, torch finds 2 \(counted from 0\). Choose one below 2"),
        ("cuda:0", 2, 2, r"is one GPU, and 2 processes of this host would share it. Use device cuda"),
        ("cuda", 2, 3, r"3 processes of this host need a GPU each, and torch finds 2. Start 2"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(
    gpus: Found, name: str, count: int, processes: int, said: str
) -> None:
    gpus(count)
    with pytest.raises(TrainingError, match=said):
        compute_device(name, 0, processes)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_without_a_gpu_the_message_says_what_to_install(
    gpus: Found, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    gpus(0)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(TrainingError, match=r"is a build for processors only.*Install a build with CUDA"):
        compute_device(name)
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    with pytest.raises(TrainingError, match=r"finds no GPU.*nvidia-smi.*driver"):
        compute_device(name)


def test_inputs_of_several_tensors_are_moved_one_by_one() -> None:
    first, second = moved((torch.ones(2), torch.ones(3)), torch.device("meta"))
    assert (first.device.type, second.device.type, second.shape) == ("meta", "meta", (3,))


def test_a_state_keeps_its_form_on_the_way_to_the_processor() -> None:
    state = {"a": [torch.ones(1), 2], "b": ("x", {3: None})}
    assert on_processor(state) == state and type(on_processor(state)["b"]) is tuple


# ---------------------------------------------------------------------- nothing is forgotten
#: those that are trained in each run of the tests; the others take a minute
FEW = ["images, ofa", "declared, tangle", "masked", "scaled, pada"]


def on_the_pretended_device(*names: str) -> dict[str, str]:
    """Train on the processor and on the device that `tests.training.pretended` makes; what differed, by case."""
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this torch has no devices in Python")
    command = [sys.executable, "-m", "tests.training.pretended", *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout, done.stderr[-3000:]
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("mixing").startswith("Expected all tensors to be on the same device: aten.add")
    return found


@pytest.mark.parametrize(
    "names", [FEW, pytest.param([name for name in cases() if name not in FEW], marks=pytest.mark.slow)]
)
def test_a_training_on_another_device_has_the_bits_of_the_processor(names: list[str]) -> None:
    """Batches, teachers, averages, experts, logits, feedback, scaled losses and checkpoints, also when taken up again."""
    assert on_the_pretended_device(*names) == dict.fromkeys(names, "")
