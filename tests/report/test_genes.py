"""Genes are grouped by prefix and, where depths tell, by stage."""

from __future__ import annotations

from hwsearch.report.genes import describe, layout
from hwsearch.spaces import SearchSpace
from hwsearch.supernets.mobilenetv3 import MobileNetV3Config


def test_stages_agree_with_the_supernet(ofa_config: MobileNetV3Config) -> None:
    space: SearchSpace = ofa_config.search_space()
    archs = [space.smallest().to_dict(), space.largest().to_dict()]
    plan = layout(archs)
    assert plan.scalars == ("r",)
    assert plan.stages == len(ofa_config.stages)
    for i in range(len(ofa_config.stages) * ofa_config.max_depth):
        assert plan.where("ks", i) == divmod(i, ofa_config.max_depth)
        assert plan.where("e", i) == divmod(i, ofa_config.max_depth)


def test_stages_are_found_without_the_deepest_last_stage() -> None:
    genes = {"d[0]": 3, "d[1]": 1} | {f"ks[{i}]": 3 for i in (0, 1, 2, 3)}
    assert layout([genes]).where("ks", 3) == (1, 0)


def test_unknown_genes_have_no_stages() -> None:
    plan = layout([{"op_0": "conv3x3", "op_1": "skip", "width[2]": 8}])
    assert plan.stages == 0 and plan.scalars == ("op_0", "op_1") and plan.groups == {"width": 3}


def test_one_line_has_every_gene() -> None:
    genes = {"r": 28, "d[0]": 2, "d[1]": 1, "ks[0]": 3, "ks[1]": 5, "ks[2]": 7, "e[0]": 2, "e[1]": 3.5, "e[2]": 4}
    assert describe(genes) == "r 28 · d 2 1 · ks 3 5 / 7 · e 2 3.5 / 4"
    assert describe({"op": "skip"}) == "op skip"
    assert describe({}) == ""
