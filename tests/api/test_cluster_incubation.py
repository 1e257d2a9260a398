"""Modules trained on the workers of a Dask cluster: equal to the bit, a worker killed, Ctrl-C, and what is refused.

But for the first test the program that trains only pretends to; scheduler and workers are real.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from hwsearch.api import cluster_incubation, remote_module
from hwsearch.api.cluster_incubation import ClusterIncubation, check_cluster, cluster_place, misfit_of
from hwsearch.devices.fleet import training_worker
from hwsearch.devices.fleet.training_jobs import ClusterPlace, training_versions
from hwsearch.errors import ConfigError, DeviceError, TrainingError
from hwsearch.training.assembling import FILE, ModuleError
from tests.api.apart import RECIPE, make_place, trained

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.timeout(280)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, and keep every checkpoint."""
    monkeypatch.setattr(remote_module, "ASK_S", 0.05)
    monkeypatch.setattr(remote_module, "FETCH_S", 0.0)
    monkeypatch.setattr(remote_module, "FETCH_TIMES", 0.0)
    monkeypatch.setattr(cluster_incubation, "LOOK_S", 0.02)
    monkeypatch.setattr(cluster_incubation, "HAND_OUT_S", 0.1)
    monkeypatch.setattr(cluster_incubation, "PATIENCE_S", 0.5)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A scheduler in this process, to which workers in threads can be added."""
    with distributed.LocalCluster(
        n_workers=0,
        processes=False,
        threads_per_worker=1,
        resources={"training": 1},
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=None,
    ) as found:
        yield found


def workers(cluster: Any, n: int) -> list[str]:
    """Have so many workers in threads; their addresses."""
    cluster.scale(n)
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(n, timeout=60)
    return [w.address for w in cluster.workers.values()]


def test_a_worker_that_is_killed_costs_its_module_alone_and_the_weights_are_those_of_a_local_run(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make_place(tmp_path, monkeypatch)
    (place / "recipe.toml").write_text(RECIPE.rpartition("[[stage]]")[0])
    for module in (0, 1, 2):  # by hand
        assert trained(place, "local", module=module)["module"] == module
    known = trained(place, "local")["digest"]
    for module in (0, 1):
        trained(place, "run", module=module)
    killed: list[str] = []
    keep = remote_module.RemoteModule._keep

    def watched(self: Any, files: dict[str, bytes]) -> None:
        keep(self, files)
        if not killed and (place / "run" / "stage-1" / "module-2" / "training.pt").exists():
            killed.append(self.worker)
            psutil.Process(process.pid).kill()
            cluster.scale(1)

    monkeypatch.setattr(remote_module.RemoteModule, "_keep", watched)
    monkeypatch.setattr(cluster_incubation, "PATIENCE_S", 60.0)
    address, seen = cluster.scheduler_address, list[dict[str, Any]]()
    command = [sys.executable, "-m", "hwsearch.cli", "cluster", "worker", address, "--insecure", "--training"]
    process = subprocess.Popen(command, cwd=place, stderr=subprocess.DEVNULL)
    try:
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=100)
        card = trained(place, "run", scheduler=address, insecure=True, progress=seen.append)
    finally:
        process.kill()
        process.wait()
    assert card["digest"] == known
    one, two = (load_file(place / where / "stage-1" / "module-2" / FILE) for where in ("local", "run"))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    (note,) = seen[-1]["notes"]
    assert note.startswith(f"module 2: worker '{killed[0]}'") and "it goes on from its last checkpoint" in note
    assert seen[-1]["step"] == seen[-1]["steps"] == 16


# ---------------------------------------------------------------------- a program that only pretends
@pytest.fixture
def incubate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[ClusterIncubation, list[Any]]]:
    """Makes the incubation of modules that do what is said, with the states that it tells."""
    monkeypatch.setattr(training_worker, "PROGRAM", "tests.devices.fleet.pretended_training")
    monkeypatch.setattr(training_worker, "LOOK_S", 0.01)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "data").mkdir()
    (tmp_path / "mine.toml").write_text('supernet = "x"\n[[stage]]\n')
    torch.save({"identity": {"threads": 1}, "step": 5}, tmp_path / "data" / "checkpoint.pt")
    meta = tmp_path / "run" / "stage-1" / "meta"
    meta.mkdir(parents=True)
    (meta / FILE).write_bytes(b"meta")

    def make(cluster: Any, *modules: str, tell: Any = None) -> tuple[ClusterIncubation, list[Any]]:
        seen: list[Any] = []
        trainers: dict[int, Any] = {}
        for number, what in enumerate(modules, 1):
            (tmp_path / "data" / f"{number}.txt").write_text(what)
            folder = tmp_path / "run" / "stage-1" / f"module-{number}"
            trainers[number] = SimpleNamespace(folder=folder, total_steps=10, identity=lambda: {"lr": 1})
        given = {"recipe": str(tmp_path / "mine.toml"), "data": str(tmp_path / "data"), "supernet": None}
        given |= {"folder": str(tmp_path / "run"), "checkpoint": "w.pt", "kernels": "eager", "device": "cpu"}
        address = cluster if isinstance(cluster, str) else cluster.scheduler_address
        place = ClusterPlace(address, insecure=True)
        return ClusterIncubation(trainers, given, tell or seen.append, place=place), seen

    return make


def results(tmp_path: Path) -> dict[str, str]:
    return {p.parent.name: p.read_text() for p in sorted((tmp_path / "run").glob(f"stage-1/module-*/{FILE}"))}


def attempts(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "data" / "log.txt").read_text().splitlines()]


def test_modules_are_shared_out_and_one_whose_process_dies_goes_on_from_its_checkpoint(
    tmp_path: Path, cluster: Any, incubate: Any
) -> None:
    workers(cluster, 2)
    incubation, seen = incubate(cluster, "finish", "die\nfinish", "finish")
    incubation.run([1, 2, 3])
    whole = {f"module-{n}": f"module {n}, {'resumed' if n == 2 else 'from the start'}" for n in (1, 2, 3)}
    assert results(tmp_path) == whole
    assert seen[-1]["step"] == seen[-1]["steps"] == 30 and seen[-1]["device"] == "cpu"
    assert sorted(row["module"] for row in seen[-1]["history"]) == [1, 2, 3]  # a row that is trained again is told once
    (note,) = seen[-1]["notes"]
    assert "module 2: on worker 'tcp://127.0.0.1:" in note and "was ended by signal 9; it goes on" in note
    told = attempts(tmp_path)
    assert [t["checkpoint"] for t in told if t["module"] == 2] == [False, True]
    assert all(t["meta"] == "meta" and t["recipe"].startswith('supernet = "x"') for t in told)
    assert all(t["identity"] == {"lr": 1} and t["threads"] == "1" for t in told)
    assert (tmp_path / "run" / "stage-1" / "module-1" / "metrics.csv").read_text() == "step\n10\n"


def test_a_module_that_fails_is_not_tried_again_and_ends_no_other(tmp_path: Path, cluster: Any, incubate: Any) -> None:
    workers(cluster, 1)
    incubation, _ = incubate(cluster, "fail", "finish")
    with pytest.raises(
        ModuleError, match=r"module 1 failed on worker '.*/run has the value 7.*only this module"
    ) as error:
        incubation.run([1, 2])
    assert str(tmp_path / "run") in str(error.value)  # the folder here, not that of the worker
    assert results(tmp_path) == {"module-2": "module 2, from the start"} and len(attempts(tmp_path)) == 2
    assert (tmp_path / "run" / "stage-1" / "module-1" / "training.pt").exists()


def test_a_module_that_comes_no_further_is_given_up(tmp_path: Path, cluster: Any, incubate: Any) -> None:
    workers(cluster, 1)
    (tmp_path / "data" / "checkpoint.pt").unlink()
    incubation, _ = incubate(cluster, "die\n" * 9)
    with pytest.raises(ModuleError, match=r"module 1 was lost 3 times without coming further, at last: on worker"):
        incubation.run([1])
    assert len(attempts(tmp_path)) == 3


def test_what_one_worker_refuses_another_one_trains(tmp_path: Path, cluster: Any, incubate: Any) -> None:
    workers(cluster, 2)
    incubation, seen = incubate(cluster, "refuse\nfinish", "finish")
    incubation.run([1, 2])
    assert results(tmp_path).keys() == {"module-1", "module-2"}
    assert [t["what"] for t in attempts(tmp_path) if t["module"] == 1] == ["refuse", "finish"]


def test_what_all_workers_refuse_is_an_error_that_names_them(tmp_path: Path, cluster: Any, incubate: Any) -> None:
    (address,) = workers(cluster, 1)
    incubation, _ = incubate(cluster, "refuse\n" * 5)
    with pytest.raises(
        ModuleError, match=r"module 1 is not finished: worker .* cannot train module 1: .* the value 7"
    ) as e:
        incubation.run([1])
    assert address in str(e.value) and len(attempts(tmp_path)) == 1


def test_ctrl_c_keeps_what_was_trained_and_the_same_call_goes_on(tmp_path: Path, cluster: Any, incubate: Any) -> None:
    workers(cluster, 2)

    def interrupt(status: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    (tmp_path / "data" / "checkpoint.pt").rename(tmp_path / "data" / "later.pt")
    incubation, _ = incubate(cluster, "hold", "hold", tell=interrupt)
    with pytest.raises(KeyboardInterrupt):
        incubation.run([1, 2])
    assert not training_worker._RUNNING
    assert not [c for c in psutil.Process().children() if c.status() != psutil.STATUS_ZOMBIE]
    (tmp_path / "data" / "later.pt").rename(tmp_path / "data" / "checkpoint.pt")
    incubation, _ = incubate(cluster, "hold", "hold", tell=interrupt)
    with pytest.raises(KeyboardInterrupt):
        incubation.run([1, 2])
    saved = list((tmp_path / "run" / "stage-1").glob("module-*/training.pt"))
    assert saved and not results(tmp_path)
    incubation, seen = incubate(cluster, "finish", "finish")
    incubation.run([1, 2])
    for file in saved:
        assert results(tmp_path)[file.parent.name].endswith("resumed")


def test_a_module_is_trained_with_the_threads_of_its_checkpoint_or_not_at_all(
    tmp_path: Path, cluster: Any, incubate: Any
) -> None:
    workers(cluster, 1)
    incubation, _ = incubate(cluster, "finish", "finish")
    folder = tmp_path / "run" / "stage-1" / "module-2"
    folder.mkdir()
    torch.save({"identity": {"threads": 64}, "step": 5}, folder / "training.pt")
    with pytest.raises(
        ModuleError,
        match=r"module 2 is not finished: worker .* has 1 threads for a module, .* with 64.*OMP_NUM_THREADS=64",
    ):
        incubation.run([1, 2])
    (folder / "training.pt").write_bytes(b"nothing")
    with pytest.raises(ModuleError, match=r"module 2: .*training\.pt"):
        incubate(cluster, "finish", "finish")[0].run([2])


def test_a_second_call_in_the_same_folder_is_refused(tmp_path: Path, cluster: Any, incubate: Any) -> None:
    workers(cluster, 1)
    found: list[str] = []

    def second(status: dict[str, Any]) -> None:
        if not found:
            with pytest.raises(TrainingError, match="another process is training in") as error:
                incubate(cluster, "finish")[0].run([1])
            found.append(str(error.value))

    incubate(cluster, "finish", tell=second)[0].run([1])
    assert found


def test_without_a_worker_that_trains_the_error_says_how_to_start_one(cluster: Any, incubate: Any) -> None:
    incubation, _ = incubate(cluster, "finish")
    with pytest.raises(
        ModuleError, match=r"module 1 is not finished: no worker at .* trains; .*cluster worker .*--training"
    ):
        incubation.run([1])


def test_workers_are_checked_before_anything_is_trained(
    tmp_path: Path, cluster: Any, incubate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (address,) = workers(cluster, 1)
    incubation, _ = incubate(cluster)
    check_cluster(incubation.place, incubation.given)
    monkeypatch.setattr(training_worker, "training_versions", lambda: {**training_versions(), "torch": "1.0"})
    with pytest.raises(ModuleError, match=rf"worker '{address}' has torch 1\.0, and this process .*Install torch"):
        check_cluster(incubation.place, incubation.given)
    monkeypatch.undo()
    given = incubation.given | {"supernet": str(tmp_path / "net.py:ENTRY")}
    with pytest.raises(ModuleError, match=rf"worker '{address}' has no '.*net\.py', which .* same path on its host"):
        check_cluster(incubation.place, given)


def test_a_worker_that_stays_silent_is_given_up(
    tmp_path: Path, cluster: Any, incubate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers(cluster, 2)
    ask = remote_module.RemoteModule._watch
    silent: list[str] = []

    def watched(self: Any, cluster: Any) -> None:
        if not silent:
            silent.append(self.worker)
        elif self.worker != silent[0]:
            ask(self, cluster)

    monkeypatch.setattr(remote_module.RemoteModule, "_watch", watched)
    monkeypatch.setattr(cluster_incubation, "LOST_S", 1.0)
    monkeypatch.setattr(training_worker, "SILENT_S", 2.0)
    incubation, seen = incubate(cluster, "hold\nfinish")
    incubation.run([1])
    assert results(tmp_path) == {"module-1": "module 1, from the start"}
    (note,) = seen[-1]["notes"]
    assert note == f"module 1: worker '{silent[0]}' has not answered for 1 s; it goes on from its last checkpoint"


def test_what_comes_late_is_not_kept(tmp_path: Path) -> None:
    one = remote_module.RemoteModule(1, SimpleNamespace(worker="w"), tmp_path)  # type: ignore[arg-type]
    one._keep({"training.pt": b"1"})
    one.close()
    one._keep({"training.pt": b"2"})
    assert (tmp_path / "training.pt").read_bytes() == b"1" and one.kept
    gone = remote_module.RemoteModule(1, SimpleNamespace(worker="w"), tmp_path / "no")  # type: ignore[arg-type]
    with pytest.raises(ModuleError, match=r"what worker 'w' has trained cannot be written to .*Make room"):
        gone._keep({"training.pt": b"1"})


# ---------------------------------------------------------------------- what cannot be
def test_certificates_need_a_scheduler_and_a_scheduler_needs_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster_place(None, None, insecure=False) is None
    assert cluster_place("tls://a:1", Path("c"), insecure=False) == ClusterPlace("tls://a:1", "c")
    for given in ({"certificates": "c", "insecure": False}, {"certificates": None, "insecure": True}):
        with pytest.raises(ConfigError, match="without a scheduler"):
            cluster_place(None, **given)  # type: ignore[arg-type]
    place = make_place(tmp_path, monkeypatch)
    (place / "plain.toml").write_text(
        RECIPE.replace('"assemble"', '"sandwich"').replace("modules = 2, meta = 0.5, ", "")
    )
    with pytest.raises(ConfigError, match="a scheduler is given, and no stage of the recipe has modules"):
        trained(place, "run", "plain.toml", scheduler="tcp://127.0.0.1:1", insecure=True)
    with pytest.raises(ConfigError, match="module=1 is trained here"):
        trained(place, "run", scheduler="tcp://127.0.0.1:1", insecure=True, module=1)
    with pytest.raises(DeviceError, match="not encrypted"):
        trained(place, "run", scheduler="tcp://127.0.0.1:1")
    assert not (place / "run").exists()


def test_a_worker_fits_with_the_same_versions_and_paths_and_enough_threads() -> None:
    facts: Any = {"versions": training_versions(), "missing": [], "threads": 2}
    assert misfit_of("w", facts) is None and misfit_of("w", facts, 2) is None
    assert "has 2 threads" in str(misfit_of("w", facts, 3))
    assert "has hwsearch none, and this" in str(misfit_of("w", {**facts, "versions": {}}))
