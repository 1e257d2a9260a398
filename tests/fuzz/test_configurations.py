"""Every legal configuration is written as TOML that reads back equal."""

from __future__ import annotations

import tempfile
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.loading import load_config
from hwsearch.campaigns.toml import to_toml

#: control characters, quotes, line ends of all kinds, signs that TOML knows, and any other character but surrogates
SPECIAL = "".join(map(chr, range(0x20))) + "\x7f\x80\x85\u2028\u2029\ufeff\"'\\#=[]{}.,\u202e\U0001d518"
characters = st.sampled_from(SPECIAL) | st.characters(exclude_categories=("Cs",))
texts = st.text(characters, max_size=12) | st.sampled_from(
    ["'''", '"""', "a\r\nb", "\\u0000", "true", "1979-05-27", ""]
)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | finite | texts
NAMES = ("cpu", "gpu-1", "board.x_2")
#: fields whose values depend on others, or that a pattern constrains
GIVEN: dict[str, st.SearchStrategy[Any]] = {
    "DeviceConfig.name": st.sampled_from(NAMES),
    "DeviceConfig.options": st.dictionaries(st.text(characters, min_size=1, max_size=6), scalars, max_size=3),
    "ObjectiveConfig.metric": st.sampled_from(["accuracy", "latency", "latency_ms", "energy_mj", "macs", "params"]),
    "ObjectiveConfig.device": st.none() | st.sampled_from(NAMES),
    "ObjectiveConfig.limit": st.none() | st.sampled_from(["<= 2 ms", "<= 60 %", ">= 70", "<= 1e6"]),
    "FleetConfig.remote": st.lists(st.sampled_from(NAMES), max_size=2),
    "SearchConfig.reference": st.none() | st.dictionaries(st.sampled_from(["accuracy", "latency_ms"]), finite, min_size=1, max_size=2),
    "CampaignConfig.device": st.just(None),
}  # fmt: skip


def drawn(draw: st.DrawFn, model: type[BaseModel]) -> dict[str, Any]:
    """Draw some of a model's fields by their types and bounds."""
    found = {}
    for name, info in model.model_fields.items():
        if not info.is_required() and draw(st.integers(0, 2)) == 0:
            continue
        chosen = GIVEN.get(f"{model.__name__}.{name}")
        value = draw(chosen) if chosen is not None else of_type(draw, info.annotation, info)
        if value is not None:
            found[info.alias or name] = value
    return found


def of_type(draw: st.DrawFn, kind: Any, info: FieldInfo | None = None) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return of_type(draw, draw(st.sampled_from(arguments)), info)
    if kind is type(None):
        return None
    if origin is Literal:
        return draw(st.sampled_from(arguments))
    if kind == tuple[int, int]:
        return sorted(draw(st.tuples(st.integers(1, 64), st.integers(1, 64))))
    if origin in (tuple, list):
        return [of_type(draw, arguments[0]) for _ in range(draw(st.integers(0, 2)))]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return drawn(draw, kind)
    if kind is bool:
        return draw(st.booleans())
    if kind is str:
        return draw(texts)
    low, high, open_low, open_high = bounds(info)
    if kind is int:
        return draw(st.integers(int(low) + open_low, int(high) - open_high))
    return draw(st.floats(low, high, exclude_min=open_low, exclude_max=open_high))


def bounds(info: FieldInfo | None) -> tuple[float, float, bool, bool]:
    low, high, open_low, open_high = -(2.0**62), 2.0**62, False, False
    for mark in info.metadata if info else ():
        match mark:
            case Ge(ge=value):
                low = value
            case Gt(gt=value):
                low, open_low = value, True
            case Le(le=value):
                high = value
            case Lt(lt=value):
                high, open_high = value, True
    return low, high, open_low, open_high


@st.composite
def configurations(draw: st.DrawFn) -> CampaignConfig:
    """Draw configurations; what no validator of several fields takes is drawn anew."""
    data = drawn(draw, CampaignConfig)
    devices = [
        drawn(draw, CampaignConfig.model_fields["device"].annotation.__args__[0])
        for _ in range(draw(st.integers(1, 2)))
    ]  # type: ignore[union-attr]
    for device, name in zip(devices, draw(st.permutations(NAMES)), strict=False):
        device["name"] = name
    if draw(st.integers(0, 3)):  # the rules between several fields are many; most configurations keep to their defaults
        data.pop("objective", None)
    search = data.get("search", {})
    if draw(st.integers(0, 3)):
        for key in ("prefer", "reference", "screening_metrics", "screening_images", "screening_factor"):
            search.pop(key, None)
        data.get("fleet", {}).pop("remote", None)
        data.get("profile", {}).clear()
    try:
        return CampaignConfig.model_validate(data | {"device": devices})
    except ValidationError:
        assume(False)
        raise


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(configurations())
def test_what_is_written_is_read_again(config: CampaignConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "campaign.toml"
        path.write_bytes(to_toml(config).encode())
        assert load_config(path) == config
        assert to_toml(load_config(path)) == to_toml(config)
