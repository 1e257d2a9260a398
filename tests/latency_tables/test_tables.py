from __future__ import annotations

import shutil

import pandas as pd
import pytest

import latency_tables
from hwsearch.supernets.families.ofa import ofa_mobilenetv3
from latency_tables import Gene, TableError, TableSpace, toml

SPACE = TableSpace("toy", (Gene("d", (1, 2)), Gene("k[0]", (3, 5)), Gene("k[1]", (3, 5), (), ("d", (2,)))))
DESCRIPTION = {
    "space": "toy",
    "unit": "ms",
    "statistic": "median",
    "protocol": "made up",
    "measured": "whole network",
    "source": "nobody",
    "licence": "CC0",
    "genes": {"k[*]": "kernel*"},
    "devices": {"one": {"column": "t", "hardware": "none"}},
}
ROWS = {"d": [1, 1, 2, 2], "kernel0": [3, 5, 3, 5], "kernel1": [3, 3, 3, 5], "t": [1.0, 2.0, 3.0, 4.0]}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "toy.toml").write_text(toml.dumps(SPACE.to_dict()))
    return tmp_path


def bring(folder, rows=ROWS, **changes):
    path = folder / "in.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return latency_tables.import_file(path, {**DESCRIPTION, **changes}, folder)


# ---------------------------------------------------------------------- what is shipped
def test_every_shipped_table_is_sound_and_says_where_it_comes_from():
    found = latency_tables.verify()
    assert len(found) == 66 and not [f for f in found if f["fault"]]
    for f in found:
        facts = latency_tables.table_facts(f["device"], f["table"])
        assert facts["source"] and facts["licence"] in ("MIT", "Apache-2.0") and facts["rows"] == f["rows"]


def test_rows_are_canonical_architectures_of_the_ofa_space():
    space = ofa_mobilenetv3(1.0).search_space()
    table = latency_tables.load("v100-b64", "ofa-mobilenetv3").head(200)
    assert [str(t) for t in table.dtypes.unique()] == ["Int64", "float64"]
    seen = set()
    for row in table.drop(columns="latency_ms").to_dict("records"):
        genes = {k: int(v) for k, v in row.items() if not pd.isna(v)}
        arch = space.architecture(genes)
        assert arch.to_dict() == genes
        seen.add(arch.id)
    assert len(seen) == 200


def test_nas_bench_201_holds_every_cell_once():
    table = latency_tables.load("titan-rtx-b256", "nas-bench-201")
    genes = table[[f"op[{i}]" for i in range(6)]]
    assert len(table) == 5**6 == len(genes.drop_duplicates())


def test_sums_of_a_block_table_are_marked_and_are_such_sums():
    """A sum of operators by slot is explained by one-hot operators to the last digits; a measurement is not."""
    import numpy as np

    marked = {
        d
        for d in latency_tables.devices()
        if latency_tables.show(d)["tables"].get("fbnet", {}).get("measured") == "sum of a block table"
    }
    assert marked == {"eyeriss", "fpga", "pixel3", "raspi4"}
    for device, additive in [("raspi4", True), ("gold-6240", False)]:
        table = latency_tables.load(device, "fbnet")
        hot = pd.get_dummies(table.drop(columns="latency_ms").astype(str)).to_numpy(dtype=float)
        y = table["latency_ms"].to_numpy()
        rest = y - hot @ np.linalg.lstsq(hot, y, rcond=None)[0]
        assert (rest.var() / y.var() < 1e-6) == additive


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(TableError, match="v100-b64"):
        latency_tables.load("v101-b64", "ofa-mobilenetv3")
    with pytest.raises(TableError, match="ofa-mobilenetv3"):
        latency_tables.load("v100-b64", "ofa-mobilenet")
    with pytest.raises(TableError, match="nas-bench-201"):
        latency_tables.load_space("nas-bench-202")


@pytest.mark.parametrize("file", ["v100-b64/ofa-mobilenetv3.parquet", "spaces/ofa-mobilenetv3.parquet"])
def test_a_cut_file_is_found(tmp_path, file):
    for name in ("v100-b64", "spaces"):
        shutil.copytree(latency_tables.FOLDER / name, tmp_path / name)
    assert len(latency_tables.load("v100-b64", "ofa-mobilenetv3", tmp_path)) == 5000
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TableError, match="sha256"):
        latency_tables.load("v100-b64", "ofa-mobilenetv3", tmp_path)
    assert "sha256" in latency_tables.verify(tmp_path)[0]["fault"]


# ---------------------------------------------------------------------- taking tables in


def test_duplicate_rows_and_columns_of_no_space_are_found_on_loading(folder):
    frame = pd.DataFrame({"d": [1, 1], "k[0]": [3, 3], "k[1]": [None, None], "latency_ms": [1.0, 1.0]})
    about = {"name": "two", "hardware": "none", "unit": "ms"}
    facts = {k: DESCRIPTION[k] for k in ("statistic", "protocol", "measured", "source", "licence")}
    latency_tables.write(folder, about, "toy", frame, SPACE, facts)
    with pytest.raises(TableError, match="row 1: the same architecture"):
        latency_tables.load("two", "toy", folder)
    latency_tables.write(folder, about, "toy", frame.head(1).assign(colour=1), SPACE, facts)
    with pytest.raises(TableError, match="colour"):
        latency_tables.load("two", "toy", folder)
    path = folder / "two" / "device.toml"
    path.write_text(path.read_text().replace('unit = "ms"\nstatistic', "statistic"))
    with pytest.raises(TableError, match="does not say unit"):
        latency_tables.load("two", "toy", folder)
