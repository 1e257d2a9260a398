"""Search spaces of MobileNetV3 configurations, by hand."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from hwsearch.errors import SupernetError
from hwsearch.supernets.families.mobilenetv3.config import BlockPlan, MobileNetV3Config, Stage

CONFIG = MobileNetV3Config(
    "two-stages",
    (Stage(16, 2, "relu", False), Stage(24, 1, "h_swish", True, depths=(1,))),
    kernels=(3, 5),
    expansions=(2, 4),
    depths=(1, 3),
    resolutions=(32, 48),
)


def test_each_block_has_genes_with_the_index_stage_times_depth_plus_place() -> None:
    assert list(CONFIG.positions()) == [(0, 0), (0, 1), (0, 2), (1, 0)]
    names = CONFIG.search_space().names
    assert [n for n in names if n.startswith("ks")] == ["ks[0]", "ks[1]", "ks[2]", "ks[3]"]
    assert {"r", "d[0]", "e[0]", "e[3]"} <= set(names)


def test_genes_of_blocks_that_depth_cuts_are_conditional() -> None:
    """Blocks 1 and 2 of the first stage are there at depth 3 only: 2 · (4 + 64) · 4 architectures."""
    space = CONFIG.search_space()
    assert space.cardinality == 2 * (2 * 2 + (2 * 2) ** 3) * (2 * 2)
    assert "ks[1]" not in space.smallest() and "ks[1]" in space.largest()


def test_a_block_adds_its_input_where_shape_and_stride_allow_it() -> None:
    plan = lambda inputs, outputs, stride: BlockPlan(0, 0, inputs, 32, outputs, 3, stride, "relu", False)  # noqa: E731
    assert [plan(*p).residual for p in ((16, 16, 1), (16, 24, 1), (16, 16, 2))] == [True, False, False]


def test_the_fixed_first_block_has_the_stems_width_unless_given() -> None:
    assert CONFIG.first_outputs == CONFIG.stem_width == 16
    assert MobileNetV3Config("x", CONFIG.stages, first_width=24).first_outputs == 24


def test_a_configuration_is_read_from_plain_values_and_wrong_ones_are_refused() -> None:
    data = asdict(CONFIG)
    assert MobileNetV3Config.from_dict({k: list(v) if isinstance(v, tuple) else v for k, v in data.items()}) == CONFIG
    for wrong in ({}, {**data, "depth": 3}, {**data, "stages": [{"width": 8}]}):
        with pytest.raises(SupernetError, match="not a MobileNetV3 configuration"):
            MobileNetV3Config.from_dict(wrong)
