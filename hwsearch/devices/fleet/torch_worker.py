"""The measuring process of runtimes that take torch modules: it builds the subnets itself, from the catalogue.

``python -m hwsearch.devices.fleet.torch_worker``; all else is `hwsearch.devices.fleet.worker`'s.
"""

from __future__ import annotations

import os
from functools import cache

from safetensors.torch import load

from hwsearch.devices.fleet.jobs import Files, PackedWorkload, WorkerJob
from hwsearch.devices.fleet.worker import main
from hwsearch.devices.runtimes.base import Model, Workload
from hwsearch.errors import DeviceError
from hwsearch.supernets.catalogue import load_supernet
from hwsearch.supernets.checkpoint import extract_subnet
from hwsearch.supernets.entry import LoadedSupernet

MODULE = "hwsearch.devices.fleet.torch_worker"


@cache
def _supernet(name: str, checkpoint: str | None, sort: bool) -> LoadedSupernet:
    return load_supernet(name, checkpoint, sort)


def build(job: WorkerJob, packed: PackedWorkload, files: Files) -> Workload:
    """Build the torch workload of an architecture, with the weights that came along, where there are some.

    Parameters
    ----------
    job : WorkerJob
        Names the supernet.
    packed : PackedWorkload
        Names the architecture, and its weights where they differ from the supernet's.
    files : mapping of str to bytes
        The job's files.

    Returns
    -------
    Workload
        Of torch modules.

    Raises
    ------
    DeviceError
        If the supernet has other weights here than in the campaign.
    """
    s = job["supernet"]
    loaded = _supernet(s["name"], s["checkpoint"], s["sort"])
    if loaded.digest != s["digest"]:
        raise DeviceError(
            f"supernet {s['name']!r} has other weights here than in the campaign.", hint="Copy the checkpoint file."
        )
    arch = loaded.net.space.architecture(packed["genes"])
    net = extract_subnet(loaded.net, arch)
    if packed.get("weights"):
        net.load_state_dict(load(files[packed["weights"]]))
    parts = tuple(Model(tuple(p.inputs), module=p.net, runs=p.runs) for p in loaded.net.parts(arch, net))
    return Workload(parts, arch.id, arch.to_dict())


if __name__ == "__main__":
    os.environ["PYTHONSAFEPATH"] = "1"  # of the processes in which torch compiles
    raise SystemExit(main(build))
