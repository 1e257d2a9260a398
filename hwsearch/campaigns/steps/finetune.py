"""Fine-tune a subnet: train it on data that score nothing, score it again, export it with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwsearch.accuracy import Z95, recalibrate
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.accuracy import accuracy_row
from hwsearch.campaigns.jobs.workloads import ready_subnet
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.purpose import FINETUNED
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.bundle import export_model
from hwsearch.campaigns.steps.fronts import find_arch
from hwsearch.errors import CampaignError, DataError
from hwsearch.store import utc_now
from hwsearch.supernets.checkpoint import digest, save_weights
from hwsearch.tasks.data import NO_LIMIT, Data
from hwsearch.training.finetune import FinetuneConfig, finetune


def finetune_subnet(
    campaign: Campaign,
    arch_id: str,
    config: FinetuneConfig,
    *,
    data: str | None = None,
    output: Path | None = None,
) -> dict[str, Any]:
    """Train one subnet for some steps, recalibrate its batch norms, measure its score again, export it.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet and data.
    arch_id : str
        The subnet: an id, ``smallest``, ``largest``, or a JSON object of genes.
    config : FinetuneConfig
        How to train.
    data : str, optional
        Where to learn from, as in a configuration's ``[data]``; by default the calibration data. Examples that are also
        validation or test data are left out.
    output : pathlib.Path, optional
        The ONNX file; ``models/finetuned/<id>.onnx`` of the campaign by default. Weights (``.safetensors``) and card
        (``.json``) lie beside it.

    Returns
    -------
    dict
        Scores before and after, their paired difference with its 95 % interval, and the files.

    Raises
    ------
    CampaignError
        If there is nothing to learn from, or `output` does not end in ``.onnx``.
    StoreError
        If the campaign has not seen the subnet.
    """
    entry, net, judge = campaign.loaded.entry, campaign.loaded.net, campaign.loaded.task
    if output is not None and output.suffix != ".onnx":
        raise CampaignError(f"{str(output)!r} does not end in .onnx.", hint="Name it FILE.onnx.")
    arch = find_arch(campaign, arch_id)
    size = net.input_size(arch)
    examples = _training_data(campaign, data)
    campaign.enter([arch])
    subnet = ready_subnet(campaign, arch)
    test, batch = campaign.data["test"], campaign.config.data.batch
    before = judge.evaluate(subnet, test, size, batch=batch)
    checkpoint = campaign.folder / "finetuning" / f"{arch.id}.pt"
    with campaign.progress.task(f"finetune {arch.id}", config.steps, "steps") as task:
        report = finetune(
            judge,
            subnet,
            examples,
            size,
            config,
            progress=lambda done, _: task.update(done),
            checkpoint=checkpoint,
        )
        losses = report["losses"]
        task.note(f"loss {losses[0]:.3f} → {losses[-1]:.3f}")
    if "calibration" in campaign.data:
        recalibrate(subnet, campaign.data["calibration"], size, batch=batch)
    started = utc_now()
    after = judge.evaluate(subnet.eval(), test, size, batch=batch)
    gain, error = after.difference(before)
    subnet_digest = digest(subnet)
    campaign.store.add([accuracy_row(campaign, arch, after, Split.TEST, FINETUNED, started, weights=subnet_digest)])
    place = output or campaign.folder / "models" / "finetuned" / f"{arch.id}.onnx"
    told = {k: v for k, v in report.items() if k != "losses"}
    told |= {"loss_first": round(losses[0], 4), "loss_last": round(losses[-1], 4), "weights": subnet_digest}
    told |= {"before": round(before.value, 3), "gain": round(gain, 3), "gain_standard_error": round(error, 3)}
    card = export_model(campaign, arch, place, Known.read(campaign), trained=(subnet, after, told))
    weights = place.with_suffix(".safetensors")
    save_weights(subnet, weights, {"supernet": entry.name, "arch_id": arch.id, "digest": subnet_digest})
    checkpoint.unlink(missing_ok=True)
    return {
        "arch_id": arch.id,
        "score": judge.score_name,
        "unit": judge.score_unit,
        "before": before.value,
        "after": after.value,
        "gain": gain,
        "gain_low": gain - Z95 * error,
        "gain_high": gain + Z95 * error,
        "examples": after.n,
        **{k: report[k] for k in ("steps", "batch", "lr")},
        "path": str(place),
        "weights": str(weights),
        "sha256": card["sha256"],
    }


def _training_data(campaign: Campaign, path: str | None) -> Data:
    """Return what to learn from, without the examples that score subnets."""
    entry, config = campaign.loaded.entry, campaign.config.data
    if path is None:
        if "calibration" not in campaign.data:
            raise CampaignError(f"supernet {entry.name!r} has no calibration data to learn from.", hint="Give --data.")
        found = campaign.data["calibration"]
    else:
        classes = campaign.data["test"].classes or None
        vocabulary = Path(config.vocabulary) if config.vocabulary else None
        found = campaign.loaded.task.read(path, limit=NO_LIMIT, classes=classes, vocabulary=vocabulary)
        campaign.loaded.net.check_data(found, "training")
    try:
        rest = found.without([campaign.data[split] for split in ("validation", "test")])
    except DataError as error:  # none is left
        raise CampaignError(
            f"all {len(found):,} examples of {found.name!r} also judge the subnets: there is nothing to learn from.",
            hint="Give other data.",
        ) from error
    if len(rest) < len(found):
        campaign.progress.warn(
            f"{len(found) - len(rest):,} of {len(found):,} examples of {found.name!r} also judge the subnets: "
            "they are not learnt from."
        )
    return rest
