"""Training one task after the other: nothing is forgotten, to the bit; the same training goes on after Ctrl-C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hwsearch.errors import TrainingError
from hwsearch.supernets.supermasks import MaskedNetwork, MaskedTask
from hwsearch.tasks.images import from_arrays
from hwsearch.training.task_training import SupermaskConfig
from tests.training.gated import halves
from tests.training.masked import TASK, logits, network, training, two_classes


def several(n: int, **options) -> tuple[MaskedNetwork, dict[str, MaskedTask], list[torch.Tensor]]:
    given, earlier, outputs = network(), {}, []
    for k in range(n):
        data = two_classes(k)
        given, task = training(given, f"t{k}", data, earlier=earlier, **options).run()
        earlier[task.name] = task
        outputs.append(logits(given.cut(task), data))
    return given, earlier, outputs


def test_five_tasks_forget_nothing() -> None:
    given, tasks, outputs = several(5, weight_decay=0.1, weight_lr=0.01)
    for k, (task, before) in enumerate(zip(tasks.values(), outputs, strict=True)):
        after = logits(given.cut(task), two_classes(k))
        assert torch.equal(after.view(torch.int32), before.view(torch.int32))
        assert given.digest(task) == task.digest
        for name, mask in task.masks.items():
            assert int(mask.sum()) == max(1, round(0.25 * mask.numel())), name


def test_shared_weights_forget() -> None:
    given, tasks, outputs = several(2, exclusive=False, weight_lr=0.01)
    assert not torch.equal(logits(given.cut(tasks["t0"]), two_classes(0)), outputs[0])
    assert given.digest(tasks["t0"]) != tasks["t0"].digest


def test_only_free_weights_under_the_mask_are_trained() -> None:
    start = network()
    first, one = training(start, "one", two_classes(0), weight_decay=0.1).run()
    run = training(first, "two", two_classes(1), earlier={"one": one}, weight_decay=0.1)
    second, two = run.run()
    free = total = 0
    for name in start.names:
        changed = first.weight(name) != second.weight(name)
        allowed = two.masks[name] & ~one.masks[name]
        assert not bool((changed & ~allowed).any()) and torch.equal(changed, allowed)  # decay moves each
        free, total = free + int(allowed.sum()), total + int(two.masks[name].sum())
    assert run.trained == pytest.approx(free / total)
    assert torch.equal(start.weight("body.0.weight"), network().weight("body.0.weight"))  # what was given stays


def test_masks_alone_leave_weights_as_they_are() -> None:
    given = network()
    after, task = training(given, "one", two_classes(0), weight_share=0.0).run()
    assert all(torch.equal(given.weight(n), after.weight(n)) for n in given.names) and task.digest


def test_a_task_of_other_classes_has_a_head_of_its_own() -> None:
    pixels, labels = halves(64, 0)
    data = from_arrays(pixels, labels, tuple("abcd"), TASK.preprocess, "four")
    given, task = training(network(), "four", data).run()
    assert logits(given.cut(task), data).shape == (64, 4) and set(task.head) == {"weight", "bias"}
    assert not bool(task.masks["head.weight"].any())
    assert torch.equal(given.weight("head.weight"), network().weight("head.weight"))


@pytest.mark.parametrize("at", [10, 20])
def test_the_same_training_goes_on_after_ctrl_c(tmp_path: Path, at: int) -> None:
    first, one = training(network(), "one", two_classes(0)).run()
    options = {"earlier": {"one": one}, "steps": 24, "weight_decay": 0.1}
    whole, expected = training(first, "two", two_classes(1), **options).run()

    def stop(status) -> None:
        if status["step"] == at:
            raise KeyboardInterrupt

    state = tmp_path / "two.pt"
    with pytest.raises(KeyboardInterrupt):
        training(first, "two", two_classes(1), checkpoint=state, progress=stop, **options).run()
    run = training(first, "two", two_classes(1), checkpoint=state, **options)
    again, task = run.run()
    assert task.digest == expected.digest and run.step == 24 and run.transfer is not None
    for name in whole.names:
        assert torch.equal(whole.weight(name), again.weight(name))
    with pytest.raises(TrainingError, match=r"other settings \(config\.lr=0\.01, now 0\.02"):
        training(first, "two", two_classes(1), checkpoint=state, lr=0.02, **options).run()
    state.write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match="cannot be read"):
        training(first, "two", two_classes(1), checkpoint=state, **options).run()


def test_it_learns() -> None:
    data, test = two_classes(0, 300), two_classes(0, 200, seed=3)
    given, task = training(network(), "one", data, steps=80, density=0.3).run()
    assert TASK.evaluate(given.cut(task), test, 8).value > 80  # chance is 50


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"density": 0}, "density = 0 is not valid: give a number above 0 up to 1"),
        ({"density": 1.5}, "density = 1.5 is not valid"),
        ({"density": "0.1 %"}, "density = '0.1 %' is not valid"),
        ({"batch": None}, "batch = None is not valid"),
        ({"weight_share": -1}, "weight_share = -1 is not valid"),
        ({"weight_share": float("nan")}, "weight_share = nan is not valid"),
        ({"steps": 0}, "steps = 0 is not valid"),
        ({"batch": 1}, "batch = 1 is not valid: give a whole number from 2"),
        ({"lr": 0}, "lr = 0 is not valid"),
        ({"weight_lr": 10}, "weight_lr = 10 is not valid: give a number above 0 and below 10"),
        ({"weight_decay": float("nan")}, "weight_decay = nan is not valid"),
        ({"weight_decay": -1.0}, "weight_decay = -1.0 is not valid"),
        ({"padding": -1}, "padding = -1 is not valid"),
        ({"seed": -1}, "seed = -1 is not valid"),
        ({"seed": 0.5}, "seed = 0.5 is not valid: give a whole number"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict, why: str) -> None:
    with pytest.raises(TrainingError, match=why):
        SupermaskConfig(**{"steps": 5, **options})


def test_too_few_examples_and_losses_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(TrainingError, match="do not fill one batch of 100"):
        training(network(), "one", two_classes(0, 32), batch=100)
    bad = network()
    bad.net.get_parameter("body.3.bias").data.fill_(np.nan)
    with pytest.raises(TrainingError, match=r"loss at step 0 is nan.*Lower lr"):
        training(bad, "one", two_classes(0)).run()
