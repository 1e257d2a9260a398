"""Facts of NAS-Bench-201's cells, by hand and by the published classes of equal networks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.search_task import DATA
from hwsearch.errors import SpaceError
from hwsearch.spaces.nasbench201 import EDGES, cell, cell_rows, cell_text, nas_bench_201

SPACE = nas_bench_201()


def facts(text: str) -> list[float]:
    return SPACE.describe_array(cell_rows([text]))[0].tolist()


def test_facts_of_one_path():
    # 0 -3x3-> 1 -skip-> 2 -pool-> 3; nothing else carries
    assert facts("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|") == [
        *(1, 0, 1, 1),  # edges on it: skip, 1x1, 3x3, pooling
        *(0, 0, 0, 1),  # only the longest path is open
        *(1, 1),  # convolutions: most, sum
        *(0, 1, 1),  # 1x1, 3x3, pooling in all
        *(0, 1, 1),  # at most on one path
        *(1, 0, 0, 1),  # paths, skips alone, without pooling, fewest convolutions
    ]


def test_facts_of_several_paths():
    # 3 (skip); 0-1-3 (3x3, 1x1); 0-2-3 is closed; 0-1-2-3 (3x3, pooling, 3x3)
    text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    assert facts(text) == [1, 1, 2, 1, 1, 1, 0, 1, 2, 4, 1, 3, 1, 1, 2, 1, 3, 1, 2, 0]


def test_edges_that_reach_nothing_are_no_facts():
    dead = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    assert facts(dead) == facts("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    assert facts("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|") == [0.0] * 20


def test_equal_networks_have_equal_facts_but_for_the_place_of_a_path():
    table = pd.read_csv(DATA / "nb201_accuracy.csv.gz")
    found = pd.DataFrame(SPACE.describe_array(cell_rows(table["arch"])))
    whole = found.groupby(table["isomorphism_key"]).nunique().max(axis=1)
    free = found[[c for c in found if not 4 <= c < 8]].groupby(table["isomorphism_key"]).nunique().max(axis=1)
    assert (free == 1).mean() > 0.85
    assert (free == 1).mean() > (whole == 1).mean()


def test_texts_and_rows():
    rows = SPACE.sample_array(50, np.random.default_rng(0))
    texts = [cell_text(arch) for arch in SPACE.from_array(rows)]
    assert (cell_rows(texts) == rows).all()
    assert cell(texts[0]) == SPACE.from_array(rows[:1])[0]
    assert [len(texts), len(EDGES)] == [50, 6]


def test_other_texts_are_refused():
    with pytest.raises(SpaceError, match="not a cell"):
        cell("|none~0|")
    with pytest.raises(SpaceError, match="nor_conv_5x5"):
        cell("|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|")
