"""Whose a campaign is: one place tells who this user is, and all that is executed asks there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwsearch.campaigns import Campaign, trust
from hwsearch.campaigns.loading import parse_config
from hwsearch.campaigns.trust import foreign_part, require_trust
from hwsearch.errors import CampaignError, TrustError

FLEET = {"scheduler": "tls://board-farm:8786", "certificates": "certs", "remote": ["board"]}


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "current_user", lambda: os.getuid() + 1)


def test_ones_own_files_are_ones_own(tmp_path: Path) -> None:
    (tmp_path / "c.toml").touch()
    assert foreign_part(tmp_path, tmp_path / "c.toml") is None


def test_of_a_strangers_the_first_is_named(tmp_path: Path, stranger: None) -> None:
    (tmp_path / "c.toml").touch()
    assert foreign_part(tmp_path / "c.toml", tmp_path) == tmp_path / "c.toml"
    assert foreign_part() is None


def test_the_superuser_asks_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "current_user", lambda: 0)
    monkeypatch.setattr(Path, "stat", lambda self: os.stat_result((0, 0, 0, 0, 1000, 0, 0, 0, 0, 0)))
    assert foreign_part(tmp_path) == tmp_path


def test_where_there_are_no_users_everything_is_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "geteuid")
    assert trust.current_user() is None and foreign_part(tmp_path) is None


def test_what_is_foreign_needs_a_word() -> None:
    require_trust(None, "start a program", trusted=False)
    require_trust(Path("x"), "start a program", trusted=True)
    with pytest.raises(TrustError, match=r"'x' belongs to another user, and this would start a program\. .*--trust"):
        require_trust(Path("x"), "start a program", trusted=False)
    assert issubclass(TrustError, CampaignError)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"supernet": {"name": "net.py:ENTRY"}}, "would import '.*net.py'"),
        ({"supernet": {"name": "package.net:ENTRY"}}, "would import 'package.net'"),
        ({"device": [{"name": "b", "runtime": "command", "options": {"command": "x"}}]}, "programs of device 'b'"),
        ({"device": [{"name": "board"}], "fleet": FLEET}, "take Python objects from the scheduler"),
    ],
)
def test_everything_that_a_configuration_can_have_executed_asks(
    tmp_path: Path, stranger: None, changes: dict, words: str
) -> None:
    from hwsearch.campaigns.toml import to_toml

    config = parse_config({"device": [{"name": "here"}]} | changes, "the test")
    (tmp_path / "campaign.toml").write_text(to_toml(config))
    for source in (tmp_path, tmp_path / "campaign.toml"):
        campaign = Campaign.open(source, folder=tmp_path)
        with pytest.raises(TrustError, match=words):
            _ = campaign.loaded if "supernet" in changes else campaign.targets


def test_what_executes_nothing_is_not_asked_about(tmp_path: Path, stranger: None) -> None:
    (tmp_path / "campaign.toml").write_text('[[device]]\nname = "here"\n')
    campaign = Campaign.open(tmp_path)
    assert campaign.foreign == tmp_path and list(campaign.targets) == ["here"]
    assert (tmp_path / "campaign.toml").read_text() == '[[device]]\nname = "here"\n'  # it is read, and left as it is
