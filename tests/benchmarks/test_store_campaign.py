"""A campaign's store that is filled up: rows are what the campaign itself would have kept, and change no front."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

import hwsearch
from benchmarks import store_campaign
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.loading import parse_config
from hwsearch.campaigns.split import Split
from hwsearch.spaces import Choice, SearchSpace
from latency_tables.reading import parse_toml


def test_a_configuration_has_as_many_devices_as_asked_for() -> None:
    config = parse_config(parse_toml(store_campaign.configuration(3)), "here")
    assert [d.name for d in config.device] == ["d0", "d1", "d2"] and len({str(d.options) for d in config.device}) == 3


def test_new_subnets_are_new_and_each_comes_once() -> None:
    space = SearchSpace("toy", [Choice("a", tuple(range(8))), Choice("b", tuple(range(8)))])
    known = {a.id for a in store_campaign.new_subnets(space, set(), 20, seed=1)}
    found = store_campaign.new_subnets(space, known, 30)
    assert len({a.id for a in found}) == 30 and not known & {a.id for a in found}


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    config = tmp_path_factory.mktemp("store") / "c.toml"
    config.write_text(store_campaign.configuration(1).replace("random = 3", "random = 2"))
    folder = config.parent / "run"
    hwsearch.run(config, folder=folder)
    shutil.copytree(folder, folder.parent / "small")
    assert store_campaign.fill(folder, 900) in (899, 900)
    return folder


def test_a_filled_store_keeps_its_front_and_has_nothing_to_measure(filled: Path) -> None:
    before, after = (hwsearch.front(f).to_frame() for f in (filled.parent / "small", filled))
    assert after["arch_id"].tolist() == before["arch_id"].tolist()
    assert hwsearch.run(filled)["measured"] == 0


def test_what_is_read_as_columns_is_what_the_measurements_say(filled: Path) -> None:
    from hwsearch.campaigns.score_table import FIELDS, encoded, numbers

    campaign = Campaign.open(filled)
    known = Known.read(campaign)
    assert Known.read(campaign).on_devices is known.on_devices  # nothing was added
    scores, latency = known.accuracy(Split.VALIDATION), known.latency("d0")
    ids = [*list(latency)[::37], "unknown"]
    assert len(latency) > 400 and set(latency) <= set(known.architectures)
    for found, names in ((scores, {*FIELDS} - {"ratio_low", "ratio_high"}), (latency, {*FIELDS} - {"standard_error"})):
        for name in names:
            whole = dict(found)
            assert numbers(found, name, ids).tolist()[:-1] == numbers(whole, name, ids).tolist()[:-1], name
    archs = [known.architectures[i] for i in latency]
    assert (encoded(known.architectures, campaign.space, list(latency)) == campaign.space.to_array(archs)).all()


def test_keys_of_the_new_rows_are_right(filled: Path) -> None:
    with sqlite3.connect(filled / "store.sqlite") as connection:
        n = connection.execute("SELECT count(*) FROM measurements").fetchone()[0]
    assert sum(1 for _ in Campaign.open(filled).store.scan(["value"])) == n
