"""The trainer: its schedule, its batches, and that a run taken up again ends with the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor
from typing_extensions import override

from hwsearch.accuracy import subnet_score
from hwsearch.errors import MeasurementError, TrainingError
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.kernels import EAGER, Choice, Kernels, active
from hwsearch.tasks.images import ImageData, ImageTask, Preprocess, from_arrays
from hwsearch.training import Recipe, Run, Sandwich, Strategy, Trainer, TrainingConfig
from hwsearch.training import trainer as trainer_module
from hwsearch.training.checkpoint import only_run
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.loss import Outputs, StepLoss
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.sampler import OneSampler
from hwsearch.training.step import Stepped, run_step

MakeNet = Callable[..., ElasticMobileNetV3]
#: inputs are the pixels themselves
PIXELS = Preprocess((0.0,) * 3, (1 / 255,) * 3)
#: 4 steps an epoch, 12 in all
CONFIG = TrainingConfig(epochs=3, batch=64, lr=0.1, padding=1, seed=3, checkpoint_steps=3)


def changed(**values: Any) -> TrainingConfig:
    """The configuration with other values."""
    return CONFIG.model_copy(update=values)


#: what `Remember` has seen
SEEN: list[tuple[Tensor, Tensor, float]] = []


class Remember(StepLoss):
    """A loss of 1 that remembers the batches, and may be spoilt from a step on."""

    spoilt_at: int = 10**9
    what: Literal["loss", "gradient"] = "loss"

    @override
    def __call__(self, out: Outputs, batch: Batch, draw: Draw, teacher: Outputs | None, now: Moment) -> Tensor:
        assert isinstance(batch.inputs, Tensor)
        SEEN.append((batch.inputs.clone(), batch.targets.clone(), now.progress))
        zero = 0 * out.logits.sum()
        if now.step < self.spoilt_at:
            return zero + 1
        return zero + math.nan if self.what == "loss" else _Explode.apply(zero) + 1


class _Explode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * math.inf


class Recorder(Strategy):
    """A strategy that trains nothing and remembers what it was given."""

    spoilt_at: int = 10**9
    what: Literal["loss", "gradient"] = "loss"

    @override
    def recipe(self, run: Run) -> Recipe:
        SEEN.clear()
        return Recipe(OneSampler(which="largest"), Remember(spoilt_at=self.spoilt_at, what=self.what))


def bits(trainer: Trainer) -> dict[str, Tensor]:
    """Weights, statistics and momenta."""
    momenta = {str(k): v["momentum_buffer"] for k, v in trainer.optimizer.state_dict()["state"].items()}
    return {**trainer.supernet.state_dict(), **momenta}


# ---------------------------------------------------------------------- schedule
def test_the_learning_rate_warms_up_and_ends_near_zero(make_net: MakeNet, toy: ImageData, tmp_path: Path) -> None:
    trainer = Trainer(make_net(), Sandwich(), ImageTask(), toy, changed(epochs=50, warmup=0.1), tmp_path)
    assert trainer.total_steps == 200
    rates = [trainer.learning_rate(s) for s in range(200)]
    assert rates[0] == pytest.approx(0.1 / 20) and rates[19] == rates[20] == pytest.approx(0.1)
    assert rates[110] == pytest.approx(0.05)
    assert 0 < rates[-1] < 1e-5 and trainer.learning_rate(200) == pytest.approx(0.0, abs=1e-12)
    assert np.all(np.diff(rates[:20]) > 0) and np.all(np.diff(rates[20:]) < 0)
    assert np.allclose(np.diff(rates[:20]), 0.1 / 20)


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_the_schedule_bears_extreme_warm_ups(make_net: MakeNet, toy: ImageData, tmp_path: Path, warmup: float) -> None:
    trainer = Trainer(make_net(), Sandwich(), ImageTask(), toy, changed(warmup=warmup), tmp_path)
    rates = [trainer.learning_rate(s) for s in range(12)]
    assert max(rates) == pytest.approx(0.1) and min(rates) > 0
    assert rates.index(max(rates)) == (11 if warmup else 0)


# ---------------------------------------------------------------------- batches
def test_every_epoch_shows_every_image_once_in_another_order(make_net: MakeNet, tmp_path: Path) -> None:
    """Image i has label i, so labels tell which images were shown."""
    images = np.zeros((130, 16, 16, 3), np.uint8)
    data = from_arrays(images, np.arange(130), tuple(map(str, range(130))), PIXELS)
    strategy = Recorder()
    Trainer(make_net(), strategy, ImageTask(), data, changed(epochs=2), tmp_path).run()
    epochs = [torch.cat([y for _, y, _ in SEEN[i : i + 2]]).tolist() for i in (0, 2)]
    assert [(len(e), len(set(e))) for e in epochs] == [(128, 128), (128, 128)] and epochs[0] != epochs[
        1
    ]  # two images do not fill a batch
    assert [p for _, _, p in SEEN] == [0.0, 0.25, 0.5, 0.75]


def test_images_are_shifted_padded_and_flipped(make_net: MakeNet, tmp_path: Path) -> None:
    """Each batch image is one of the 2·(2p+1)² shifts and flips of its source, and most kinds occur."""
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, size=(64, 16, 16, 3), dtype=np.uint8)
    data = from_arrays(images, np.arange(64), tuple(map(str, range(64))), PIXELS)
    strategy = Recorder()
    Trainer(make_net(), strategy, ImageTask(), data, changed(epochs=2), tmp_path).run()
    kinds = set()
    for x, y, _ in SEEN:
        for image, label in zip(x.permute(0, 2, 3, 1).round().numpy(), y.tolist(), strict=True):
            padded = np.pad(images[label], ((1, 1), (1, 1), (0, 0)))
            found = [
                (top, left, flip)
                for top in range(3)
                for left in range(3)
                for flip in (1, -1)
                if np.array_equal(padded[top : top + 16, left : left + 16][:, ::flip], image)
            ]
            assert len(found) == 1
            kinds.add(found[0])
    assert len(kinds) == 18


# ---------------------------------------------------------------------- learning
def test_a_learnable_problem_is_learnt(make_net: MakeNet, toy: ImageData, tmp_path: Path) -> None:
    net, seen = make_net(), []
    config = changed(epochs=10)
    Trainer(
        net,
        Sandwich(random=1),
        ImageTask(),
        toy,
        config,
        tmp_path,
        calibration=toy,
        validation=toy,
        progress=lambda s: seen.append(s["losses"]),
    ).run()
    assert seen[-1]["largest"] < 0.7 * seen[0]["largest"]
    history = torch.load(tmp_path / "training.pt", weights_only=True)["history"]
    assert [row["epoch"] for row in history] == list(range(1, 11))
    assert history[-1]["top1_largest"] > 90 and history[-1]["top1_smallest"] > 80
    assert round(subnet_score(ImageTask(), net, net.space.largest(), toy, toy).value, 2) == history[-1]["top1_largest"]


# ---------------------------------------------------------------------- stop and resume
@pytest.mark.parametrize("stops", [[5], [4], [0, 1, 7, 11]])
def test_a_run_taken_up_again_ends_with_the_same_bits(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, stops: list[int]
) -> None:
    """Stops in the middle and at the end of an epoch, and before the first step; half of it with the largest alone."""
    straight = Trainer(make_net(), Sandwich(random=2, alone=0.4), ImageTask(), toy, CONFIG, tmp_path / "straight")
    straight.run()
    for stop in [*stops, None]:
        resumed = Trainer(make_net(), Sandwich(random=2, alone=0.4), ImageTask(), toy, CONFIG, tmp_path / "resumed")
        resumed.run(stop_at=stop)
        assert resumed.step == (12 if stop is None else stop)
    expected, found = bits(straight), bits(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[k], found[k]) for k in expected)
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in resumed.history] == [
        {k: v for k, v in row.items() if k != "seconds"} for row in straight.history
    ]


def test_a_run_that_died_goes_on_from_its_last_checkpoint(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = Trainer(make_net(), Sandwich(random=1), ImageTask(), toy, CONFIG, tmp_path / "straight")
    straight.run()
    steps = iter(range(100))

    def dies(*given: Any, **options: Any) -> Any:
        if next(steps) == 5:
            raise KeyboardInterrupt
        return run_step(*given, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer_module, "run_step", dies)
        Trainer(make_net(), Sandwich(random=1), ImageTask(), toy, CONFIG, tmp_path / "died").run()
    assert torch.load(tmp_path / "died" / "training.pt", weights_only=True)["step"] == 4
    resumed = Trainer(make_net(), Sandwich(random=1), ImageTask(), toy, CONFIG, tmp_path / "died")
    resumed.run()
    expected, found = bits(straight), bits(resumed)
    assert all(torch.equal(expected[k], found[k]) for k in expected)


def test_a_finished_run_is_not_trained_further(make_net: MakeNet, toy: ImageData, tmp_path: Path) -> None:
    config = changed(epochs=1)
    first = Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, config, tmp_path)
    first.run()
    again = Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, config, tmp_path)
    again.run()
    assert again.step == 4
    assert all(torch.equal(v, bits(again)[k]) for k, v in bits(first).items())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"lr": 0.2}, "lr=0.1, now 0.2"),
        ({"seed": 4, "epochs": 9}, "epochs=3, now 9; seed=3, now 4"),
        ({"batch": 32}, "batch=64, now 32"),
        ({"checkpoint_steps": 4}, "checkpoint_steps=3, now 4"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run(stop_at=1)
    with pytest.raises(TrainingError, match=rf"a run with other settings \({named}\). Use another folder"):
        Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, changed(**change), tmp_path).run()


def test_a_run_is_resumed_with_the_same_kernels_and_threads(make_net: MakeNet, toy: ImageData, tmp_path: Path) -> None:
    class Other(Kernels):
        name = "other"

    def trainer(kernels: Kernels = EAGER) -> Trainer:
        return Trainer(make_net(), Sandwich(), ImageTask(), toy, CONFIG, tmp_path, kernels=Choice(kernels, "asked for"))

    trainer().run(stop_at=1)
    with pytest.raises(TrainingError, match=r"a run of the kernels eager, and this process has other.*--kernels"):
        trainer(Other()).run()
    torch.set_num_threads(2)
    try:
        with pytest.raises(TrainingError, match=r"computes with 1 threads, and this process has 2.*OMP_NUM_THREADS"):
            trainer().run()
    finally:
        torch.set_num_threads(1)
    assert trainer().run(stop_at=2).training


def test_the_step_and_nothing_else_runs_on_the_chosen_kernels(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, seen = Kernels(), []

    def watching(*given: Any, **options: Any) -> Stepped:
        seen.append(active())
        return run_step(*given, **options)

    monkeypatch.setattr("hwsearch.training.trainer.run_step", watching)
    Trainer(make_net(), Sandwich(), ImageTask(), toy, CONFIG, tmp_path, kernels=Choice(other, "")).run(stop_at=1)
    assert seen == [other] and active() is EAGER


def test_another_strategy_or_supernet_in_the_same_folder_is_refused(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, small_supernet: ElasticMobileNetV3
) -> None:
    Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run(stop_at=1)
    cases: list[tuple[Strategy, str]] = [
        (Sandwich(random=1), r"strategy\.random=0, now 1"),
        (Sandwich(random=0, alone=0.5, weight=2.0), r"strategy\.alone=0\.0, now 0\.5; strategy\.weight=1\.0, now 2\.0"),
        (Recorder(), "strategy=Sandwich, now Recorder"),
    ]
    for strategy, said in cases:
        with pytest.raises(TrainingError, match=rf"other settings \({said}\)"):
            Trainer(make_net(), strategy, ImageTask(), toy, CONFIG, tmp_path).run()
    with pytest.raises(TrainingError, match=r"other settings \(search space\)"):
        Trainer(small_supernet, Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run()
    with pytest.raises(TrainingError, match="a run of another supernet"):
        Trainer(make_net(24), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run()


def test_other_data_or_initial_weights_in_the_same_folder_are_refused(
    make_net: MakeNet, toy: ImageData, tmp_path: Path
) -> None:
    def trainer(data: ImageData, origin: str = "") -> Trainer:
        return Trainer(make_net(), Sandwich(random=0), ImageTask(), data, CONFIG, tmp_path, origin=origin)

    trainer(toy).run(stop_at=1)
    with pytest.raises(TrainingError, match=r"other settings \(training data\)"):
        trainer(toy.take(np.arange(256)[::-1].copy())).run()
    with pytest.raises(TrainingError, match=r"other settings \(weights to start from\)"):
        trainer(toy, "another file").run()
    assert trainer(toy).run(stop_at=2).training


def test_a_checkpoint_is_written_once_a_step(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 3 and 9 are due, 4, 8 and 12 end an epoch, and 12 is due and the run's end as well."""
    written: list[int] = []
    write = trainer_module.write_training
    monkeypatch.setattr(
        trainer_module, "write_training", lambda path, state: (written.append(state["step"]), write(path, state))
    )
    Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run()
    assert written == [3, 4, 6, 8, 9, 12]
    Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run()
    assert written == [3, 4, 6, 8, 9, 12]


def test_kernels_that_no_layer_used_are_not_told(make_net: MakeNet, toy: ImageData, tmp_path: Path) -> None:
    class Idle(Kernels):
        name = "idle"
        used = False

    told: list[str] = []
    trainer = Trainer(
        make_net(),
        Sandwich(random=0),
        ImageTask(),
        toy,
        CONFIG,
        tmp_path,
        kernels=Choice(Idle(), "x"),
        progress=lambda s: told.append(s["kernels"]),
    )
    trainer.run(stop_at=4)
    assert told == ["eager (no layer of this network can use idle ones)"] and trainer.kernels_said == told[0]
    again = Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path, kernels=Choice(Idle(), "x"))
    again.run(stop_at=4)
    assert again.kernels_said == told[0]


def test_two_runs_at_once_in_one_folder_are_refused(make_net: MakeNet, toy: ImageData, tmp_path: Path) -> None:
    def trainer() -> Trainer:
        return Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path)

    with only_run(tmp_path), pytest.raises(TrainingError, match="another process is training in"):
        trainer().run()
    trainer().run(stop_at=1)


def test_a_folder_that_cannot_be_written_is_named(make_net: MakeNet, toy: ImageData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"file/run' cannot be written \(Not a directory\)"):
        Trainer(make_net(), Sandwich(), ImageTask(), toy, CONFIG, tmp_path / "file" / "run").run()


@pytest.mark.parametrize("damage", [b"\xff\xfe\x00", b'step,"epoch\n1,' + b"x" * 200_000])
def test_figures_that_cannot_be_read_are_named(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, damage: bytes
) -> None:
    (tmp_path / "metrics.csv").write_bytes(damage)
    with pytest.raises(TrainingError, match=r"metrics\.csv' cannot be read .* Remove or rename it"):
        Trainer(make_net(), Sandwich(), ImageTask(), toy, CONFIG, tmp_path).run()


@pytest.mark.parametrize("row", ["3,,,,", "1,2,3,4,5,6,7,8,9", "1", ",,,", "x,y"])
def test_a_torn_row_of_figures_is_left_out_or_completed(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, row: str
) -> None:
    (tmp_path / "metrics.csv").write_text(f"step,epoch,seconds,lr,passes\n{row}")
    Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run(stop_at=4)
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert {line.count(",") for line in rows} == {rows[0].count(",")} and rows[-1].startswith("4,")


def test_figures_on_a_full_disk_stop_the_run_by_name(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path)

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hwsearch.training.metrics.csv.DictWriter.writerow", full)
    with pytest.raises(TrainingError, match=r"metrics\.csv' cannot be written \(No space left on device\)"):
        trainer.run()


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "other"])
def test_a_checkpoint_that_cannot_be_read_is_an_error(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, damage: str
) -> None:
    trainer = Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path)
    trainer.run(stop_at=1)
    whole = trainer.checkpoint.read_bytes()
    if damage == "other":
        torch.save({"weights": torch.zeros(3)}, trainer.checkpoint)
    else:
        trainer.checkpoint.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(TrainingError, match=r"cannot be read: .* Remove it to start anew"):
        Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run()


def test_a_full_disk_leaves_the_last_whole_checkpoint(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run(stop_at=2)
    whole = (tmp_path / "training.pt").read_bytes()

    def full_disk(state: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch, pytest.raises(TrainingError, match=r"no space left.*the one before is kept"):
        patch.setattr(torch, "save", full_disk)
        Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run(stop_at=4)
    assert (tmp_path / "training.pt").read_bytes() == whole
    assert not (tmp_path / "training.partial").exists()
    trainer = Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path)
    trainer.run(stop_at=3)
    assert trainer.step == 3


def test_another_number_of_threads_is_refused(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run(stop_at=1)
    n = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: n + 1)
    with pytest.raises(TrainingError, match=rf"computes with {n} threads, and this process has {n + 1}.*Set OMP_NUM"):
        Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run()


# ---------------------------------------------------------------------- what cannot go on
def test_a_loss_that_is_not_finite_stops_the_run_and_says_where(
    make_net: MakeNet, toy: ImageData, tmp_path: Path
) -> None:
    net = make_net()
    with pytest.raises(TrainingError, match=r"loss at step 5 is not finite: largest is nan.* Lower lr"):
        Trainer(net, Recorder(spoilt_at=5), ImageTask(), toy, CONFIG, tmp_path).run()
    assert all(bool(torch.isfinite(p).all()) for p in net.parameters())
    assert torch.load(tmp_path / "training.pt", weights_only=True)["step"] == 4  # the last one before


def test_scores_of_outputs_that_are_not_finite_name_step_and_subnet(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch norms that are made anew may overflow where the step's own did not."""

    def overflows(*given: object) -> None:
        raise MeasurementError("the network's outputs are not finite.")

    monkeypatch.setattr(trainer_module, "subnet_score", overflows)
    trainer = Trainer(make_net(), Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path, validation=toy)
    said = r"after step \d+ the smallest subnet cannot be scored: .* not finite; the last checkpoint is kept\. Lower lr"
    with pytest.raises(TrainingError, match=said):
        trainer.run()


def test_weights_that_overflow_are_not_saved(
    make_net: MakeNet, toy: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update of step 3 spoils the weights: the checkpoint that falls due there is not written."""
    net = make_net()
    trainer = Trainer(net, Sandwich(random=0), ImageTask(), toy, changed(checkpoint_steps=1), tmp_path)

    def spoils(optimizer: torch.optim.Optimizer) -> None:
        optimizer.step()
        if trainer.step == 2:
            with torch.no_grad():
                net.classifier.linear.bias[0] = math.inf

    monkeypatch.setattr(trainer.precision, "update", spoils)
    with pytest.raises(TrainingError, match=r"after step 3 weights 'classifier.linear.bias' are not finite"):
        trainer.run()
    assert torch.load(tmp_path / "training.pt", weights_only=True)["step"] == 2


def test_weights_that_are_not_numbers_stop_the_run(make_net: MakeNet, toy: ImageData, tmp_path: Path) -> None:
    net = make_net()
    with torch.no_grad():
        net.classifier.linear.bias[0] = math.nan
    with pytest.raises(TrainingError, match=r"step 0 is not finite.*weights 'classifier.linear.bias' are not finite"):
        Trainer(net, Sandwich(random=0), ImageTask(), toy, CONFIG, tmp_path).run()


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_weights_are_spoilt(
    make_net: MakeNet, toy: ImageData, tmp_path: Path
) -> None:
    net = make_net()
    with pytest.raises(TrainingError, match="gradient at step 0 is not finite"):
        Trainer(net, Recorder(spoilt_at=0, what="gradient"), ImageTask(), toy, CONFIG, tmp_path).run()
    assert all(bool(torch.isfinite(p).all()) for p in net.parameters())


def test_too_few_images_are_refused(make_net: MakeNet, toy: ImageData, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="63 training images do not fill one batch of 64"):
        Trainer(make_net(), Sandwich(), ImageTask(), toy.head(63), CONFIG, tmp_path)


def test_decay_is_for_convolution_and_linear_weights_only(make_net: MakeNet, toy: ImageData, tmp_path: Path) -> None:
    net = make_net()
    groups = Trainer(net, Sandwich(), ImageTask(), toy, CONFIG, tmp_path).optimizer.param_groups
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    expected = {id(m.weight) for m in net.modules() if isinstance(m, kinds)}
    decayed = {id(p) for g in groups for p in g["params"] if g["weight_decay"] > 0}
    assert decayed == expected and len(decayed) < sum(1 for _ in net.parameters())
    assert sum(len(g["params"]) for g in groups) == sum(1 for _ in net.parameters())
