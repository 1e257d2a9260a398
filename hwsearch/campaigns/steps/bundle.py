"""Write a subnet as ONNX files with a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from torch import Tensor, nn

from hwsearch.accuracy import Score
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.accuracy import recorded_score
from hwsearch.campaigns.jobs.workloads import onnx_models, ready_subnet
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.exporters import verify, write_bundle
from hwsearch.exporters.onnx.lower import OPSET
from hwsearch.spaces import Architecture
from hwsearch.store import utc_now
from hwsearch.supernets.base import Part


def export_model(
    campaign: Campaign,
    arch: Architecture,
    path: Path,
    known: Known,
    *,
    batch: int | None = None,
    trained: tuple[nn.Module, Score, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Write the ONNX file of a subnet and its card; the model is compared with torch on real data.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet.
    arch : Architecture
        The subnet.
    path : pathlib.Path
        The ONNX file; the card lies beside it.
    known : Known
        What the store holds of the subnet.
    batch : int, optional
        A fixed batch size; dynamic by default.
    trained : tuple, optional
        The subnet with weights of its own, its score on the test data, and what the card says of the training.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    ExportError
        If the subnet cannot be lowered, or the model disagrees with torch.
    """
    entry, task = campaign.loaded.entry, campaign.loaded.task
    net = trained[0] if trained else ready_subnet(campaign, arch)
    size = campaign.loaded.net.input_size(arch)
    parts = onnx_models(campaign, arch, net, batch=batch)
    difference = max(
        verify(model, part.net, *_sample(campaign, part, len(parts), size, batch)) for part, model in parts
    )
    test = known.accuracy(Split.TEST, VALIDATE).get(arch.id)
    if trained:
        accuracy = trained[1]
    elif test is not None and test.record is not None:
        accuracy = recorded_score(campaign, test)
    else:
        accuracy = task.evaluate(net, campaign.data[Split.TEST], size, batch=campaign.config.data.batch)
    latencies = {}
    for target in campaign.targets.values():
        m = known.latency(target.name, VALIDATE).get(arch.id) or known.latency(target.name).get(arch.id)
        if m is not None:
            latencies[target.name] = {
                "latency_ms_p50": m.value,
                "low": m.low,
                "high": m.high,
                "confidence": campaign.final_protocol.confidence,
                "latency_ms_p90": m.details.get("p90"),
                "runs": m.repeats,
                "loads": m.details.get("loads"),
                "batch": target.device.batch,
                "threads": target.device.threads,
                "provider": target.device.provider,
                "fingerprint": target.fingerprint,
                "measured_at": m.ended_at,
            }
    card = {
        "architecture": {"id": arch.id, "space": campaign.space.name, "genes": arch.to_dict()},
        "supernet": {"name": entry.name, "weights": campaign.loaded.digest},
        **({"finetuned": trained[2]} if trained else {}),
        "accuracy": {
            task.score_field: round(accuracy.value, 3),
            "standard_error": round(accuracy.standard_error, 3),
            task.examples: accuracy.n,
            "data": campaign.data[Split.TEST].name,
            "subject": campaign.example_subject(Split.TEST),
        },
        **_verified(campaign, arch, known, bool(trained)),
        "latency": latencies,
        "macs": campaign.loaded.net.macs(arch),
        "params": campaign.loaded.net.params(arch),
        "input": {
            **_only_input(parts, batch),
            "preprocess": {**task.describe_size(size), **task.preprocess.to_dict()},
        },
        "output": {"name": parts[0][0].outputs[0], "classes": list(campaign.data[Split.TEST].classes)},
        "opset": OPSET,
        "difference_from_torch": difference,
        "written_at": utc_now(),
    }
    return write_bundle(path, parts, card)


def _verified(campaign: Campaign, arch: Architecture, known: Known, trained: bool) -> dict[str, Any]:
    """Return what is proved of the subnet on the test images, where that was measured; not of weights trained since."""
    m = known.score("verified_accuracy", Split.TEST, VALIDATE).get(arch.id)
    if m is None or trained:
        return {}
    told = {k: m.details[k] for k in ("epsilon", "method", "images")}
    error = round(float(m.details["standard_error"]), 3)
    return {"verified_accuracy": {"percent": round(float(m.value or 0.0), 3), "standard_error": error, **told}}


def _only_input(parts: list[tuple[Part, ModelProto]], batch: int | None) -> dict[str, Any]:
    """Return name, shape and type of the input, where there is one; ``files`` of the card tells those of all."""
    if len(parts) > 1 or len(parts[0][0].inputs) > 1:
        return {}
    (only,) = parts[0][0].inputs
    return {"name": only.name, "shape": [batch or "batch", *only.shape], "dtype": "int64" if only.high else "float32"}


def _sample(campaign: Campaign, part: Part, parts: int, size: int, batch: int | None) -> tuple[Tensor, ...]:
    """Return what a model is compared with torch on: real data, where it takes them as they are."""
    if parts > 1:
        rng = np.random.default_rng(0)
        return tuple(torch.from_numpy(np.asarray(i.sample(batch or 2, rng))) for i in part.inputs)
    x = next(iter(campaign.data[Split.TEST].head(batch or 32).batches(size, batch or 32)))[0]
    return (x,) if isinstance(x, Tensor) else x
