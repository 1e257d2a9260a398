"""Training in pieces by real processes: killed and taken up again, by hand on copied folders, and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file

from hwsearch.api import incubation
from hwsearch.api.training import train
from hwsearch.errors import ConfigError, TrainingError
from hwsearch.exporters import lower, run_onnx
from hwsearch.supernets import catalogue
from hwsearch.training.assembling import FILE, ModuleError
from tests.api.apart import RECIPE, make_place, trained

pytestmark = pytest.mark.timeout(250)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_place(tmp_path, monkeypatch)


def test_a_module_that_is_killed_costs_its_own_progress_only(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incubation, "allowed_cores", lambda: 2)
    killed: list[int] = []
    start = incubation.LocalIncubation._start

    def watched(self: Any, module: int, folder: Path, environment: dict[str, str]) -> Any:
        helper = start(self, module, folder, environment)
        if module == 2 and not killed:
            killed.append(helper.process.pid)
            psutil.Process(helper.process.pid).kill()
        return helper

    monkeypatch.setattr(incubation.LocalIncubation, "_start", watched)
    with pytest.raises(ModuleError, match=r"module 2 was ended by signal 9.*only this module goes on") as caught:
        trained(place, "run")
    assert "module 1" not in str(caught.value)
    first = place / "run" / "stage-1" / "module-1" / FILE
    written = first.stat().st_mtime_ns
    assert not (place / "run" / "stage-1" / "module-2" / FILE).exists() and not psutil.Process().children()
    seen: list[dict[str, Any]] = []
    card = trained(place, "run", progress=seen.append)
    assert first.stat().st_mtime_ns == written
    assert len(card["trained"]["history"]) == 4 and "assemble, sandwich-labels" in card["training_summary"]
    assert card["training_summary"].startswith("11 epochs of 64 images")  # 2 of the meta network, 4 and 4, and 1

    # by hand, as on three machines: the meta network first, whose folder all have
    with pytest.raises(ModuleError, match=r"no finished meta network .*--module 0, and copy"):
        trained(place, "b", module=2)
    meta = trained(place, "a", module=0)
    assert meta["module"] == 0 and meta["gradient_bytes_exchanged"] == 0 and meta["passes"] == 8
    shutil.copytree(place / "a", place / "b", dirs_exist_ok=True)
    one, two = trained(place, "a", module=1), trained(place, "b", module=2)
    assert one["passes"] == two["passes"] == 16 * 3
    shutil.copytree(place / "b" / "stage-1" / "module-2", place / "a" / "stage-1" / "module-2")
    monkeypatch.setattr(incubation, "MODULE", "hwsearch.no_such_module")  # nothing is left to be trained
    again = trained(place, "a")
    assert again["digest"] == card["digest"]

    net = catalogue.entry(f"{place / 'net.py'}:ENTRY").load(place / "a" / "tiny.safetensors").net
    for arch in (net.space.smallest(), net.space.largest()):
        plain = net.subnet(arch).eval()
        x = torch.randn(3, 3, 16, 16)
        (found,) = run_onnx(lower(plain, (3, 16, 16)).SerializeToString(), x.numpy())
        with torch.no_grad():
            np.testing.assert_allclose(found, plain(x).numpy(), atol=1e-5, rtol=1e-5)

    other = (place / "recipe.toml").read_text().replace("lr = 0.05", "lr = 0.04")
    (place / "other.toml").write_text(other)
    with pytest.raises(TrainingError, match=r"lr=0\.05, now 0\.04"):
        trained(place, "a", "other.toml")


def test_ctrl_c_ends_the_processes_after_a_step(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(status: dict[str, Any]) -> None:
        if status["history"] and "module" in status["history"][0]:
            raise KeyboardInterrupt

    long = (
        RECIPE.replace("epochs = 4", "epochs = 4000")
        .replace("meta = 0.5", "meta = 0.0001")
        .replace("= 2\n[[", "= 200\n[[")
    )
    (place / "long.toml").write_text(long)
    with pytest.raises(KeyboardInterrupt):
        trained(place, "run", "long.toml", progress=interrupt)
    assert not psutil.Process().children()
    saved = list((place / "run" / "stage-1").glob("module-*/training.pt"))  # one may not have begun
    assert saved
    for file in saved:
        assert 0 < torch.load(file, weights_only=True)["step"] < 16000


def test_a_process_that_fails_is_named_with_its_message(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incubation, "MODULE", "hwsearch.no_such_module")
    with pytest.raises(ModuleError, match=r"module 1 ended with code 1: .*no_such_module.*module 2 ended with code 1"):
        trained(place, "run")


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (("modules = 2", "modules = 3"), {}, r"modules=3: this supernet can be cut into 2 modules"),
        ((", random = 1", ", random = 1, module = 1"), {}, r"module = 1 does not belong into a recipe.*--module 1"),
        (("", ""), {"module": 3}, r"module=3: there are 2 modules"),
        (('"assemble"', '"sandwich"'), {"module": 1}, r"module=1 is asked for, and 0 stages"),
        (("", ""), {"processes": 2}, r"processes=2 share batches out.*Leave processes out"),
        (("", ""), {"kernels": "masked"}, r"masked kernels cannot train a module alone"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(
    place: Path, change: tuple[str, str], options: dict[str, Any], said: str
) -> None:
    text = RECIPE.replace(*change) if change[0] else RECIPE
    if options.get("module") == 1:
        text = text.replace("strategy_options = { modules = 2, meta = 0.5, random = 1 }\n", "")
    (place / "wrong.toml").write_text(text)
    given = {"kernels": "eager", **options}
    with pytest.raises((TrainingError, ConfigError), match=said):
        train(place / "wrong.toml", place / "images", place / "no", supernet=f"{place / 'net.py'}:ENTRY", **given)
    assert not (place / "no" / "stage-1").exists()


def test_the_meta_network_may_be_the_weights_that_are_given(place: Path) -> None:
    (place / "given.toml").write_text(RECIPE.replace("meta = 0.5", "meta = 0.0"))
    found = trained(place, "run", "given.toml", module=0)
    assert found["passes"] == 0 and json.dumps(found)
    built = dict(catalogue.entry(f"{place / 'net.py'}:ENTRY").build().named_parameters())
    kept = load_file(found["file"])
    assert built.keys() <= kept.keys() and all(torch.equal(value, kept[name]) for name, value in built.items())
