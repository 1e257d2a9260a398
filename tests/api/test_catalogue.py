"""`hwsearch supernets check` and `convert`: what a file is, all that is missing, the same weights as safetensors."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from hwsearch import api
from hwsearch.cli.main import main
from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint.loading import load_weights
from hwsearch.supernets.checkpoint.reading import read_state
from hwsearch.testing import seeded_weights

NAME = "ofa-mobilenetv3-w1.0"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return seeded_weights(catalogue.entry(NAME).build().state_dict())


@pytest.fixture
def file(state: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    """In the authors' older spelling, in a wrapper."""
    path = tmp_path / "ofa_mbv3_d234_e346_k357_w1.0"
    old = {k.replace(".conv.", ".mobile_inverted_conv.", 1) if "blocks." in k else k: v for k, v in state.items()}
    torch.save({"state_dict": old, "epoch": 1}, path)
    return path


def test_check_knows_the_file(file: Path) -> None:
    found = api.supernets("check", file)
    assert found["fits"] == [NAME] and found["loads"] and not found["not_finite"]
    assert found["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (found["tensors"], found["bytes"]) == (475, file.stat().st_size)
    assert "closest" not in found and found["published_file"] is None


def test_check_recognises_the_published_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By git's blob id, which is what is known of it."""
    blob = subprocess.run(["git", "hash-object", str(file)], capture_output=True, text=True, check=True).stdout.strip()
    monkeypatch.setitem(catalogue.entry(NAME).card, "git_blob_sha1", blob)
    assert api.supernets("check", file)["published_file"] == NAME


def test_check_names_everything_that_is_wrong(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    names = [k for k in state if k.endswith("point_linear.conv.conv.weight")][:12]
    broken = {k: v for k, v in state.items() if k not in names[:9]}
    broken |= {f"more.{i}": torch.zeros(2) for i in range(7)} | {names[10]: torch.zeros(3, 3)}
    torch.save(broken, tmp_path / "x.pth")
    found = api.supernets("check", tmp_path / "x.pth")
    assert not found["fits"] and not found["loads"]
    closest = found["closest"]
    assert closest["name"] == NAME and closest["missing"] == names[:9]
    assert closest["unknown"] == [f"more.{i}" for i in range(7)]
    assert len(closest["of another shape"]) == 1 and "(3, 3)" in closest["of another shape"][0]
    assert set(found["otherwise"]) == set(catalogue.names())


def test_command_exits_1_where_a_file_does_not_load(
    state: dict[str, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoilt = dict(state) | {"classifier.linear.bias": state["classifier.linear.bias"] * torch.nan}
    torch.save(spoilt, tmp_path / "nan.pth")
    monkeypatch.setattr("sys.argv", ["hwsearch", "supernets", "check", str(tmp_path / "nan.pth"), "--json"])
    with pytest.raises(SystemExit) as done:
        main()
    found = json.loads(capsys.readouterr().out)
    assert done.value.code == 1 and found["fits"] == [NAME] and found["not_finite"] == ["classifier.linear.bias"]


def test_convert_gives_the_same_weights(file: Path, state: dict[str, torch.Tensor]) -> None:
    result = api.supernets("convert", file)
    path = Path(result["file"])
    assert path.name == "ofa_mbv3_d234_e346_k357_w1.0.safetensors" and result["fits"] == [NAME]
    with safe_open(path, "pt") as opened:
        assert opened.metadata()["source_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    converted = read_state(path)
    assert set(converted) == set(state) and all(torch.equal(v, state[k]) for k, v in converted.items())
    assert catalogue.entry(NAME).load(path).digest == catalogue.entry(NAME).load(file).digest
    with pytest.raises(CheckpointError, match="exists"):
        api.supernets("convert", file)


def test_wrong_actions_are_told() -> None:
    with pytest.raises(SupernetError, match=r"unknown action 'chek' for supernets\. Did you mean 'check'\?"):
        api.supernets("chek", "x")
    with pytest.raises(SupernetError, match="supernets check needs a name or a file"):
        api.supernets("check")
    with pytest.raises(SupernetError, match=r"supernet .chek. is not installed"):
        api.supernets("chek")


def test_what_is_loaded_is_the_networks_own() -> None:
    """Two layers never share what is one tensor in a file; without `take` nothing is shared with the caller."""
    net = catalogue.entry("cifar10-mbv3").build()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    names = [f"blocks.{i}.conv.point_linear.bn.bn.weight" for i in (1, 2)]
    state[names[1]] = state[names[0]]
    for take in (True, False):
        net = catalogue.entry("cifar10-mbv3").build()
        load_weights(net, state, "shared", take=take)
        parameters = dict(net.named_parameters())
        assert parameters[names[0]].data_ptr() != parameters[names[1]].data_ptr()
    given = {v.data_ptr() for v in state.values()}
    assert given.isdisjoint(v.data_ptr() for v in net.state_dict().values())


def test_the_kind_of_file_is_seen_from_its_contents(file: Path, tmp_path: Path) -> None:
    converted = Path(api.supernets("convert", file)["file"])
    renamed = converted.rename(tmp_path / "x.pth")
    assert api.supernets("check", renamed)["loads"]


def test_integers_are_no_weights(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({k: v.to(torch.int8) for k, v in state.items()}, tmp_path / "x.pth")
    assert not api.supernets("check", tmp_path / "x.pth")["loads"]
    with pytest.raises(CheckpointError, match="holds int8, expected real numbers"):
        catalogue.entry(NAME).load(tmp_path / "x.pth")


def test_a_file_that_cannot_be_written_is_told(file: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(CheckpointError, match="cannot write"):
        api.supernets("convert", file, output=tmp_path / "taken" / "x.safetensors")
    made = api.supernets("convert", file, output=tmp_path / "new" / "x.safetensors")
    assert Path(made["file"]).stat().st_mode & 0o444 == 0o444
