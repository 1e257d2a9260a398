"""Entries of the catalogue: loading weights, what is said when it cannot be done, and cards."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hwsearch.errors import CheckpointError, DataError, SupernetError
from hwsearch.supernets import Supernet
from hwsearch.supernets.checkpoint import save_weights
from hwsearch.supernets.entry import LoadedSupernet, SupernetEntry
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageTask


@pytest.fixture
def file(small_supernet: Supernet, tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_weights(small_supernet, path, {})
    return path


@pytest.fixture
def entry(small_supernet: ElasticMobileNetV3) -> SupernetEntry:
    return SupernetEntry("small", "a small one", lambda: ElasticMobileNetV3(small_supernet.config))


def test_weights_of_a_file_are_loaded_and_have_a_digest(entry, file, small_supernet) -> None:
    loaded = entry.load(file)
    assert not loaded.net.training and loaded.entry is entry
    state = small_supernet.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in loaded.net.state_dict().items())
    assert loaded.digest == LoadedSupernet.of(entry, small_supernet).digest
    with torch.no_grad():
        next(small_supernet.parameters()).add_(1.0)
    assert loaded.digest != LoadedSupernet.of(entry, small_supernet).digest


def test_the_users_file_comes_before_the_shipped_one(entry, file, tmp_path) -> None:
    shipped = SupernetEntry("small", "", entry.build, weights=tmp_path / "none.safetensors")
    assert shipped.load(file).net.classes == 4
    with pytest.raises(CheckpointError):
        shipped.load()


def test_no_weights_at_all_say_where_to_get_some(entry) -> None:
    with pytest.raises(CheckpointError, match=r"'small' ships no weights\. Give a checkpoint file; see its card"):
        entry.load()
    told = SupernetEntry("small", "", entry.build, card={"get": "ask its authors"})
    with pytest.raises(CheckpointError, match="ask its authors"):
        told.load()


def test_a_network_that_fits_the_file_is_built_for_it(entry, file) -> None:
    seen = []

    def build_for(state):
        seen.append(len(state))
        return entry.build()

    made = SupernetEntry("small", "", lambda: pytest.fail("the published shape"), build_for=build_for)
    made.load(file)
    assert seen and isinstance(entry.shape(), Supernet) and next(entry.shape().parameters()).is_meta


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            CheckpointError("it has 7 classes.", hint="Take another."),
            CheckpointError,
            r"weights\.safetensors': it has 7",
        ),
        (SupernetError("too deep."), SupernetError, "^too deep"),
        (
            ZeroDivisionError("oh"),
            SupernetError,
            r"'small' cannot be built: ZeroDivisionError: oh \(.*test_entry\.py, line",
        ),
        (SystemExit(3), SupernetError, r"'small' cannot be built: SystemExit: 3 \(.*test_entry\.py, line"),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
    ],
)
def test_what_goes_wrong_while_building_is_named(
    file, error: BaseException, kind: type[BaseException], words: str
) -> None:
    def build():
        raise error

    with pytest.raises(kind, match=words):
        SupernetEntry("small", "", build).load(file)
    if not isinstance(error, CheckpointError):  # without a file there is none to be named
        with pytest.raises(kind, match=words):
            SupernetEntry("small", "", build).full_card()


def test_data_that_cannot_be_given_are_named() -> None:
    def data():
        sys.exit("no data here")

    with pytest.raises(
        SupernetError, match=r"'small' cannot give its data: SystemExit: no data here \(.*test_entry\.py"
    ):
        SupernetEntry("small", "", lambda: None, data=data).examples()
    assert SupernetEntry("small", "", lambda: None).examples() == {}


def test_something_else_than_a_supernet_is_refused(file) -> None:
    with pytest.raises(SupernetError, match="build gives a Linear, not a Supernet"):
        SupernetEntry("small", "", lambda: torch.nn.Linear(1, 1)).load(file)  # type: ignore[arg-type, return-value]


def test_a_task_is_found_by_name_or_given(entry) -> None:
    task = ImageTask()
    assert SupernetEntry("s", "", entry.build, task=task).find_task() is task
    assert isinstance(entry.find_task(), ImageTask) and entry.find_task() is not entry.find_task()
    with pytest.raises(DataError, match="imges"):
        SupernetEntry("s", "", entry.build, task="imges").find_task()


def test_a_card_has_what_follows_from_the_network_and_what_is_told(entry, small_supernet) -> None:
    told = SupernetEntry("small", "a small one", entry.build, card={"licence": "own", "subnets": "told"})
    card = told.full_card()
    space = small_supernet.space
    assert card["macs_smallest"] == small_supernet.macs(space.smallest()) < card["macs_largest"]
    assert card["params_largest"] == small_supernet.params(space.largest())
    assert (card["weights"], card["licence"], card["subnets"]) == ("bring your own", "own", "told")
    assert entry.full_card()["subnets"] == space.cardinality and card["classes"] == 4


def test_balanced_sampling_is_over_macs(entry, small_supernet) -> None:
    loaded = LoadedSupernet.of(entry, small_supernet)
    rows = small_supernet.space.sample_array(5, np.random.default_rng(0))
    np.testing.assert_array_equal(loaded.balanced_cost(rows), small_supernet.macs_array(rows))
