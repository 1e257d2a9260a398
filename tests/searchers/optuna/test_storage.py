"""Optuna's storages: unusable ones are typed errors without passwords, and first uses at the same time lose nothing."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import optuna
import pytest

from hwsearch.errors import SearchError
from hwsearch.objectives import Objective
from hwsearch.searchers.optuna.storage import check_storage, shown, write_measured
from hwsearch.spaces import Choice, SearchSpace

SPACE = SearchSpace("s", [Choice("a", tuple(range(50)))])
OBJECTIVES = [Objective.parse("max accuracy"), Objective.parse("min latency_ms")]


def write(url: str, first: int = 0) -> int:
    archs = [SPACE.architecture({"a": first + i}) for i in range(3)]
    return write_measured(SPACE, OBJECTIVES, archs, np.array([[1.0, 2.0], [2.0, np.nan], [3.0, 4.0]]), url, "mine")


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1",
        "redis://me:SECRET@127.0.0.1:1",
        "postgresql+psycopg://me:SECRET@host:port/db",
        "postgresql://me:SECRET@127.0.0.1:1/db",
        "mysql://me:SECRET:x@127.0.0.1/db",
        "nonsense",
        "sqlite:////no/such/folder/optuna.db",
        "",
    ],
)
def test_a_storage_that_cannot_be_used_is_a_typed_error_without_its_password(url: str) -> None:
    for use in (write, check_storage):
        with pytest.raises(SearchError, match="cannot be used") as told:
            use(url)
        assert "SECRET" not in str(told.value) and told.value.__cause__ is None


def test_passwords_are_hidden() -> None:
    assert shown("postgresql://me:a:b/c@host/db") == "postgresql://me:***@host/db"
    assert shown("sqlite:////srv/x@y.db") == "sqlite:////srv/x@y.db"


def test_a_study_is_brought_up_to_date_and_other_objectives_are_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/o.db"
    assert write(url) == 3 and write(url) == 0 and write(url, 1) == 1
    study = optuna.load_study(study_name="mine", storage=url)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    with pytest.raises(SearchError, match="has other objectives than latency_ms"):
        write_measured(SPACE, OBJECTIVES[1:], [], np.empty((0, 1)), url, "mine")


def _one(job: tuple[str, int]) -> str:
    try:
        return str(write(*job))
    except SearchError as error:
        return str(error)


def test_first_uses_at_the_same_time_lose_no_trial(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert pool.map(_one, [(url, 3 * k) for k in range(4)], chunksize=1) == ["3"] * 4
    assert len(optuna.load_study(study_name="mine", storage=url).trials) == 12
