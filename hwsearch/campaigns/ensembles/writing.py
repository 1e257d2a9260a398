"""An ensemble as one ONNX file with its card."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto
from torch import Tensor

from hwsearch._json import JsonObject
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.ensembles.fusion import Fusion, fused_part
from hwsearch.campaigns.jobs.workloads import ready_subnet
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.target import Target
from hwsearch.errors import CampaignError
from hwsearch.exporters import lower, verify, write_bundle
from hwsearch.exporters.onnx.lower import OPSET
from hwsearch.spaces import Architecture
from hwsearch.store import utc_now
from hwsearch.supernets.base import Part

#: largest difference of the file from the members' mean, as a share of the largest output
TOLERANCE = 1e-5
#: examples that file and members are compared on
COMPARED = 32


@dataclass(frozen=True)
class EnsembleFile:
    """An ensemble, lowered and compared with its members.

    Attributes
    ----------
    archs : tuple of Architecture
        The members.
    part : Part
        The network of them all.
    model : onnx.ModelProto
        The model.
    difference : float
        Largest difference of the two, as a share of the largest output.
    """

    archs: tuple[Architecture, ...]
    part: Part
    model: ModelProto
    difference: float

    @property
    def name(self) -> str:
        """Twelve hexadecimal digits of members and fusion."""
        told = " ".join([*self.part.outputs, *(a.id for a in self.archs)])
        return hashlib.sha256(told.encode()).hexdigest()[:12]


def ensemble_file(campaign: Campaign, archs: Sequence[Architecture], fusion: Fusion) -> EnsembleFile:
    """Make one model of several subnets, and compare it with them on test examples.

    Parameters
    ----------
    campaign : Campaign
        Whose subnets.
    archs : sequence of Architecture
        The members.
    fusion : {"probabilities", "logits"}
        What is averaged.

    Returns
    -------
    EnsembleFile
        Equal to the members' mean within `TOLERANCE`.

    Raises
    ------
    CampaignError
        If a subnet is several model files.
    ExportError
        If the members cannot be lowered, or the model differs from their mean.
    """
    net = campaign.loaded.net
    parts = []
    for arch in archs:
        found = net.parts(arch, ready_subnet(campaign, arch))
        if len(found) != 1:
            raise CampaignError(f"subnet {arch.id} is {len(found)} model files, and an ensemble is of one each.")
        parts.append(found[0])
    part = fused_part(parts, fusion)
    model = lower(part.net, part.inputs, outputs=part.outputs)
    difference = verify(model, part.net, *_sample(campaign, archs), tolerance=TOLERANCE)
    return EnsembleFile(tuple(archs), part, model, difference)


def write_ensemble(campaign: Campaign, target: Target, file: EnsembleFile, facts: JsonObject, path: Path) -> JsonObject:
    """Write the model and its card.

    Parameters
    ----------
    campaign : Campaign
        Whose subnets.
    target : Target
        The device that they were chosen for.
    file : EnsembleFile
        The model.
    facts : dict
        What was chosen, and what it gains.
    path : Path
        The ONNX file; the card lies beside it.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    ExportError
        If a file cannot be written.
    """
    task, net = campaign.loaded.task, campaign.loaded.net
    card = {
        "ensemble": {k: v for k, v in facts.items() if k != "path"},
        "supernet": {"name": campaign.loaded.entry.name, "weights": campaign.loaded.digest},
        "output": {"name": file.part.outputs[0], "classes": list(campaign.data[Split.TEST].classes)},
        "preprocess": [
            {**task.describe_size(net.input_size(a)), **task.preprocess.to_dict()}
            for a in _input_kinds(campaign, file.archs)
        ],
        "device": {"name": target.name, "fingerprint": target.fingerprint},
        "opset": OPSET,
        "difference_from_torch": file.difference,
        "written_at": utc_now(),
    }
    return write_bundle(path, [(file.part, file.model)], card)


def _input_kinds(campaign: Campaign, archs: Sequence[Architecture]) -> list[Architecture]:
    """Return the first member of each input size."""
    found: dict[int, Architecture] = {}
    for arch in archs:
        found.setdefault(campaign.loaded.net.input_size(arch), arch)
    return list(found.values())


def _sample(campaign: Campaign, archs: Sequence[Architecture]) -> list[Tensor]:
    """Return real examples for each input, in the order of the file."""
    found: list[Tensor] = []
    data = campaign.data[Split.TEST].head(COMPARED)
    for arch in _input_kinds(campaign, archs):
        x = next(iter(data.batches(campaign.loaded.net.input_size(arch), COMPARED)))[0]
        found += [x] if isinstance(x, Tensor) else x
    return found
