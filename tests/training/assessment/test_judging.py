"""Losses and scores of subnets against torch, stand-alone training from random weights, and the record of both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hwsearch.errors import DataError, MeasurementError, OutputError
from hwsearch.tasks.data import forward
from hwsearch.testing.weights import seeded_weights
from hwsearch.training import Run, TrainingConfig
from hwsearch.training.assessment import gradient_conflict, judging
from hwsearch.training.assessment.judging import alone_config, judge, judge_alone, judge_inherited, mean_loss
from hwsearch.training.assessment.records import Judged, Records, key_of
from tests.training.test_families import declared, sentences, translations


def test_the_loss_is_the_mean_over_examples_whatever_the_batches(torn, vectors, task) -> None:
    net = torn(False).subnet(torn(False).space.largest()).train()
    torch.nn.init.normal_(net.weight, generator=torch.Generator().manual_seed(0))
    expected = float(F.cross_entropy(net(vectors.x), vectors.y).detach())
    assert mean_loss(task, net, vectors, 6, batch=40) == pytest.approx(expected, rel=1e-6) and net.training
    torch.nn.init.constant_(net.weight, float("nan"))
    with pytest.raises(MeasurementError, match="the loss on 'vectors' is not finite"):
        mean_loss(task, net, vectors, 6)


def test_losses_are_on_the_first_examples_and_scores_on_all(torn, vectors, task, monkeypatch) -> None:
    net = torn(False).subnet(torn(False).space.largest())
    torch.nn.init.normal_(net.weight, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(judging, "LOSS_EXAMPLES", 10)
    found = judge(task, net, vectors, 6)
    assert found.score.n == 90 and found.loss == pytest.approx(
        float(F.cross_entropy(net(vectors.x[:10]), vectors.y[:10]).detach())
    )


def test_a_subnet_learns_by_itself_what_it_did_not_inherit(torn, vectors, task) -> None:
    net = torn(True)
    arch = net.space.largest()
    before = judge_inherited(task, net, arch, None, vectors)
    assert before.loss == pytest.approx(np.log(3), rel=1e-5)  # zero weights
    config = alone_config(net, 60, 0.05, 0, len(vectors))
    assert (config.batch, config.steps, config.lr) == (64, 60, 0.05)
    after = judge_alone(task, net, arch, vectors, None, vectors, config)
    assert after.score.value > 80 and after.loss < before.loss
    assert torch.equal(net.head.fc.weight, torch.zeros(3, 6))
    assert judge_alone(task, net, arch, vectors, None, vectors, config).loss == after.loss


@pytest.mark.parametrize("family", [sentences, translations, declared])
def test_every_family_is_judged_compared_and_trained_by_itself(family) -> None:
    """The loss of a cut subnet is that of the activated supernet."""
    net, task, data = family()
    if family is not declared:
        net.load_state_dict(seeded_weights(net.state_dict()))
    arch = net.space.smallest()
    found = mean_loss(task, net.subnet(arch).eval(), data, net.input_size(arch))
    net.eval().activate(arch)
    inputs, targets = next(data.batches(net.input_size(arch), len(data)))
    with torch.no_grad():
        assert found == pytest.approx(float(task.loss(forward(net, inputs), targets)), rel=1e-4)
    run = Run(net, task, data, TrainingConfig(batch=6))
    conflict = gradient_conflict(run, [arch, net.space.largest()], 2)
    assert np.isfinite(conflict.cosines).all() and (abs(conflict.cosines) <= 1 + 1e-9).all() and conflict.parts
    if family is not translations:  # whose examples here are no sentences to score
        judged = judge_alone(task, net, arch, data, None, data, alone_config(net, 3, 0.01, 0, len(data)))
        assert judged.score.n == 24 and judged.loss != found


def test_the_rate_goes_by_the_norms(torn, small_supernet) -> None:
    assert alone_config(torn(True), 5, None, 0, 30).lr == judging.RATE_WITHOUT_NORMS
    assert alone_config(small_supernet, 5, None, 0, 30).lr == judging.RATE
    assert alone_config(small_supernet, 5, 0.3, 0, 30).batch == 30


def test_what_was_judged_is_found_again_and_by_its_key_only(torn, vectors, task, tmp_path: Path) -> None:
    net = torn(True)
    judged = judge_inherited(task, net, net.space.largest(), None, vectors)
    records = Records(tmp_path / "measured.json")
    key = key_of("a", seed=0)
    assert records.find(key, task, 90) is None
    records.keep(key, judged)
    found = Records(tmp_path / "measured.json").find(key, task, 90)
    assert found is not None and found.loss == judged.loss
    assert np.array_equal(found.score.correct, judged.score.correct)
    assert records.find(key_of("a", seed=1), task, 90) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"other": 1}'])
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "measured.json").write_text(text)
    with pytest.raises(DataError, match="cannot be read as the record of an assessment"):
        Records(tmp_path / "measured.json")


@pytest.mark.parametrize("held", [3, {"score": "AA=="}, {"score": "!", "loss": 1.0}, {"score": "AA==", "loss": None}])
def test_a_damaged_record_is_named(task, tmp_path: Path, held: object) -> None:
    (tmp_path / "measured.json").write_text(json.dumps({"assessed": {"a-1": held}}))
    with pytest.raises(DataError, match="the record 'a-1' is damaged"):
        Records(tmp_path / "measured.json").find("a-1", task, 90)


def test_a_record_is_not_written_through_a_link(task, tmp_path: Path, torn, vectors) -> None:
    (tmp_path / "measured.json").symlink_to(tmp_path / "elsewhere")
    net = torn(True)
    judged = judge_inherited(task, net, net.space.largest(), None, vectors)
    assert isinstance(judged, Judged)
    with pytest.raises(OutputError, match="is a link"):
        Records(tmp_path / "measured.json").keep("a", judged)
