from __future__ import annotations

import gzip
import shutil

import pandas as pd
import pytest

import latency_tables
from hwsearch.supernets.ofa import ofa_mobilenetv3


@pytest.mark.parametrize("device", latency_tables.devices())
def test_every_shipped_table_says_where_it_comes_from(device):
    facts = latency_tables.show(device)
    assert facts["unit"] == "ms"
    for name, table in facts["tables"].items():
        assert table["source"] and table["licence"]
        assert (latency_tables.load(device, name)["latency_ms"] > 0).all()


def test_rows_are_canonical_architectures_of_the_ofa_space():
    space = ofa_mobilenetv3(1.0).search_space()
    table = latency_tables.load("v100-b64", "ofa-mobilenetv3").head(200)
    seen = set()
    for row in table.drop(columns="latency_ms").to_dict("records"):
        genes = {k: int(v) for k, v in row.items() if not pd.isna(v)}
        arch = space.architecture(genes)
        assert arch.to_dict() == genes
        seen.add(arch.id)
    assert len(seen) > 190


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(latency_tables.TableError, match="v100-b64"):
        latency_tables.load("v101", "ofa-mobilenetv3")
    with pytest.raises(latency_tables.TableError, match="ofa-mobilenetv3"):
        latency_tables.load("v100-b64", "nasbench")


def test_a_cut_file_and_a_bad_value_are_found(tmp_path):
    shutil.copytree(latency_tables.FOLDER / "v100-b64", tmp_path / "v100-b64")
    file = tmp_path / "v100-b64" / "ofa-mobilenetv3.csv.gz"
    text = gzip.decompress(file.read_bytes()).decode().splitlines()
    file.write_bytes(gzip.compress("\n".join(text[:-1]).encode()))
    with pytest.raises(latency_tables.TableError, match="4999 rows"):
        latency_tables.load("v100-b64", "ofa-mobilenetv3", tmp_path)
    text[3] = text[3].rpartition(",")[0] + ",-1"
    file.write_bytes(gzip.compress("\n".join(text).encode()))
    with pytest.raises(latency_tables.TableError, match="row 2"):
        latency_tables.load("v100-b64", "ofa-mobilenetv3", tmp_path)
