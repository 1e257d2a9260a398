"""Save and load predictors: one zip of JSON, .npy arrays and XGBoost UBJSON. No pickle in either direction.

The file holds `predictor.json` (format, version, class, parameters, learned values), one member for each array or tree model,
to which the JSON refers, and `card.json` where the predictor has a card (`predictors.card`). The same predictor always gives the
same bytes. Files of version 1, which have no card and no Gaussian process, are read as they are.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

import predictors.boosting
import predictors.fidelity
import predictors.gp
import predictors.operators
import predictors.ridge
import predictors.select
import predictors.settings
import predictors.sourced  # noqa: F401 - so that the classes are registered
from predictors._typing import FloatArray
from predictors.base import REGISTRY, BasePredictor
from predictors.errors import PredictorError, PredictorFileError
from predictors.members import MOST_JSON, Members
from predictors.schema import Schema
from predictors.trees import MOST_FEATURES, load_trees

FORMAT = "hwsearch-predictor"
VERSION = 2
INDEX, CARD = "predictor.json", "card.json"


def save(predictor: BasePredictor, path: str | os.PathLike[str], card: Mapping[str, object] | None = None) -> None:
    """Write a predictor, fitted or not, to one file; an existing file is replaced in one step.

    Parameters
    ----------
    predictor : BasePredictor
        Of a registered class, see `register`.
    path : path-like
        The file.
    card : mapping, optional
        What the predictor was learnt from and how good it is, as `predictors.card.card_of` makes it.

    Raises
    ------
    PredictorFileError
        For an estimator whose class is not registered (also as a candidate), or if the file cannot be written.
    """
    members: dict[str, bytes] = {}
    content = {"format": FORMAT, "version": VERSION, "predictor": _encode(predictor, members)}
    members = {INDEX: json.dumps(content, allow_nan=False).encode(), **members}
    if card is not None:
        members[CARD] = json.dumps(_encode(dict(card), {}), allow_nan=False).encode()
    _write(members, Path(path))


def replace_card(path: str | os.PathLike[str], card: Mapping[str, object]) -> None:
    """Give a predictor file another card; the predictor in it stays the same to the byte.

    Parameters
    ----------
    path : path-like
        The file.
    card : mapping
        The new card.

    Raises
    ------
    PredictorFileError
        If the file is missing, damaged or no predictor file, or cannot be written.
    """
    read_card(path)
    with zipfile.ZipFile(path) as archive:
        inside = Members(archive)
        members = {name: inside.read(name) for name in archive.namelist()}
    _write(members | {CARD: json.dumps(_encode(dict(card), {}), allow_nan=False).encode()}, Path(path))


def _write(members: Mapping[str, bytes], target: Path) -> None:
    """Write a file of some members, always the same for the same ones, in one step."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(buffer.getvalue())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PredictorFileError(f"cannot write the predictor to '{target}': {error.strerror}.") from error


def load(path: str | os.PathLike[str]) -> BasePredictor:
    """Read a predictor that `save` wrote; its predictions are equal to the last bit on the same machine.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    BasePredictor
        As it was saved.

    Raises
    ------
    PredictorFileError
        If the file is missing, damaged, of another kind or of a newer version, or would take more memory than a predictor
        does. Sizes are read from headers first, and tree models are checked before XGBoost sees them.

    Examples
    --------
    >>> import tempfile
    >>> from predictors import RidgePredictor
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(RidgePredictor(alpha=2.0), f"{folder}/ridge.predictor")
    ...     load(f"{folder}/ridge.predictor")
    RidgePredictor(alpha=2.0)
    """
    source = Path(path)
    try:
        with zipfile.ZipFile(source) as archive:
            members = Members(archive)
            content = json.loads(members.read(INDEX, MOST_JSON))
            if _check_header(content, source) == 1:
                _upgrade(content["predictor"])
            with np.errstate(all="ignore"):  # what is not finite is refused below
                predictor = _decode(content["predictor"], members)
        if not isinstance(predictor, BasePredictor):
            raise PredictorFileError(f"'{source}' holds a {type(predictor).__name__}, not a predictor.")
        if predictor.__sklearn_is_fitted__():
            _probe(predictor)
    except PredictorFileError:
        raise
    except FileNotFoundError as error:
        raise PredictorFileError(f"there is no predictor file '{source}'.", hint="Check the path.") from error
    except Exception as error:  # whatever a damaged file makes zip, JSON, numpy or XGBoost say
        raise PredictorFileError(
            f"'{source}' is not a predictor file, or is damaged ({type(error).__name__}: {error}).",
            hint="Fit the predictor again and save it anew.",
        ) from error
    return predictor


def read_card(path: str | os.PathLike[str]) -> dict[str, object] | None:
    """Read the card of a predictor file, without the predictor.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    dict or None
        As it was given to `save`; None for a file without a card.

    Raises
    ------
    PredictorFileError
        If the file is missing, damaged or no predictor file.
    """
    source = Path(path)
    try:
        with zipfile.ZipFile(source) as archive:
            if CARD not in archive.namelist():
                _check_header(json.loads(Members(archive).read(INDEX, MOST_JSON)), source)
                return None
            card = _decode(json.loads(Members(archive).read(CARD, MOST_JSON)), Members(archive))
    except PredictorFileError:
        raise
    except FileNotFoundError as error:
        raise PredictorFileError(f"there is no predictor file '{source}'.", hint="Check the path.") from error
    except Exception as error:  # as of `load`
        raise PredictorFileError(f"'{source}' is not a predictor file, or is damaged ({error}).") from error
    if not isinstance(card, dict):
        raise PredictorFileError(f"the card of '{source}' is no object.", hint="Fit the predictor again.")
    return card


def _probe(predictor: BasePredictor) -> None:
    """Predict once in every way: learned values that do not fit together show here, not in a search."""
    columns = predictor.n_features_in_
    if type(columns) is not int or not 1 <= columns <= MOST_FEATURES:
        raise PredictorFileError(f"the predictor has {columns!r} features.", hint="Fit it again.")
    probe = np.zeros((2, columns))
    with np.errstate(all="ignore"):
        mean = predictor._mean(probe)
        spread: tuple[FloatArray, ...] = ()
        try:
            spread = (*predictor._mean_std(probe), predictor._held_out(probe)[0])
        except PredictorFileError:
            raise
        except PredictorError:
            if len(getattr(predictor, "fold_boosters_", ())):
                raise  # without folds there are no intervals
        else:
            predictor._check_learned(probe)
            predictor.predict_interval(probe, 0.5)
    if not all(np.isfinite(np.asarray(values, dtype=np.float64)).all() for values in (mean, *spread)):
        raise PredictorFileError("the predictor gives values that are not finite.", hint="Fit it again.")


def _check_header(content: object, source: Path) -> int:
    """Check format and version; the version."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise PredictorFileError(f"'{source}' is not a predictor file.", hint="Use a file that predictors.save wrote.")
    version = content.get("version")
    if not isinstance(version, int) or version < 1:
        raise PredictorFileError(f"'{source}' has the version {version!r}, which does not exist.")
    if version > VERSION:
        raise PredictorFileError(
            f"'{source}' has version {version}, this release reads up to {VERSION}.", hint="Install a newer release."
        )
    return version


def _upgrade(predictor: object) -> None:
    """Fill in what a chosen predictor of version 1 does not have: its score was the winner's."""
    if (
        isinstance(predictor, dict)
        and predictor.get("$predictor") == "CrossValidatedPredictor"
        and predictor["learned"]
    ):
        learned = predictor["learned"]
        learned.setdefault("procedure_scores_", learned["scores_"][learned["best_"]])
        learned.setdefault("mae_error_", {"$float": "nan"})


def _encode(value: Any, members: dict[str, bytes]) -> Any:
    """Write a JSON value; arrays and tree models go to `members`. Objects are {"$kind": ...}, so no key may start with $."""
    if isinstance(value, BasePredictor):
        name = type(value).__name__
        if REGISTRY.get(name) is not type(value):
            raise PredictorFileError(f"{name} cannot be saved.", hint="Decorate it with predictors.register.")
        learned = ("n_features_in_", "feature_names_in_", *value._learned) if value.__sklearn_is_fitted__() else ()
        return {
            "$predictor": name,
            "parameters": _encode(value.get_params(deep=False), members),
            "learned": {key: _encode(getattr(value, key), members) for key in learned if hasattr(value, key)},
        }
    if isinstance(value, Schema):
        return {"$schema": value.to_dict()}
    if isinstance(value, xgb.Booster):
        member = f"{len(members)}.ubj"
        members[member] = bytes(value.save_raw("ubj"))
        return {"$booster": member}
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return {"$names": [str(name) for name in value]}
        member = f"{len(members)}.npy"
        stream = io.BytesIO()
        np.save(stream, value, allow_pickle=False)
        members[member] = stream.getvalue()
        return {"$array": member}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict) and all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: _encode(item, members) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item, members) for item in value]
    raise PredictorFileError(f"a {type(value).__name__} cannot be saved in a predictor file.")


def _decode(value: Any, members: Members) -> Any:
    if isinstance(value, list):
        return [_decode(item, members) for item in value]
    if not isinstance(value, dict):
        return value
    if "$predictor" in value:
        name = value["$predictor"]
        if name not in REGISTRY:
            raise PredictorFileError(
                f"the file holds a {name!r}, which this release does not know.",
                hint=f"It knows {', '.join(REGISTRY)}; import the package that defines it first.",
            )
        predictor = REGISTRY[name](**_decode(value["parameters"], members))
        allowed = {"n_features_in_", "feature_names_in_", *predictor._learned}
        for key, item in value["learned"].items():
            if key not in allowed:
                raise PredictorFileError(f"the file holds {key!r}, which a {name} does not have.")
            setattr(predictor, key, _decode(item, members))
        if value["learned"] and not (predictor.__sklearn_is_fitted__() and hasattr(predictor, "n_features_in_")):
            raise PredictorFileError(f"the file lacks a part of what a {name} has learned.", hint="Save it anew.")
        if value["learned"]:
            predictor._restore()
        return predictor
    if "$schema" in value:
        return Schema.from_dict(value["$schema"])
    if "$booster" in value:
        return load_trees(members.read(value["$booster"]))
    if "$array" in value:
        return members.array(value["$array"])
    if "$names" in value:
        return np.array(value["$names"], dtype=object)
    if "$float" in value:
        return float(value["$float"])
    return {key: _decode(item, members) for key, item in value.items()}
