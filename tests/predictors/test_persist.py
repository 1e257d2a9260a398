from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.svm import SVR

from predictors import (
    BasePredictor,
    CrossValidatedPredictor,
    GaussianProcessPredictor,
    PredictorError,
    PredictorFileError,
    RidgePredictor,
    Schema,
    XGBoostPredictor,
    load,
    read_card,
    save,
)

GENES = Schema.from_names([f"w[{i}]={v}" for i in range(12) for v in (1, 2, 3)])

PREDICTORS = [
    RidgePredictor(),
    RidgePredictor(alpha=0.1, log_target=True),
    XGBoostPredictor(n_estimators=20, seed=4),
    XGBoostPredictor(n_estimators=20, log_target=True, interval_folds=3),
    GaussianProcessPredictor(),
    GaussianProcessPredictor(GENES, warp="log", prior={"counts": 0.5}),
    CrossValidatedPredictor(),
    CrossValidatedPredictor(schema=GENES, repeats=1),
    CrossValidatedPredictor(candidates={"trees": XGBoostPredictor(n_estimators=20), "ridge": RidgePredictor(3.0)}),
]


@pytest.mark.parametrize("predictor", PREDICTORS, ids=lambda p: type(p).__name__)
def test_predictions_are_bit_equal_after_loading(task, predictor, tmp_path) -> None:
    X, y = task(40, log=True)
    predictor.fit(X, y)
    save(predictor, tmp_path / "p.zip")
    again = load(tmp_path / "p.zip")
    new, _ = task(25, seed=2)
    assert type(again) is type(predictor)
    assert np.array_equal(again.predict(new), predictor.predict(new))
    assert np.array_equal(again.predict(new, return_std=True), predictor.predict(new, return_std=True))
    assert np.array_equal(again.predict_interval(new), predictor.predict_interval(new))
    assert repr(again) == repr(predictor)
    save(again, tmp_path / "q.zip")
    assert (tmp_path / "q.zip").read_bytes() == (tmp_path / "p.zip").read_bytes()


def test_chosen_predictor_keeps_its_table(task, tmp_path) -> None:
    X, y = task(30)
    ours = CrossValidatedPredictor().fit(X, y)
    save(ours, tmp_path / "p.zip")
    again = load(tmp_path / "p.zip")
    assert isinstance(again, CrossValidatedPredictor)
    assert again.scores_ == ours.scores_ and again.best_ == ours.best_


def test_scores_that_are_nan_survive(tmp_path) -> None:
    ours = CrossValidatedPredictor().fit(np.eye(8), np.full(8, 2.0))
    assert np.isnan(ours.scores_["ridge"]["kendall"])
    save(ours, tmp_path / "p.zip")
    assert np.isnan(load(tmp_path / "p.zip").scores_["ridge"]["kendall"])


def test_an_unfitted_predictor_stays_unfitted(tmp_path) -> None:
    save(XGBoostPredictor(max_depth=2), tmp_path / "p.zip")
    again = load(tmp_path / "p.zip")
    assert again.get_params() == XGBoostPredictor(max_depth=2).get_params()
    with pytest.raises(NotFittedError):
        again.predict(np.eye(2))


def test_file_holds_no_pickle(task, tmp_path) -> None:
    save(CrossValidatedPredictor().fit(*task(30)), tmp_path / "p.zip")
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert {Path(name).suffix for name in archive.namelist()} <= {".json", ".npy", ".ubj"}
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as stream:
                    np.load(stream, allow_pickle=False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[Path, bytes, RidgePredictor]:
    rng = np.random.default_rng(0)
    ours = RidgePredictor().fit(rng.normal(size=(12, 3)), rng.normal(size=12))
    path = tmp_path_factory.mktemp("saved") / "p.zip"
    save(ours, path)
    return path, path.read_bytes(), ours


def test_every_truncation_is_refused(saved) -> None:
    path, data, _ = saved
    for length in range(0, len(data), 7):
        path.with_name("short.zip").write_bytes(data[:length])
        with pytest.raises(PredictorFileError):
            load(path.with_name("short.zip"))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_byte_is_refused_or_harmless(saved, data) -> None:
    path, content, ours = saved
    at = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[at] ^= data.draw(st.integers(1, 255))
    path.with_name("changed.zip").write_bytes(changed)
    X = np.linspace(-1, 1, 12).reshape(4, 3)
    try:
        again = load(path.with_name("changed.zip"))
    except PredictorFileError:
        return
    assert np.array_equal(again.predict(X), ours.predict(X))


def rewrite(source: Path, target: Path, change) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "predictor.json":
                content = json.loads(data)
                change(content)
                data = json.dumps(content).encode()
            new.writestr(name, data)
    return target


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.update(version=3), "version 3, this release reads up to 2"),
        (lambda c: c.update(version="new"), "which does not exist"),
        (lambda c: c.update(format="recipe"), "not a predictor file"),
        (lambda c: c["predictor"].update({"$predictor": "Oracle"}), "'Oracle', which this release does not know"),
        (lambda c: c["predictor"]["learned"].update(predict="x"), "'predict', which a RidgePredictor does not have"),
        (lambda c: c["predictor"]["parameters"].update(depth=3), "damaged"),
        (lambda c: c["predictor"]["learned"].update(n_features_in_=5), "damaged"),
        (lambda c: c["predictor"]["learned"]["coef_"].update({"$array": "9.npy"}), "damaged"),
        (lambda c: c.update(predictor=[]), "holds a list"),
    ],
)
def test_foreign_and_newer_files_are_refused(saved, tmp_path, change, message) -> None:
    with pytest.raises(PredictorFileError, match=message):
        load(rewrite(saved[0], tmp_path / "other.zip", change))


def test_an_array_with_pickled_objects_is_not_read(saved, tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as new, zipfile.ZipFile(saved[0]) as old:
        for name in old.namelist():
            if not name.endswith(".npy"):
                new.writestr(name, old.read(name))
                continue
            with new.open(name, "w") as stream:
                np.save(stream, np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(PredictorFileError, match="allow_pickle"):
        load(tmp_path / "evil.zip")


def test_missing_and_unwritable_paths_are_named(tmp_path) -> None:
    with pytest.raises(PredictorFileError, match=r"no predictor file '.*nothing\.zip'"):
        load(tmp_path / "nothing.zip")
    with pytest.raises(PredictorFileError, match="damaged"):
        load(tmp_path)
    with pytest.raises(PredictorFileError, match=r"cannot write .*no/p\.zip"):
        save(RidgePredictor(), tmp_path / "no" / "p.zip")
    assert issubclass(PredictorFileError, PredictorError) and issubclass(PredictorError, ValueError)


def test_estimators_of_others_are_not_saved(task, tmp_path) -> None:
    ours = CrossValidatedPredictor(candidates={"svr": SVR()}).fit(*task(20))
    with pytest.raises(PredictorFileError, match="SVR"):
        save(ours, tmp_path / "p.zip")

    class Own(RidgePredictor):
        pass

    with pytest.raises(PredictorFileError, match="Own cannot be saved"):
        save(Own(), tmp_path / "p.zip")
    assert list(tmp_path.iterdir()) == []
    assert isinstance(Own(), BasePredictor)


def test_a_file_of_version_1_is_read(task, tmp_path) -> None:
    """It has no card, and of a chosen predictor no score of the procedure: that of the winner stands for it."""
    X, y = task(30, log=True)
    ours = CrossValidatedPredictor({"ridge": RidgePredictor(), "trees": XGBoostPredictor(20, interval_folds=0)}).fit(
        X, y
    )
    save(ours, tmp_path / "p.zip", {"metric": "latency_ms"})

    def older(content: dict) -> None:
        content["version"] = 1
        del content["predictor"]["learned"]["procedure_scores_"], content["predictor"]["learned"]["mae_error_"]
        del content["predictor"]["parameters"]["schema"]

    rewrite(tmp_path / "p.zip", tmp_path / "old.zip", older)
    again = load(tmp_path / "old.zip")
    assert isinstance(again, CrossValidatedPredictor) and again.procedure_scores_ == ours.scores_[ours.best_]
    assert np.array_equal(again.predict(X), ours.predict(X))
    assert np.array_equal(again.predict_interval(X), ours.predict_interval(X))


def test_a_card_comes_back_and_is_not_needed(saved, tmp_path) -> None:
    card = {
        "metric": "latency_ms",
        "n": np.int64(12),
        "scores": {"mae": 0.1, "kendall": float("nan")},
        "coverage": None,
    }
    save(saved[2], tmp_path / "p.zip", card)
    found = read_card(tmp_path / "p.zip")
    assert found is not None and found["n"] == 12 and found["coverage"] is None
    assert np.isnan(found["scores"]["kendall"])
    assert repr(load(tmp_path / "p.zip")) == repr(saved[2])
    assert read_card(saved[0]) is None
    with pytest.raises(PredictorFileError, match="no predictor file"):
        read_card(tmp_path / "nothing.zip")
    (tmp_path / "q.zip").write_bytes(b"no zip")
    with pytest.raises(PredictorFileError, match="damaged"):
        read_card(tmp_path / "q.zip")
