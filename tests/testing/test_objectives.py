"""Every computed objective of ours passes the suite that is shipped for others'."""

from __future__ import annotations

from hwsearch.objectives.computed import MACS, MODEL_SIZE, PARAMS
from hwsearch.testing import ObjectiveConformance


class TestMacs(ObjectiveConformance):
    metric = MACS


class TestParams(ObjectiveConformance):
    metric = PARAMS


class TestModelSize(ObjectiveConformance):
    metric = MODEL_SIZE
