"""Published shapes of Once-for-All, by the rules of its paper."""

from __future__ import annotations

from hwsearch.supernets.families.ofa import ofa_mobilenetv3, ofa_proxylessnas


def test_widths_of_mobilenetv3_are_multiples_of_eight_of_the_scaled_ones() -> None:
    """1.2 · (24, 40, 80, 112, 160), each to the nearest multiple of 8."""
    assert [s.width for s in ofa_mobilenetv3(1.0).stages] == [24, 40, 80, 112, 160]
    wide = ofa_mobilenetv3(1.2)
    assert [s.width for s in wide.stages] == [32, 48, 96, 136, 192]
    assert (wide.stem_width, wide.final_width, wide.mix_width, wide.name) == (24, 1152, 1536, "ofa-mobilenetv3-w1.2")
    assert [s.se for s in wide.stages] == [False, True, False, True, True]


def test_the_last_stage_of_proxylessnas_is_no_choice() -> None:
    config = ofa_proxylessnas(1.3)
    space = config.search_space()
    assert config.stages[-1].depths == (1,) and "d[5]" not in [c.name for c in space.choices if len(c.values) > 1]
    assert config.final_width is None and {s.act for s in config.stages} == {"relu6"}
    assert [s.width for s in config.stages] == [32, 56, 104, 128, 248, 416]
