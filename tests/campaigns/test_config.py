"""The configuration: what it refuses, and that it is written and read back as it is."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.campaigns.config import CampaignConfig, DeviceConfig, SupernetConfig
from hwsearch.campaigns.loading import load_config, parse_config
from hwsearch.campaigns.toml import to_toml
from hwsearch.errors import ConfigError

ACCURACY, LATENCY = {"metric": "accuracy"}, {"metric": "latency"}


def configured(**tables) -> CampaignConfig:
    return parse_config({"device": [{"name": "one"}, {"name": "two"}], **tables}, "the test's configuration")


# TOML has no surrogates; a carriage return in a text file is read as a line feed only where it is not escaped
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
values = st.one_of(st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False), texts)


@settings(deadline=None, max_examples=60)
@given(
    options=st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8), values, max_size=4
    ),
    checkpoint=st.none() | texts,
    reference=st.dictionaries(
        st.sampled_from(["accuracy", "latency_ms@one", "latency_ms"]), st.floats(-9, 9), max_size=3
    ),
    folders=st.lists(texts, max_size=3),
)
def test_a_written_configuration_reads_back_as_it_is(options, checkpoint, reference, folders) -> None:
    """Also with line feeds, quotes and control characters in its texts."""
    config = configured(
        device=[{"name": "one", "options": options}],
        supernet={"name": "cifar10-mbv3", **({"checkpoint": checkpoint} if checkpoint is not None else {})},
        search={"warm_start": folders, **({"prefer": "reference", "reference": reference} if reference else {})},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "campaign.toml"
        path.write_bytes(to_toml(config).encode())
        assert load_config(path) == config


def test_a_command_of_several_lines_is_written_so_that_it_can_be_read() -> None:
    config = CampaignConfig(
        device=(DeviceConfig(name="d", options={"command": "a\nb\x07\x7f"}),), supernet=SupernetConfig()
    )
    text = to_toml(config)
    assert "[[device]]" in text and "[[objective]]" in text and "[device.options]" in text


@pytest.mark.parametrize("search", [{"serve": "worst"}, {"earlier": []}, {"screen": 2}])
def test_former_words_are_unknown(search) -> None:
    with pytest.raises(ConfigError, match="unknown key"):
        configured(search=search)


def test_two_limits_that_exclude_each_other_are_found_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"macs <= 2e\+06 and macs >= 3e\+06 on .one. exclude each other"):
        configured(
            objective=[ACCURACY, LATENCY, {"metric": "macs", "limit": "<= 2 M"}, {"metric": "macs", "limit": ">= 3 M"}]
        )
    with pytest.raises(ConfigError, match=r"'latency_ms' is given twice for device 'two'"):
        configured(objective=[ACCURACY, LATENCY, LATENCY | {"device": "two"}])
    with pytest.raises(ConfigError, match="probability and no limit"):
        configured(objective=[ACCURACY, LATENCY | {"probability": 0.9}])


def test_a_profile_too_small_for_a_predictor_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(ConfigError, match="greater than or equal to 8"):
        parse_config({"device": [{"name": "cpu"}], "profile": {"latency": 12, "accuracy": 6, "random": 2}}, "a file")


def numbers(schema: dict, found: dict[str, dict]) -> dict[str, dict]:
    """Every number in a JSON schema, by its table and name."""
    for table, part in {**schema.get("$defs", {}), "": schema}.items():
        for name, field in part.get("properties", {}).items():
            for kind in field.get("anyOf", [field]):
                if kind.get("type") in ("integer", "number"):
                    found[f"{table}.{name}"] = kind
    return found


def test_every_number_of_a_configuration_has_a_range() -> None:
    """A legal but absurd number ends no run hours later: 10^12, infinity, a seed that numpy does not take."""
    found = numbers(CampaignConfig.model_json_schema(), {})
    open_ended = {
        name
        for name, kind in found.items()
        if not {"minimum", "exclusiveMinimum"} & kind.keys() or not {"maximum", "exclusiveMaximum"} & kind.keys()
    }
    assert not open_ended and len(found) > 30


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"search": {"seed": -1}}, "search.seed = -1: input should be greater than or equal to 0"),
        ({"search": {"seed": 2**32}}, "search.seed = 4294967296: input should be less than"),
        ({"search": {"per_round": 10**12}}, "search.per_round"),
        ({"profile": {"latency": 10**9}}, "profile.latency"),
        ({"protocol": {"block_ms": float("inf")}}, "protocol.block_ms = inf"),
        ({"protocol": {"loads": 10**9}}, "protocol.loads"),
        ({"protocol": {"processes": [1, 10**9]}}, "protocol.processes"),
        ({"protocol": {"confidence": 0.9999999999999999}}, "protocol.confidence"),
        ({"fleet": {"lease_s": float("inf")}}, "fleet.lease_s = inf"),
        ({"validate": {"rounds_s": float("nan")}}, "validate.rounds_s = nan"),
    ],
)
def test_absurd_numbers_are_refused_before_anything_is_measured(part: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        configured(**part)
