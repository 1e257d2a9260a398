"""Genes are grouped by prefix and, where depths tell, by stage."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from hwsearch.reporting import DeviceReport
from hwsearch.reporting.figures.choices import choices_figure
from hwsearch.reporting.genes import TITLES, describe, layout, split
from hwsearch.spaces import SearchSpace
from hwsearch.supernets.families.attentivenas import AttentiveNASConfig
from hwsearch.supernets.families.hat import HatConfig
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config
from hwsearch.supernets.families.ofa import ofa_proxylessnas
from hwsearch.supernets.families.resnet import ResNetConfig


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


def test_widths_with_a_stem_are_not_by_stage() -> None:
    """AttentiveNAS: one kernel and depth a stage, but widths of the stem and the mix as well."""
    space = AttentiveNASConfig().search_space()
    plan = layout([space.smallest().to_dict(), space.largest().to_dict()])
    assert plan.stages == 7 and plan.per_stage == {"w": 0, "d": 1, "ks": 1, "e": 1}
    assert " · w 16 16 24 32 64 112 192 216 1792 · " in describe(space.smallest().to_dict(), plan)


def test_blocks_that_do_not_fit_depths_have_no_stages() -> None:
    """ResNet-50-D: depths count blocks beyond a stage's fewest, so that they do not tell whose a block is."""
    space = ResNetConfig().search_space()
    assert layout([space.smallest().to_dict(), space.largest().to_dict()]).stages == 0


def test_a_last_stage_of_one_block() -> None:
    space = ofa_proxylessnas(1.3).search_space()
    plan = layout([space.smallest().to_dict(), space.largest().to_dict()])
    assert plan.stages == 6 and plan.where("ks", 19) == (4, 3) and plan.where("ks", 20) == (5, 0)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("config", [AttentiveNASConfig(), ResNetConfig(), HatConfig(), ofa_proxylessnas(1.3)])
def test_every_gene_is_drawn(config: Any, narrow: bool) -> None:
    space = config.search_space()
    rows = [
        {"arch_id": a.id, "role": "validated", "genes": a.to_dict(), "accuracy": i, "latency_ms": i + 1}
        for i, a in enumerate((space.smallest(), space.largest()))
    ]
    figure = choices_figure(DeviceReport("cpu", points=pd.DataFrame(rows), front=pd.DataFrame(rows)), narrow=narrow)
    words = {t.get_text() for ax in figure.axes for t in [*ax.get_yticklabels(), *ax.texts]}
    titles = {ax.get_title(loc=side) for ax in figure.axes for side in ("left", "center")}
    for name in space.names:
        prefix = split(name)[0]
        assert name in words or TITLES.get(prefix, prefix) in titles, name
