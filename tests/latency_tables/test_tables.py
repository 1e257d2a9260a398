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


def test_a_shipped_table_comes_out_of_its_description_again(tmp_path):
    description = toml.read(latency_tables.FOLDER / "sources" / "help-fbnet.toml")
    source = {}
    for device, said in description["devices"].items():
        table = latency_tables.load(device, "fbnet")
        source |= {f"op{i}": table[f"op[{i}]"].astype("int8") for i in range(22)}
        source[said["column"]] = table["latency_ms"].astype("float32")
    pd.DataFrame(source).to_parquet(tmp_path / "source.parquet")
    done = latency_tables.import_file(tmp_path / "source.parquet", description, tmp_path)
    assert len(done) == 27
    for device in description["devices"]:
        assert pd.read_parquet(tmp_path / device / "fbnet.parquet").equals(
            pd.read_parquet(latency_tables.FOLDER / device / "fbnet.parquet")
        )
        ours, shipped = (latency_tables.table_facts(device, "fbnet", f) for f in (tmp_path, None))
        hashes = {"sha256", "architectures_sha256"}  # another pyarrow may write other bytes for the same numbers
        assert {k: v for k, v in ours.items() if k not in hashes} == {
            k: v for k, v in shipped.items() if k not in hashes
        }


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
def test_an_import_maps_columns_and_drops_what_is_not_there(folder):
    assert bring(folder) == [{"device": "one", "table": "toy", "rows": 4, "dropped": 0}]
    table = latency_tables.load("one", "toy", folder)
    assert table["latency_ms"].tolist() == ROWS["t"]
    assert table["k[1]"].isna().tolist() == [True, True, False, False]
    assert latency_tables.verify(folder) == [{"device": "one", "table": "toy", "rows": 4, "fault": None}]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1000.0), ("us", 1e-3), ("ns", 1e-6)])
def test_units_are_converted_when_they_are_said(folder, unit, factor):
    bring(folder, unit=unit)
    assert latency_tables.load("one", "toy", folder)["latency_ms"].tolist() == [t * factor for t in ROWS["t"]]


def test_all_numbers_survive_to_the_last_digit(folder):
    values = [0.1 + 0.2, 1 / 3, 1e-5 / 7, 12345.678901234567]
    bring(folder, {**ROWS, "t": values})
    assert latency_tables.load("one", "toy", folder)["latency_ms"].tolist() == values


def test_repeated_rows_are_dropped_when_they_agree_and_named_when_they_do_not(folder):
    again = {k: [*v, v[0]] for k, v in ROWS.items()}
    again["kernel1"][-1] = 5  # a gene that is not there does not make it another architecture
    assert bring(folder, again)[0] | {} == {"device": "one", "table": "toy", "rows": 4, "dropped": 1}
    again["t"][-1] = 1.5
    with pytest.raises(TableError, match="row 4, column 't': another latency"):
        bring(folder, again)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("t", -1.0, "row 2, column 't'"),
        ("t", float("nan"), "row 2, column 't'"),
        ("t", 0.0, "row 2, column 't'"),
        ("kernel0", 4, r"row 2, column 'k\[0\]': 4 is not one of \(3, 5\)"),
        ("kernel0", 3.5, r"row 2, column 'k\[0\]'"),
        ("kernel0", "big", r"row 2, column 'k\[0\]': 'big'"),
        ("kernel1", None, r"row 2, column 'k\[1\]': empty"),
    ],
)
def test_faults_are_named_with_row_and_column_and_nothing_is_written(folder, column, value, words):
    rows = {k: list(v) for k, v in ROWS.items()}
    rows[column][2] = value
    with pytest.raises(TableError, match=words):
        bring(folder, rows)
    assert latency_tables.devices(folder) == []


@pytest.mark.parametrize("key", ["unit", "statistic", "protocol", "measured", "source", "licence", "space", "devices"])
def test_what_the_description_does_not_say_is_not_assumed(folder, key):
    path = folder / "in.csv"
    pd.DataFrame(ROWS).to_csv(path, index=False)
    word = "device" if key == "devices" else key
    with pytest.raises(TableError, match=word):
        latency_tables.import_file(path, {k: v for k, v in DESCRIPTION.items() if k != key}, folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": "minutes"}, "minutes"),
        ({"space": "toi"}, "'toy'"),
        ({"lisence": "MIT"}, "licence"),
        ({"measured": "guessed"}, "whole network"),
        ({"space": "nas-bench-201"}, r"op\[0\]"),
        ({"devices": {"one": {"column": "tt", "hardware": "x"}}}, "'t'"),
        ({"devices": {"../one": {"column": "t", "hardware": "x"}}}, "cannot be a device's name"),
    ],
)
def test_wrong_descriptions_are_told(folder, changes, words):
    with pytest.raises(TableError, match=words):
        bring(folder, **changes)


def test_another_device_needs_another_name(folder):
    bring(folder)
    with pytest.raises(TableError, match="another name"):
        bring(folder, devices={"one": {"column": "t", "hardware": "something else"}})


def test_another_space_of_the_same_name_is_refused(folder):
    other = TableSpace("toy", SPACE.genes[:2])
    frame = pd.DataFrame({"d": [1], "k[0]": [3], "latency_ms": [1.0]})
    with pytest.raises(TableError, match="another space"):
        latency_tables.write(folder, {"name": "x", "hardware": "none"}, "toy", frame, other, {})


def test_a_file_that_is_no_table_is_told(folder):
    path = folder / "in.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(TableError, match=r"in\.parquet"):
        latency_tables.import_file(path, DESCRIPTION, folder)


def test_json_cells_numbered_columns_and_rows_by_value(folder):
    rows = {
        "config": ['{"d": 2, "k": [[3], [5]]}', '{"d": 1, "k": [[5], [5]]}', '{"d": 1, "k": [[3], [5]]}'],
        "task": ["x", "x", "y"],
        "t": [1.5, 2.5, 9.0],
    }
    genes = {"d": "config/d", "k[*]": "config/k/*/0"}
    bring(folder, rows, genes=genes, where={"task": "x"}, share=True)
    table = latency_tables.load("one", "toy", folder)
    assert table["k[0]"].tolist() == [3, 5] and table["latency_ms"].tolist() == [1.5, 2.5]
    assert (folder / "spaces" / "toy.parquet").is_file()


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


def test_descriptions_read_back_equal(tmp_path):
    document = {
        "a b": 'quote " \\ \n',
        "n": 1.5,
        "yes": True,
        "t": {"x": {"y": [1, 2], "z": {"w": "é"}}},
        "u": {"v": 1},
    }
    path = tmp_path / "x.toml"
    path.write_text(toml.dumps(document))
    assert toml.read(path) == document
    assert latency_tables.parse_space(SPACE.to_dict() | {"gene": toml.read(_dump(tmp_path))["gene"]}, "x") == SPACE


def _dump(folder):
    path = folder / "space.toml"
    path.write_text(toml.dumps(SPACE.to_dict()))
    return path
