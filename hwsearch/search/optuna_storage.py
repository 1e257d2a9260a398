"""A campaign as an Optuna study, for Optuna's dashboard."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from hwsearch.errors import SearchError
from hwsearch.search.base import Searcher
from hwsearch.search.optuna_base import quiet


def write_study(searcher: Searcher, storage: str, study_name: str) -> int:
    """Add what `searcher`, of any tactic, was told to a study in an Optuna storage; returns how many trials were added.

    storage : a storage URL such as "sqlite:///runs/mine/optuna.db"; `optuna-dashboard URL` then shows the study
    study_name : made if it does not exist

    Parameters are the active genes with their values; each trial has the architecture's id as the user attribute
    `arch_id`, and architectures that the study has are not added again, so that it can be brought up to date. Failed
    measurements are failed trials. Raises SearchError when the study has other objectives or the storage cannot
    be used.
    """
    directions = ["maximize" if o.direction == "max" else "minimize" for o in searcher.objectives]
    names = [o.name for o in searcher.objectives]
    try:
        with quiet():
            study = optuna.create_study(
                storage=storage, study_name=study_name, directions=directions, load_if_exists=True
            )
            if [d.name.lower() for d in study.directions] != directions or study.metric_names not in (None, names):
                raise SearchError(
                    f"the study {study_name!r} in {storage!r} has other objectives than {', '.join(names)}.",
                    hint="Choose another study name.",
                )
            if study.metric_names is None:
                study.set_metric_names(names)
            there = {t.user_attrs.get("arch_id") for t in study.get_trials(deepcopy=False)}
            values_of = {c.name: CategoricalDistribution(c.values) for c in searcher.space.choices}
            added = []
            for arch, values in zip(*searcher.evaluated, strict=True):
                if arch.id in there:
                    continue
                failed = bool(np.isnan(values).any())
                added.append(
                    create_trial(
                        state=TrialState.FAIL if failed else TrialState.COMPLETE,
                        values=None if failed else [float(v) for v in values],
                        params=arch.to_dict(),
                        distributions={name: values_of[name] for name in arch},
                        user_attrs={"arch_id": arch.id, "tactic": searcher.name},
                    )
                )
            study.add_trials(added)
    except (optuna.exceptions.OptunaError, SQLAlchemyError, ImportError) as error:
        raise SearchError(f"the Optuna storage {storage!r} cannot be used: {error}") from error
    return len(added)
