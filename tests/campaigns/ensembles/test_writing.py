"""The one file of an ensemble against the mean of its members' answers, and its card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hwsearch.campaigns import Campaign
from hwsearch.campaigns.ensembles import writing
from hwsearch.campaigns.ensembles.writing import ensemble_file, write_ensemble
from hwsearch.campaigns.jobs.workloads import ready_subnet
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.split import Split
from hwsearch.errors import ExportError
from hwsearch.exporters import run_onnx, serialise


def test_the_file_answers_as_the_mean_of_its_members(finished) -> None:
    campaign = Campaign.open(finished[0])
    archs = list(Known.read(campaign).architectures.values())[:3]
    file = ensemble_file(campaign, archs, "logits")
    assert file.difference <= 1e-5
    nets = [ready_subnet(campaign, a) for a in archs]
    sizes = list(dict.fromkeys(campaign.loaded.net.input_size(a) for a in archs))
    data = campaign.data[Split.TEST].head(20)
    inputs = {s: next(iter(data.batches(s, 20)))[0] for s in sizes}
    mean = np.mean(
        [n(inputs[campaign.loaded.net.input_size(a)]).detach().numpy() for n, a in zip(nets, archs, strict=True)],
        axis=0,
    )
    (out,) = run_onnx(serialise(file.model), *(inputs[s].numpy() for s in sizes))
    np.testing.assert_allclose(out, mean, atol=1e-5 * float(np.abs(mean).max()))
    assert file.name != ensemble_file(campaign, archs[:2], "logits").name


def test_the_card_tells_members_and_preprocessing(finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = Campaign.open(finished[0])
    archs = [campaign.space.smallest(), campaign.space.largest()]
    file = ensemble_file(campaign, archs, "probabilities")
    write_ensemble(campaign, campaign.target("one"), file, {"gain": 1.5, "path": None}, tmp_path / "e.onnx")
    card = json.loads((tmp_path / "e.json").read_text())
    assert card["ensemble"] == {"gain": 1.5} and card["output"]["name"] == "probabilities"
    assert card["difference_from_torch"] == file.difference and card["device"]["name"] == "one"
    assert len(card["preprocess"]) == len(file.part.inputs) == len(card["files"][0]["inputs"])
    monkeypatch.setattr(writing, "TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="differs from torch"):
        ensemble_file(campaign, archs, "probabilities")
