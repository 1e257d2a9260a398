"""The verbs on results: `force` reaches what they write, and nothing else."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from hwsearch import api
from hwsearch._files import forced
from hwsearch.api import campaign, results
from hwsearch.cli import main  # noqa: F401  (registers the commands)
from hwsearch.cli.app import app
from hwsearch.errors import CheckpointError


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Every verb that works on a campaign only tells whether it may replace files."""
    seen: list[bool] = []

    def tell(*_: object, **__: object) -> dict[str, object]:
        seen.append(forced())
        return {}

    for name in ("pick", "export", "finetune_subnet", "build_report"):
        monkeypatch.setattr(results.campaigns, name, tell)
    monkeypatch.setattr(results, "read_campaign", lambda source, trust: source)
    monkeypatch.setattr(results, "open_campaign", lambda source, trust: source)
    monkeypatch.setattr(results, "do_step", lambda source, name, step: step(source))
    monkeypatch.setattr(results, "noted_step", lambda source, name: nullcontext())
    monkeypatch.setattr(campaign, "_run", tell)
    monkeypatch.setattr(campaign, "open_campaign", lambda source, **_: source)
    return seen


VERBS = {
    "pick": lambda **force: api.pick("c", **force),
    "export": lambda **force: api.export("c", **force),
    "finetune": lambda **force: api.finetune("c", "largest", **force),
    "report": lambda **force: api.report("c", **force),
    "run": lambda **force: api.run("c", **force),
    "demo": lambda **force: api.demo(**force),
}


@pytest.mark.parametrize("name", sorted(VERBS))
def test_force_holds_while_a_verb_writes_and_not_after(told: list[bool], name: str) -> None:
    VERBS[name]()
    VERBS[name](force=True)
    VERBS[name](force=False)
    assert told == [False, True, False] and not forced()


def test_verbs_with_force_are_those_whose_commands_have_it() -> None:
    commands = {c.name or c.callback.__name__: c.callback for c in app.registered_commands if c.callback is not None}
    for name, command in commands.items():
        if name != "init":  # a command alone
            verb, option = (inspect.signature(f).parameters for f in (getattr(api, name), command))
            assert ("force" in verb) == ("force" in option), name
            if "force" in verb:
                assert verb["force"].default is option["force"].default is False, name


def test_a_converted_file_replaces_what_is_there_only_by_force(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "a.pt")
    place = tmp_path / "a.safetensors"
    place.write_bytes(b"mine")
    with pytest.raises(CheckpointError, match=r"exists.*force=True"):
        api.supernets("convert", tmp_path / "a.pt")
    assert place.read_bytes() == b"mine"
    api.supernets("convert", tmp_path / "a.pt", force=True)
    assert place.read_bytes() != b"mine"
