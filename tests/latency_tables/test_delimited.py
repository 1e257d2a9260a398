"""Tables as other programs write them: separators, decimal commas, marks, row numbers, and what can be read in two ways."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_tables.delimited import SEPARATORS, read_delimited
from latency_tables.errors import TableError

PLAIN = "ks,depth,op\n3,1,conv\n5,2,dw\n"


@pytest.fixture
def write(tmp_path: Path):
    def file(content: str | bytes, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return file


@pytest.mark.parametrize("sign", SEPARATORS)
def test_any_usual_separator_is_read(write, sign: str) -> None:
    frame = read_delimited(write(PLAIN.replace(",", sign)))
    assert frame.to_dict("list") == {"ks": [3, 5], "depth": [1, 2], "op": ["conv", "dw"]}


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + PLAIN,
        PLAIN.encode("utf-16"),
        "# drawn on Monday\n\n  # twice\n" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.rstrip(),
        PLAIN + "\n\n",
        '"ks","depth","op"\n3,1,"conv"\n5,2,dw\n',
        "ks, depth , op\n3, 1, conv\n5, 2, dw\n",
    ],
)
def test_marks_comments_and_line_ends_change_nothing(write, content: str | bytes) -> None:
    assert read_delimited(write(content)).to_dict("list") == {"ks": [3, 5], "depth": [1, 2], "op": ["conv", "dw"]}


def test_a_compressed_file_is_read_and_a_cut_one_is_not(write) -> None:
    data = gzip.compress(PLAIN.encode())
    assert len(read_delimited(write(data, "t.csv.gz"))) == 2
    with pytest.raises(TableError, match="cannot read"):
        read_delimited(write(data[:-12], "u.csv.gz"))


def test_row_numbers_are_no_column(write, tmp_path: Path) -> None:
    path = tmp_path / "pandas.csv"
    pd.DataFrame({"ks": [3, 5, 3]}).to_csv(path)
    assert read_delimited(path).columns.tolist() == ["ks"]
    with pytest.raises(TableError, match="first column has no name, and is not the numbers of the rows"):
        read_delimited(write(",ks\n1,3\n2,5\n"))
    with pytest.raises(TableError, match="column 2 has no name"):
        read_delimited(write("ks,,op\n3,1,x\n"))


def test_decimal_commas_are_read_where_the_comma_separates_nothing(write) -> None:
    frame = read_delimited(write("ks;ms;op\n3;0,5;a,b\n5;12,25;c\n"))
    assert frame.to_dict("list") == {"ks": [3, 5], "ms": [0.5, 12.25], "op": ["a,b", "c"]}
    assert read_delimited(write("ks;ms\n3;0.5\n")).ms.tolist() == [0.5]


@pytest.mark.parametrize("value", ["1,250", "12,500", "1,250,000"])
def test_a_comma_that_may_be_of_thousands_is_not_guessed(write, value: str) -> None:
    with pytest.raises(TableError) as told:
        read_delimited(write(f"ks;ms\n3;{value}\n5;7\n"))
    assert value.replace(",", ".") in str(told.value) and value.replace(",", "") in str(told.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("a,b;c\n1,2;3\n", "in two ways: 2 by commas or 2 by semicolons"),
        ("ks depth op\n3 1 conv\n", "'ks depth op' is one column, or several with blanks between"),
        ("a,b\n1,2\n3\n", "line 3: 1 values for 2 columns"),
        ("# x\na,b\n1,2,3\n", "line 3: 3 values for 2 columns"),
        ("a,b,a\n1,2,3\n", "column name 'a' stands there twice"),
        ('a,b\n1,"2\n', "line 2: unexpected end of data"),
        ("a,b\n1,\x002\n", "zero byte"),
        (b"a,b\n1,\xe9\n", r"is not UTF-8 text \(byte 0xe9 at 6\)"),
        (",\n", "no columns|has no name"),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(write, content: str | bytes, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_delimited(write(content))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="No such file"):
        read_delimited(tmp_path / "none.csv")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 99), st.floats(0.001, 999).map(lambda x: round(x, 4))), min_size=1, max_size=8),
    st.sampled_from([(";", ","), (";", "."), ("\t", ","), (",", "."), ("|", ".")]),
)
def test_what_is_written_is_read_or_refused_as_ambiguous(tmp_path_factory, rows, style) -> None:
    separator, decimal = style
    frame = pd.DataFrame(rows, columns=["ks", "ms"])
    path = tmp_path_factory.mktemp("t") / "t.csv"
    frame.to_csv(path, index=False, sep=separator, decimal=decimal)
    try:
        found = read_delimited(path)
    except TableError as error:
        assert "may be" in str(error) and decimal == ","
        return
    assert found.ks.tolist() == frame.ks.tolist() and found.ms.tolist() == frame.ms.tolist()


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60))
def test_no_bytes_end_in_another_error(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    with contextlib.suppress(TableError):
        read_delimited(path)
