"""Write a campaign as an Optuna study, for Optuna's dashboard."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from hwsearch._typing import FloatArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.optuna.base import quiet
from hwsearch.spaces import Architecture, SearchSpace

#: user and password in a URL
PASSWORD = re.compile(r"(://[^:/@\s]*:)([^@]*)@")
#: what databases say when another process made the same tables or study a moment before, or is about to
MEANWHILE = re.compile(r"already exists|locked|duplicate|UNIQUE", re.IGNORECASE)
#: attempts to open a study that another process is creating, and about how long lies between two
ATTEMPTS, WAIT_S = 30, 0.2


def write_study(searcher: Searcher, storage: str, study_name: str) -> int:
    """Add what a searcher was told to a study in an Optuna storage.

    Parameters
    ----------
    searcher : Searcher
        Of any tactic.
    storage, study_name : str
        As of `write_measured`.

    Returns
    -------
    int
        How many trials were added; architectures that the study has are not added again.

    Raises
    ------
    SearchError
        As of `write_measured`.
    """
    archs, values = searcher.evaluated
    return write_measured(searcher.space, searcher.objectives, archs, values, storage, study_name, tactic=searcher.name)


@contextmanager
def _using(storage: str) -> Iterator[None]:
    """Keep Optuna quiet, and turn its errors into one that names the storage."""
    try:
        with quiet():
            yield
    except (optuna.exceptions.OptunaError, SQLAlchemyError, ImportError, OSError, ValueError) as error:
        secret = PASSWORD.search(storage)
        said = str(error).replace(secret[2], "***") if secret and secret[2] else str(error)
        raise SearchError(
            f"the Optuna storage {shown(storage)!r} cannot be used: {said.splitlines()[0] if said else type(error).__name__}",
            hint="A storage is a URL such as sqlite:///optuna.db or postgresql+psycopg://user@host/name.",
        ) from None  # the cause may hold the password


def shown(storage: str) -> str:
    """Hide the password of a storage's URL.

    Parameters
    ----------
    storage : str
        As given.

    Returns
    -------
    str
        For messages.

    Examples
    --------
    >>> shown("postgresql://me:secret@host/db"), shown("sqlite:///optuna.db")
    ('postgresql://me:***@host/db', 'sqlite:///optuna.db')
    """
    return PASSWORD.sub(r"\1***@", storage)


def _study(storage: str, study_name: str, directions: list[str]) -> optuna.Study:
    """Open a study, or create it; of several processes that do at once, all but one try again."""
    for k in range(ATTEMPTS):
        try:
            return optuna.create_study(
                storage=storage, study_name=study_name, directions=directions, load_if_exists=True
            )
        except (optuna.exceptions.OptunaError, SQLAlchemyError) as error:
            if k + 1 == ATTEMPTS or not MEANWHILE.search(f"{error} {error.__cause__}"):
                raise
            time.sleep(random.uniform(0.5, 1.5) * WAIT_S)
    raise AssertionError("the last attempt returns or raises")


def check_storage(storage: str) -> None:
    """Open an Optuna storage, to know that it can be used before long work.

    Parameters
    ----------
    storage : str
        As of `write_measured`.

    Raises
    ------
    SearchError
        If it cannot be opened.
    """
    with _using(storage):
        optuna.storages.get_storage(storage)


def write_measured(
    space: SearchSpace,
    objectives: Sequence[Objective],
    archs: Sequence[Architecture],
    values: FloatArray,
    storage: str,
    study_name: str,
    **attributes: str,
) -> int:
    """Add measured architectures to a study in an Optuna storage.

    Parameters of a trial are the active genes with their values; each trial has the architecture's id as the user
    attribute ``arch_id``. Architectures that the study has are not added again, so that it can be brought up to date.
    Failed measurements are failed trials.

    Parameters
    ----------
    space : SearchSpace
        Of the architectures.
    objectives : sequence of Objective
        The m objectives.
    archs : sequence of Architecture
        The n architectures.
    values : ndarray (n, m)
        In natural units; NaN where a measurement failed.
    storage : str
        A storage URL such as ``sqlite:///runs/mine/optuna.db``; ``optuna-dashboard URL`` then shows the study.
    study_name : str
        Created if it does not exist.
    **attributes : str
        Further user attributes of the trials.

    Returns
    -------
    int
        How many trials were added.

    Raises
    ------
    SearchError
        If the study has other objectives, or the storage cannot be used.
    """
    directions = ["maximize" if o.direction == "max" else "minimize" for o in objectives]
    names = [o.name for o in objectives]
    with _using(storage):
        study = _study(storage, study_name, directions)
        if [d.name.lower() for d in study.directions] != directions or study.metric_names not in (None, names):
            raise SearchError(
                f"the study {study_name!r} in {shown(storage)!r} has other objectives than {', '.join(names)}.",
                hint="Choose another study name.",
            )
        if study.metric_names is None:
            study.set_metric_names(names)
        there = {t.user_attrs.get("arch_id") for t in study.get_trials(deepcopy=False)}
        values_of = {c.name: CategoricalDistribution(c.values) for c in space.choices}
        added = []
        for arch, row in zip(archs, values, strict=True):
            if arch.id in there:
                continue
            failed = bool(np.isnan(row).any())
            added.append(
                create_trial(
                    state=TrialState.FAIL if failed else TrialState.COMPLETE,
                    values=None if failed else [float(v) for v in row],
                    params=arch.to_dict(),
                    distributions={name: values_of[name] for name in arch},
                    user_attrs={"arch_id": arch.id, **attributes},
                )
            )
        study.add_trials(added)
    return len(added)
