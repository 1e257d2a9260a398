"""Cards as starting points: read, measured with the profile, and refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hwsearch.campaigns.profile_set import choose_profile
from hwsearch.campaigns.search_config import ProfileConfig, SearchConfig
from hwsearch.campaigns.starting import starting_subnet
from hwsearch.errors import CampaignError
from hwsearch.spaces import Choice, SearchSpace

SPACE = SearchSpace("cube", [Choice(f"g{i}", (1, 2, 3, 4)) for i in range(5)])


def card(path: Path, about: object) -> Path:
    path.write_text(json.dumps(about))
    return path


def test_a_card_is_read(tmp_path: Path) -> None:
    arch = SPACE.sample(1, np.random.default_rng(0))[0]
    place = card(tmp_path / "pruned.json", {"architecture": {"id": arch.id, "genes": arch.to_dict()}, "bytes": 1})
    assert starting_subnet(place, SPACE) == arch


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"architecture": {"genes": {"g0": 9}}}, "whose subnet is not of search space 'cube'"),
        ({"architecture": {"genes": [1]}}, "it has no genes"),
        ([1, 2], "it has no genes"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, about: object, why: str) -> None:
    with pytest.raises(CampaignError, match=rf"warm_start names '.*x\.json', .*{why}"):
        starting_subnet(card(tmp_path / "x.json", about), SPACE)


def test_missing_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="cannot be read"):
        starting_subnet(tmp_path / "none.json", SPACE)
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(CampaignError, match="is no JSON"):
        starting_subnet(tmp_path / "x.json", SPACE)


def test_folders_and_cards_are_told_apart() -> None:
    config = SearchConfig(warm_start=["runs/phone", "runs/pruned/pruned.json"])
    assert config.earlier_campaigns == ["runs/phone"] and config.starting_subnets == ["runs/pruned/pruned.json"]


def test_starting_subnets_are_measured_besides_the_profile() -> None:
    config = ProfileConfig(latency=20, accuracy=10, random=4)

    def cost(rows: np.ndarray) -> np.ndarray:
        return rows.sum(1).astype(float)

    plain = choose_profile(config, SPACE, cost, np.random.default_rng(1))
    timed_only = next(a for a in plain.timed if a not in plain.evaluated)
    new = next(a for a in SPACE.sample(50, np.random.default_rng(5)) if a not in plain.timed)
    found = choose_profile(config, SPACE, cost, np.random.default_rng(1), [new, timed_only, plain.evaluated[0], new])
    assert found.timed == [*plain.timed, new] and found.evaluated == [*plain.evaluated, new, timed_only]
    assert found.random == plain.random
