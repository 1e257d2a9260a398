"""Export subnets: one by id, or every pick of the fronts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwsearch._files import own_folder
from hwsearch._json import JsonObject
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.steps.bundle import export_model
from hwsearch.campaigns.steps.fronts import find_arch
from hwsearch.campaigns.steps.picks import picks
from hwsearch.campaigns.views import device_view
from hwsearch.exporters.card import intact_card


def export(
    campaign: Campaign,
    arch_id: str | None = None,
    device: str | None = None,
    *,
    output: Path | None = None,
    batch: int | None = None,
    known: Known | None = None,
) -> list[dict[str, Any]]:
    """Write ONNX files with cards: of one subnet, or of every pick of one or all devices.

    Parameters
    ----------
    campaign : Campaign
        Whose subnets.
    arch_id : str, optional
        One subnet: an id, ``smallest``, ``largest``, or a JSON object of genes; by default all picks.
    device : str, optional
        Picks of this device only.
    output : pathlib.Path, optional
        With `arch_id`: the ONNX file; ``models/<id>.onnx`` by default. Picks lie under ``models/<device>/``.
    batch : int, optional
        A fixed batch size; dynamic by default.
    known : Known, optional
        What the store holds; read by default.

    Returns
    -------
    list of dict
        The cards, with ``path``; of picks also ``device`` and ``label``.

    Raises
    ------
    CampaignError
        If nothing has been validated.
    ExportError
        If a subnet cannot be lowered, or a model disagrees with torch.
    """
    known = known or Known.read(campaign)
    if arch_id is not None:
        arch = find_arch(campaign, arch_id)
        path = output or campaign.folder / "models" / f"{arch.id}.onnx"
        return [export_model(campaign.with_network, arch, path, known, batch=batch) | {"path": str(path)}]
    targets = [campaign.target(device)] if device else list(campaign.targets.values())
    chosen = [(t, p) for t in targets for p in picks(campaign, device_view(campaign, t), known)]
    cards = []
    with campaign.progress.task("export", len(chosen), "models") as task:
        for i, (target, p) in enumerate(chosen):
            path = own_folder(own_folder(campaign.folder / "models") / target.name) / f"{p.arch.id}.onnx"
            card_path = path.with_suffix(".json")
            card = _current_card(campaign, card_path) if batch is None else None
            if card is None:
                card = export_model(campaign.with_network, p.arch, path, known, batch=batch)
            cards.append(card | {"path": str(path), "device": target.name, "label": p.label})
            task.update(i + 1)
        task.note(
            f"{len(cards)} ONNX files, equal to torch to {max(c['difference_from_torch'] for c in cards):.0e}"
            if cards
            else "no picks"
        )
    return cards


def _current_card(campaign: Campaign, path: Path) -> JsonObject | None:
    """Return the card of a model that needs no export, None where there is none or it is of another state of the campaign."""
    card = intact_card(path)
    if card is None:
        return None
    same = card["supernet"].get("weights") == campaign.loaded.digest
    return card if same and set(card["latency"]) == set(campaign.targets) else None
