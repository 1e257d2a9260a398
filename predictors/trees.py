"""Check a tree model before XGBoost reads it: native code trusts indices, and a wrong one ends the process."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import xgboost as xgb

from predictors import ubjson
from predictors.errors import PredictorFileError

#: XGBoost's name for "no parent", and how deep a tree may be
NO_PARENT, DEEPEST = 2**31 - 1, 4096
#: most features of a model
MOST_FEATURES = 1_000_000
#: arrays of a tree with one element a node, and their types
NODES = {
    "base_weights": "float32", "default_left": "uint8", "left_children": "int32", "loss_changes": "float32",
    "parents": "int32", "right_children": "int32", "split_conditions": "float32", "split_indices": "int32",
    "split_type": "uint8", "sum_hessian": "float32",
}  # fmt: skip
#: arrays of a tree that only splits on categories have
CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")


def load_trees(data: bytes) -> xgb.Booster:
    """Load a model of gradient-boosted trees that XGBoost has saved as UBJSON.

    Every index in it is checked first: children lie within their tree and form one tree, splits name existing features, arrays are
    as long as they say, and numbers are finite.

    Parameters
    ----------
    data : bytes
        The model: `gbtree`, one squared-error target, splits on numbers.

    Returns
    -------
    xgboost.Booster
        The model.

    Raises
    ------
    PredictorFileError
        If the model is damaged or of another kind.
    """
    try:
        check(ubjson.parse(data))
        return xgb.Booster(model_file=bytearray(data))
    except (ubjson.UbjsonError, xgb.core.XGBoostError) as error:
        raise _damaged(str(error).splitlines()[0]) from error


def check(model: ubjson.Value) -> None:
    """Check the document of a tree model; see `load_trees`.

    Parameters
    ----------
    model : object
        As `predictors.ubjson.parse` returns it.

    Raises
    ------
    PredictorFileError
        If anything in it is not as XGBoost writes it.
    """
    _keys(model, "the model", {"learner", "version"})
    version = model["version"]
    if not (isinstance(version, list) and len(version) == 3 and all(type(v) is int and 0 <= v < 128 for v in version)):
        raise _damaged(f"its version is {str(version)[:60]}")
    learner = model["learner"]
    _keys(
        learner,
        "the learner",
        {"attributes", "feature_names", "feature_types", "gradient_booster", "learner_model_param", "objective"},
    )
    for name in ("attributes", "feature_names", "feature_types"):
        _empty(learner[name], name)
    features = _check_parameters(learner)
    _check_booster(learner["gradient_booster"], features)


def _check_parameters(learner: Mapping[str, ubjson.Value]) -> int:
    """Check objective and parameters; the number of features."""
    given = learner["learner_model_param"]
    _keys(given, "its parameters", {"base_score", "num_class", "num_feature", "num_target"}, {"boost_from_average"})
    score = given["base_score"]
    if not isinstance(score, str) or not re.fullmatch(r"\[?[-+]?\d{1,20}(\.\d{1,20})?([eE][-+]?\d{1,2})?\]?", score):
        raise _damaged(f"its base score is {str(score)[:60]!r}")
    if (given["num_class"], given["num_target"]) != ("0", "1") or given.get("boost_from_average", "0") not in (
        "0",
        "1",
    ):
        raise _damaged("it is no regression of one target")
    objective = learner["objective"]
    _keys(objective, "its objective", {"name"}, {"reg_loss_param"})
    loss = objective.get("reg_loss_param", {"scale_pos_weight": "1"})
    if objective["name"] != "reg:squarederror" or loss != {"scale_pos_weight": "1"}:
        raise _damaged(f"its objective is {str(objective)[:60]}")
    return _count(given, "num_feature", MOST_FEATURES)


def _check_booster(booster: ubjson.Value, features: int) -> None:
    _keys(booster, "the booster", {"model", "name"})
    if booster["name"] != "gbtree":
        raise _damaged(f"its booster is {str(booster['name'])[:60]!r}, not 'gbtree'")
    model = booster["model"]
    _keys(model, "the booster's model", {"gbtree_model_param", "iteration_indptr", "tree_info", "trees"}, {"cats"})
    if "cats" in model:
        _keys(model["cats"], "its categories", {"enc", "feature_segments", "sorted_idx"})
        for name, value in model["cats"].items():
            _empty(value, name)
    trees = model["trees"]
    if not isinstance(trees, list):
        raise _damaged("it has no list of trees")
    _keys(model["gbtree_model_param"], "its size", {"num_parallel_tree", "num_trees"})
    if _count(model["gbtree_model_param"], "num_trees", ubjson.MOST_VALUES) != len(trees):
        raise _damaged(f"it does not have the {len(trees)} trees that it announces")
    if model["gbtree_model_param"]["num_parallel_tree"] != "1":
        raise _damaged("it grows several trees at a time")
    if not _is_list_of(model["tree_info"], [0] * len(trees)):
        raise _damaged("its trees are of several targets")
    if not _is_list_of(model["iteration_indptr"], list(range(len(trees) + 1))):
        raise _damaged("its rounds have not one tree each")
    for number, tree in enumerate(trees):
        _check_tree(tree, number, features)


def _check_tree(tree: ubjson.Value, number: int, features: int) -> None:
    where = f"tree {number}"
    _keys(tree, where, {*NODES, *CATEGORIES, "id", "tree_param"})
    if type(tree["id"]) is not int or tree["id"] != number:
        raise _damaged(f"{where} has the number {tree['id']!r}")
    for name in CATEGORIES:
        _empty(tree[name], f"{name} of {where}")
    size = tree["tree_param"]
    _keys(size, f"the size of {where}", {"num_deleted", "num_feature", "num_nodes", "size_leaf_vector"})
    n = _count(size, "num_nodes", ubjson.MOST_VALUES * 16)
    if _count(size, "num_feature", MOST_FEATURES) != features:
        raise _damaged(f"{where} is of another number of features")
    if size["num_deleted"] != "0" or size["size_leaf_vector"] not in ("0", "1"):
        raise _damaged(f"{where} has deleted nodes or several values a leaf")
    for name, dtype in NODES.items():
        array = tree[name]
        if not isinstance(array, np.ndarray) or array.dtype != dtype or len(array) != n:
            raise _damaged(f"{name} of {where} are not {n} numbers of type {dtype}")
        if not np.isfinite(array).all():
            raise _damaged(f"{name} of {where} are not all finite")
    left, right, parents = (tree[name] for name in ("left_children", "right_children", "parents"))
    inner = np.flatnonzero(left != -1)
    if not np.array_equal(inner, np.flatnonzero(right != -1)):
        raise _damaged(f"{where} has a node with one child")
    children = np.concatenate([left[inner], right[inner]])
    if not np.array_equal(np.sort(children), np.arange(1, n)):  # each node but the root is a child once
        raise _damaged(f"the nodes of {where} do not form a tree")
    above = np.concatenate([inner, inner])
    if (children <= above).any() or parents[0] != NO_PARENT or not np.array_equal(parents[children], above):
        raise _damaged(f"the nodes of {where} do not form a tree")
    if ((tree["split_indices"] < 0) | (tree["split_indices"] >= features)).any():
        raise _damaged(f"{where} splits on a feature that the model does not have")
    if tree["split_type"].any() or (tree["default_left"] > 1).any() or (tree["sum_hessian"] < 0).any():
        raise _damaged(f"{where} has splits of an unknown kind")
    depth = np.zeros(n, dtype=np.int64)
    for child in range(1, n):  # a parent comes before its children
        depth[child] = depth[parents[child]] + 1
    if depth.max() > DEEPEST:
        raise _damaged(f"{where} is {depth.max()} levels deep")


def _is_list_of(value: ubjson.Value, wanted: list[int]) -> bool:
    return isinstance(value, list) and value == wanted and all(type(v) is int for v in value)


def _keys(value: ubjson.Value, what: str, required: set[str], optional: set[str] | None = None) -> None:
    if not isinstance(value, dict) or not required <= set(value) <= required | (optional or set()):
        raise _damaged(f"{what} does not have the keys that XGBoost writes")


def _empty(value: ubjson.Value, name: str) -> None:
    if not isinstance(value, list | dict | np.ndarray) or len(value):
        raise _damaged(f"{name} is not empty")


def _count(table: Mapping[str, ubjson.Value], name: str, most: int) -> int:
    text = table[name]
    if not isinstance(text, str) or not re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII) or int(text) > most:
        raise _damaged(f"{name} is {str(text)[:60]!r}, not a number from 1 to {most}")
    return int(text)


def _damaged(why: str) -> PredictorFileError:
    return PredictorFileError(f"a tree model is damaged or of another kind: {why}.", hint="Fit the predictor again.")
