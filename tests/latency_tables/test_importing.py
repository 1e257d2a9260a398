"""Tables from files."""

from __future__ import annotations

import pandas as pd
import pytest

import latency_tables
from latency_tables import Gene, TableError, TableSpace, toml
from latency_tables.writing import overwriting

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


def test_nothing_is_written_through_a_link_or_over_a_file_that_is_no_table(folder):
    home = folder / "one"
    home.mkdir()
    (home / "toy.parquet").write_bytes(b"mine")
    with pytest.raises(TableError, match="not a file of this kind that hwsearch wrote"):
        bring(folder)
    assert (home / "toy.parquet").read_bytes() == b"mine"
    (home / "toy.parquet").unlink()
    (home / "device.toml").symlink_to(folder / "elsewhere")
    with pytest.raises(TableError, match="is a link"):
        bring(folder)
    assert not (folder / "elsewhere").exists()
    (home / "device.toml").unlink()
    (folder / "spaces").rename(folder / "elsewhere")
    (folder / "spaces").symlink_to(folder / "elsewhere")
    with pytest.raises(TableError, match="is a link or not a folder"):
        bring(folder)
    (folder / "spaces").unlink()
    (folder / "elsewhere").rename(folder / "spaces")
    bring(folder)
    bring(folder)  # its own are replaced
    (home / "device.toml").unlink()
    (home / "toy.parquet").write_bytes(b"mine")
    with overwriting():
        bring(folder)
    assert len(latency_tables.load("one", "toy", folder)) == len(ROWS["t"])
