from __future__ import annotations

from pathlib import Path

import pytest

import hwsearch

SMALL = """
[supernet]
name = "cifar10-mbv3"

[data]
calibration_images = 60
validation_images = 80
test_images = 90
batch = 60

[[device]]
name = "one"

[[device]]
name = "four"
batch = 4

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[protocol]
processes = [2, 2]
loads = 1
visits = 2
calibrate = 1
block_ms = 0.2
block_runs = 2

[fleet]
isolation = false

[profile]
latency = 14
accuracy = 10
random = 3

[search]
rounds = 1
per_round = 4
inner_evaluations = 400

[validate]
candidates = 5
processes = [2, 2]
"""


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_other_campaigns(tmp_path_factory):
    """Measurements on one host take turns by a lock in the temporary folder; the tests have a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr("tempfile.tempdir", None)
        yield


@pytest.fixture(scope="session")
def small_config(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def finished(small_config, tmp_path_factory) -> tuple[Path, dict]:
    """A whole small campaign, run once: (folder, result)."""
    folder = tmp_path_factory.mktemp("campaign")
    return folder, hwsearch.run(small_config, folder=folder)
