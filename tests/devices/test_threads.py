"""How many threads this process's own computing uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsearch.devices import threads
from hwsearch.devices.host import usable_cores
from hwsearch.devices.threads import compute_threads, cpu_quota


def membership(folder: Path, text: str) -> Path:
    path = folder / "cgroup"
    path.write_text(text)
    return path


def test_quota_is_that_of_the_narrowest_group_around_the_process(tmp_path: Path) -> None:
    inner = tmp_path / "system.slice" / "job.service"
    inner.mkdir(parents=True)
    (tmp_path / "system.slice" / "cpu.max").write_text("150000 100000\n")
    (inner / "cpu.max").write_text("max 100000\n")
    assert cpu_quota(tmp_path, membership(tmp_path, "0::/system.slice/job.service\n")) == 1.5


def test_quota_of_a_container_lies_at_the_root_of_its_name_space(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert cpu_quota(tmp_path, membership(tmp_path, "0::/\n")) == 0.5
    assert cpu_quota(tmp_path, tmp_path / "no such file") == 0.5


def test_quota_of_the_first_version_of_control_groups(tmp_path: Path) -> None:
    group = tmp_path / "cpu" / "docker"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text("300000\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_quota(tmp_path, membership(tmp_path, "4:cpu,cpuacct:/docker\n2:memory:/docker\n")) == 3.0


@pytest.mark.parametrize("text", ["max 100000\n", "", "many 100000\n", "100000\n", "100000 0\n"])
def test_no_quota_where_none_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_quota(tmp_path, membership(tmp_path, "0::/\n")) is None


@pytest.mark.parametrize(
    ("quota", "said", "expected"),
    [
        (None, "", usable_cores()),
        (0.5, "", 1),
        (1e6, "", usable_cores()),
        (None, "3", 3),
        (1.0, "3,1", 3),
        (1.0, "0", 1),
        (1.0, "many", 1),
    ],
)
def test_threads_are_those_that_can_run(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, said: str, expected: int
) -> None:
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert compute_threads() == expected


def test_processes_share_the_cores_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("hwsearch.devices.threads.usable_cores", lambda: 7)
    monkeypatch.setattr("hwsearch.devices.threads.cpu_quota", lambda: None)
    assert [compute_threads(n) for n in (1, 2, 3, 8)] == [7, 3, 2, 1]
    monkeypatch.setattr("hwsearch.devices.threads.cpu_quota", lambda: 4.5)
    assert [compute_threads(n) for n in (1, 2, 9)] == [5, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert compute_threads(2) == 6
