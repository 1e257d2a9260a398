"""The examples of a campaign: whose are read, in which order of preference, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hwsearch.campaigns.data import leakage_warnings, load_data
from hwsearch.campaigns.split import Split, first_examples, partial_splits
from hwsearch.errors import DataError


class Rows:
    """Examples, by number."""

    def __init__(self, items, classes=()) -> None:
        self.items, self.classes = list(items), classes

    def __len__(self) -> int:
        return len(self.items)

    def head(self, n: int) -> Rows:
        return Rows(self.items[:n] if n else self.items, self.classes)

    def without(self, others) -> Rows:
        left = [i for i in self.items if not any(i in o.items for o in others)]
        if not left:
            raise DataError("none is left.")
        return Rows(left)


def config(*, factor=1, screening=0, fidelities=(), **data):
    names = ("calibration", "validation", "test")
    paths = {n: data.get(n) for n in names} | {f"{n}_images": data.get(f"{n}_images", 0) for n in names}
    search = SimpleNamespace(screening_factor=factor, screening_images=screening, fidelities=fidelities)
    return SimpleNamespace(data=SimpleNamespace(vocabulary=data.get("vocabulary"), **paths), search=search)


def loaded(shipped=None, *, calibrated=True, refuses=None, read=None):
    def check(data, split) -> None:
        if split == refuses:
            raise DataError("they are too small.", hint="Take larger ones.")

    entry = SimpleNamespace(name="mine", calibrated=calibrated, data=shipped, examples=lambda: shipped or {})
    task = SimpleNamespace(read=read)
    return SimpleNamespace(entry=entry, task=task, net=SimpleNamespace(check_data=check))


SHIPPED = {
    "calibration": Rows(range(100, 110), ("cat", "dog")),
    "validation": Rows(range(10), ("cat", "dog")),
    "test": Rows(range(20, 30), ("cat", "dog")),
}


def test_what_a_supernet_ships_is_cut_to_the_configured_number() -> None:
    found = load_data(config(validation_images=4), loaded(SHIPPED))
    assert {k: len(v) for k, v in found.items()} == {"calibration": 10, "validation": 4, "test": 10}
    assert found["validation"].items == [0, 1, 2, 3]


def test_a_family_without_batch_norms_has_no_calibration_data() -> None:
    assert set(load_data(config(), loaded(SHIPPED, calibrated=False))) == {"validation", "test"}


def test_a_path_is_read_in_place_of_what_is_shipped_with_the_classes_that_are_known() -> None:
    asked = []

    def read(path, **options):
        asked.append((path, options))
        return Rows(range(3), ("cat", "dog"))

    given = config(validation="here", test="there", validation_images=7, vocabulary="words.txt")
    load_data(given, loaded(SHIPPED, read=read))
    assert [p for p, _ in asked] == ["here", "there"]
    assert asked[0][1]["limit"] == 7 and asked[0][1]["classes"] == ("cat", "dog")
    assert asked[0][1]["vocabulary"].name == "words.txt"
    asked.clear()
    load_data(given, loaded(read=read, calibrated=False))  # the classes of the first split are those of the next
    assert [o["classes"] for _, o in asked] == [None, ("cat", "dog")]


def test_missing_data_are_named() -> None:
    with pytest.raises(DataError, match=r"supernet 'mine' ships no validation data\. Set data\.validation"):
        load_data(config(), loaded({"test": SHIPPED["test"]}, calibrated=False))


@pytest.mark.parametrize("path, place", [(None, "mine"), ("here", "here")])
def test_data_that_do_not_fit_are_named_by_where_they_came_from(path, place) -> None:
    with pytest.raises(DataError, match=f"^{place}: they are too small. Take larger ones"):
        load_data(config(test=path), loaded(SHIPPED, refuses="test", read=lambda *_, **__: Rows(range(5))))


def test_screening_takes_the_first_validation_examples_and_must_leave_one() -> None:
    found = load_data(config(factor=3, screening=9), loaded(SHIPPED))
    assert found[Split.SCREEN].items == list(range(9))
    with pytest.raises(DataError, match="screening_images = 10, but there are 10 validation examples"):
        load_data(config(factor=3, screening=10), loaded(SHIPPED))
    assert Split.SCREEN not in load_data(config(factor=1, screening=10), loaded(SHIPPED))
    assert Split.SCREEN not in load_data(config(factor=2), loaded(SHIPPED))


def test_fidelities_are_first_examples_and_those_that_are_all_are_left_out() -> None:
    found = load_data(config(fidelities=[0, 3, 7, 10, 12]), loaded(SHIPPED))
    assert partial_splits(found) == [first_examples(3), first_examples(7)]
    assert found[first_examples(7)].items == list(range(7))
    assert partial_splits(load_data(config(fidelities=[0]), loaded(SHIPPED))) == []
    with pytest.raises(DataError, match=r"fidelities = \[10\], but there are 10 validation examples"):
        load_data(config(fidelities=[10]), loaded(SHIPPED))


def test_test_examples_that_the_search_saw_are_counted() -> None:
    test = Rows(range(8))
    assert leakage_warnings({"test": test, "validation": Rows(range(8, 20))}) == []
    (said,) = leakage_warnings({"test": test, "validation": Rows(range(5, 20))})
    assert said.startswith("3 of 8 test examples are also validation data")
    said = leakage_warnings({"test": test, "validation": Rows(range(7, 9)), "calibration": Rows(range(20))})
    assert [s[:6] for s in said] == ["1 of 8", "8 of 8"] and "calibration" in said[1]
