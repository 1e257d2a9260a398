"""Tree models: what is no tree is refused before XGBoost sees it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from predictors import PredictorFileError, XGBoostPredictor, ubjson
from predictors.trees import check, load_trees

X = np.random.default_rng(0).normal(size=(30, 4))


@pytest.fixture(scope="module")
def data() -> bytes:
    return bytes(XGBoostPredictor(n_estimators=3, interval_folds=0).fit(X, X[:, 0]).booster_.save_raw("ubj"))


def test_a_sound_model_is_the_same(data: bytes) -> None:
    assert bytes(load_trees(data).save_raw("ubj")) == data


def tree(model: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return model["learner"]["gradient_booster"]["model"]["trees"][number]


def put(name: str, at: int, value: float) -> Callable[[dict[str, Any]], None]:
    return lambda model: tree(model)[name].__setitem__(at, value)


def at(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(model: dict[str, Any]) -> None:
        *way, last = path.split("/")
        for key in way:
            model = model[key]
        model[last] = value

    return change


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "child beyond the tree": put("left_children", 0, 10_000),
    "child before its parent": put("left_children", 2, 0),
    "child of two": put("right_children", 0, 1),
    "one child": put("left_children", 0, -1),
    "negative child": put("left_children", 0, -7),
    "wrong parent": put("parents", 1, 2),
    "root with a parent": put("parents", 0, 0),
    "feature that is not there": put("split_indices", 0, 4),
    "negative feature": put("split_indices", 0, -1),
    "infinite leaf": put("split_conditions", -1, np.inf),
    "leaf that is no number": put("base_weights", -1, np.nan),
    "split on categories": put("split_type", 0, 1),
    "unknown direction": put("default_left", 0, 2),
    "negative weight": put("sum_hessian", 0, -1.0),
    "short array": lambda model: tree(model).update(left_children=tree(model)["left_children"][:-1]),
    "array of another type": lambda model: tree(model).update(parents=tree(model)["parents"].astype(np.int64)),
    "list for an array": lambda model: tree(model).update(parents=tree(model)["parents"].tolist()),
    "number of nodes": lambda model: tree(model)["tree_param"].update(num_nodes="99"),
    "deleted nodes": lambda model: tree(model)["tree_param"].update(num_deleted="1"),
    "tree of other features": lambda model: tree(model)["tree_param"].update(num_feature="3"),
    "vector leaf": lambda model: tree(model)["tree_param"].update(size_leaf_vector="2"),
    "number of the tree": lambda model: tree(model).update(id=7),
    "categories": lambda model: tree(model).update(categories=np.array([1])),
    "further key": lambda model: tree(model).update(more=1),
    "missing key": lambda model: tree(model).pop("parents"),
    "number of trees": at("learner/gradient_booster/model/gbtree_model_param/num_trees", "4"),
    "parallel trees": at("learner/gradient_booster/model/gbtree_model_param/num_parallel_tree", "2"),
    "rounds": at("learner/gradient_booster/model/iteration_indptr", [0, 1, 2, 30_000_000]),
    "classes of trees": at("learner/gradient_booster/model/tree_info", [0, 0, 9]),
    "no trees": at("learner/gradient_booster/model/trees", {}),
    "booster": at("learner/gradient_booster/name", "dart"),
    "objective": at("learner/objective", {"name": "multi:softmax"}),
    "base score": at("learner/learner_model_param/base_score", "nan"),
    "base score of words": at("learner/learner_model_param/base_score", 0.5),
    "features": at("learner/learner_model_param/num_feature", "4294967295"),
    "no features": at("learner/learner_model_param/num_feature", "0"),
    "classes": at("learner/learner_model_param/num_class", "3"),
    "names": at("learner/feature_names", ["a"]),
    "version": at("version", [3, -2, 0]),
    "no learner": at("learner", None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_no_tree_is_refused(data: bytes, change: Callable[[dict[str, Any]], None]) -> None:
    model = ubjson.parse(data)
    check(model)
    change(model)
    with pytest.raises(PredictorFileError, match="damaged or of another kind"):
        check(model)


def test_bytes_that_are_no_document_are_refused(data: bytes) -> None:
    length = struct.pack(">q", 2**40)
    for broken in (
        b"",
        data[:-1],
        data + b"}",
        b"{",
        b"[$d#L" + length,
        b"[#L" + length,
        b"SL" + length,
        b"[" * 100,
        b"?",
        b"[$Z#L" + length,
    ):
        with pytest.raises(ubjson.UbjsonError):
            ubjson.parse(broken)
        with pytest.raises(PredictorFileError):
            load_trees(broken)
    twice = b"{L" + struct.pack(">q", 1) + b"aTL" + struct.pack(">q", 1) + b"aT}"
    with pytest.raises(ubjson.UbjsonError, match="stands twice"):
        ubjson.parse(twice)


def test_flipped_bytes_are_refused_or_give_a_sound_tree(data: bytes) -> None:
    """Only the checks: models that pass them go to XGBoost in the child processes of `tests/fuzz`."""
    rng = np.random.default_rng(5)
    passed = 0
    for _ in range(400):
        changed = bytearray(data)
        for at in rng.integers(0, len(data), size=int(rng.integers(1, 4))):
            changed[at] ^= 1 << int(rng.integers(8))
        try:
            model = ubjson.parse(bytes(changed))
            check(model)
        except (ubjson.UbjsonError, PredictorFileError):
            continue
        passed += 1
        for number in range(3):
            left = tree(model, number)["left_children"]
            assert ((left == -1) | ((left > 0) & (left < len(left)))).all()
    assert passed > 0
