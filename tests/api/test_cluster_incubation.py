"""Modules trained on the workers of a Dask cluster: equal to the bit, with a worker killed, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

distributed = pytest.importorskip("distributed")

from hwsearch.api import remote_module
from hwsearch.training.assembling import FILE
from tests.api.apart import RECIPE, make_place, trained

pytestmark = pytest.mark.timeout(250)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(remote_module, "ASK_S", 0.1)
    monkeypatch.setattr(remote_module, "FETCH_S", 0.0)
    monkeypatch.setattr(remote_module, "FETCH_TIMES", 0.0)
    return make_place(tmp_path, monkeypatch)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A scheduler and a worker that trains, in threads of this process."""
    with distributed.LocalCluster(
        n_workers=1,
        processes=False,
        threads_per_worker=1,
        resources={"training": 1},
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=None,
    ) as found:
        yield found


def test_a_worker_that_is_killed_costs_its_module_alone_and_the_weights_are_those_of_a_local_run(
    place: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "long.toml").write_text(RECIPE.replace("epochs = 4", "epochs = 40"))
    address = cluster.scheduler_address
    command = [sys.executable, "-m", "hwsearch.cli", "cluster", "worker", address, "--insecure", "--training"]
    process = subprocess.Popen(command, cwd=place, stderr=subprocess.DEVNULL)
    try:
        cluster.scheduler  # noqa: B018
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        (own,) = (w.address for w in cluster.workers.values())
        killed: list[str] = []
        keep = remote_module.RemoteModule._keep

        def watched(self: Any, files: dict[str, bytes]) -> None:
            keep(self, files)
            if self.worker != own and not killed:
                killed.append(self.worker)
                psutil.Process(process.pid).kill()

        monkeypatch.setattr(remote_module.RemoteModule, "_keep", watched)
        seen: list[dict[str, Any]] = []
        card = trained(place, "run", "long.toml", scheduler=address, insecure=True, progress=seen.append)
    finally:
        process.kill()
        process.wait()
    assert killed
    print(seen[-1])
    for module in (0, 1, 2):
        assert trained(place, "local", "long.toml", module=module)["module"] == module
    again = trained(place, "local", "long.toml")
    assert again["digest"] == card["digest"]
    for module in (1, 2):
        assert (place / "run" / "stage-1" / f"module-{module}" / FILE).exists()
