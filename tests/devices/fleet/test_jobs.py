"""Jobs as JSON and files."""

from __future__ import annotations

import json

from hwsearch.devices import TimingProtocol, Workload
from hwsearch.devices.fleet.jobs import pack_workload, unpack_workload
from hwsearch.tasks.inputs import Input

QUICK = TimingProtocol(visits=2, block_runs=2, block_ms=0.1, warmup_ms=1.0)


def test_what_is_packed_is_unpacked() -> None:
    files: dict[str, bytes] = {}
    inputs = (Input("ids", (5,), 7, 1, ("tokens",), 1), Input("mask", (2, 3), batch_axis=None))
    work = Workload.of(b"model", inputs)
    entry = json.loads(json.dumps(pack_workload(work, 3, files)))
    assert unpack_workload(entry, files) == work
    assert TimingProtocol(**json.loads(QUICK.model_dump_json())) == QUICK
