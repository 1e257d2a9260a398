"""The examples on the page about devices are devices."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from hwsearch.campaigns.config import DeviceConfig
from hwsearch.devices import Device, create_runtime, runtime_names
from hwsearch.errors import DeviceError, ProviderError

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "how-to" / "device.md").read_text(), re.DOTALL)
#: what a machine may lack without the example being wrong
ELSEWHERE = ("does not offer", "asks for a CUDA GPU", "no executable", "this process may use")


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_is_a_device(block):
    (entry,) = tomllib.loads(block)["device"]
    config = DeviceConfig(**entry)
    try:
        create_runtime(Device(**config.model_dump(exclude={"weight"})))
    except (DeviceError, ProviderError) as error:
        assert any(text in str(error) for text in ELSEWHERE), error


def test_every_runtime_has_an_example():
    assert {d["runtime"] for b in BLOCKS for d in tomllib.loads(b)["device"]} == set(runtime_names())
