"""List supernets, and check and convert weight files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import Tensor

from hwsearch._files import forced, overwriting
from hwsearch._json import JsonObject
from hwsearch.errors import CheckpointError, SupernetError, nearest
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint import CheckpointMatch, compare, not_finite, read_state, write_safetensors
from hwsearch.supernets.weights.generated import CARD_TENSOR, card_of

ACTIONS = ("list", "show", "check", "convert")


#: endings of weight files that `convert` replaces
WEIGHT_SUFFIXES = {".pt", ".pth", ".ckpt", ".bin", ".tar"}


def supernets(
    action: str = "list",
    name: Path | str | None = None,
    *,
    output: Path | str | None = None,
    supernet: str | None = None,
    force: bool = False,
) -> list[JsonObject] | JsonObject:
    """List the catalogue's supernets, show one's card, or check or convert a weight file.

    Parameters
    ----------
    action : str, default "list"
        ``list``: one row for each supernet; ``show``: the card of `name`; ``check``: what a weight file is and
        whether it loads; ``convert``: the same weights as safetensors. A supernet's name alone shows its card.
    name : Path or str, optional
        A supernet's name, or a weight file.
    output : Path or str, optional
        File that ``convert`` writes; by default beside the source.
    supernet : str, optional
        For ``check`` and ``convert``: the only supernet to compare with, also ``file.py:ENTRY``, whose code is run.
    force : bool
        For ``convert``: replace a file that exists; links are never written through.

    Returns
    -------
    list of dict, or dict
        Rows of the list; else one card or report.

    Raises
    ------
    SupernetError
        If the action or the supernet is unknown.
    CheckpointError
        If a file cannot be read safely or written.

    Examples
    --------
    >>> card = supernets("show", "cifar10-mbv3")
    >>> card["classes"], card["weights"]
    (10, 'shipped')
    """
    if action not in ACTIONS and name is None:
        action, name = "show", action
    if action == "list":
        rows = []
        for known in catalogue.names():
            card = catalogue.entry(known).full_card()
            rows.append(
                {k: card[k] for k in ("name", "summary", "subnets", "macs_smallest", "macs_largest", "weights")}
            )
        return rows
    if action not in ACTIONS:
        raise SupernetError(f"unknown action {action!r} for supernets.", hint=nearest(action, ACTIONS))
    if name is None:
        raise SupernetError(f"supernets {action} needs a name or a file.", hint="See 'hwsearch supernets --help'.")
    if action == "show":
        return catalogue.entry(str(name)).full_card()
    if action == "check":
        return check_file(name, supernet)
    with overwriting(force):
        return convert_file(name, output, supernet)


def check_file(path: Path | str, supernet: str | None = None) -> JsonObject:
    """Check what a weight file is, and into which supernets of the catalogue it loads.

    Where it fits none, ``closest`` names the nearest one with everything that is missing, unknown or misshapen there,
    and ``otherwise`` says of every supernet why not.

    Parameters
    ----------
    path : Path or str
        The file.
    supernet : str, optional
        The only supernet to compare with.

    Returns
    -------
    dict
        Tensors, weights, checksums, ``fits`` and ``loads``; of a file with a generator of weights also its card.

    Raises
    ------
    CheckpointError
        If the file cannot be read safely.
    """
    path = Path(path)
    state = read_state(path)
    fits, reasons, closest = _compare_all(state, supernet)
    bad = not_finite(state)
    blob = _digest(path, "sha1", f"blob {path.stat().st_size}\0".encode())
    published = [n for n in fits if catalogue.entry(n).card.get("git_blob_sha1") == blob]
    found = {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": _digest(path, "sha256"),
        "tensors": len(state),
        "weights": int(sum(v.numel() for v in state.values())),
        "types": sorted({str(v.dtype).removeprefix("torch.") for v in state.values()}),
        "not_finite": bad,
        "fits": fits,
        "loads": bool(fits) and not bad,
        "published_file": published[0] if published else None,
    }
    if CARD_TENSOR in state:
        found["generator"] = card_of(state, repr(str(path))).to_dict()
    if not fits:
        found["otherwise"] = reasons
    if not fits and closest is not None:
        share, name, fit = closest
        found["closest"] = {
            "name": name,
            "share": round(share, 3),
            "missing": fit.missing,
            "unknown": fit.extra,
            "of another shape": fit.shapes,
        }
    return found


def _compare_all(
    state: dict[str, Tensor], supernet: str | None = None
) -> tuple[list[str], dict[str, str], tuple[float, str, CheckpointMatch] | None]:
    """Compare: (supernets of the catalogue that a file fits, why not the others, the closest of these with its share)."""
    fits: list[str] = []
    reasons: dict[str, str] = {}
    closest: tuple[float, str, CheckpointMatch] | None = None
    for name in catalogue.names() if supernet is None else [supernet]:
        try:
            fit = compare(catalogue.entry(name).shape(state), state)
        except (CheckpointError, SupernetError) as error:
            reasons[name] = str(error)
            continue
        if fit.complete:
            fits.append(name)
            continue
        reasons[name] = f"{fit}. {fit.hint}"
        if fit.share > 0 and (closest is None or fit.share > closest[0]):
            closest = (fit.share, name, fit)
    return fits, reasons, closest


def _digest(path: Path, kind: str, before: bytes = b"") -> str:
    h = hashlib.new(kind, before)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            h.update(block)
    return h.hexdigest()


def convert_file(path: Path | str, output: Path | str | None = None, supernet: str | None = None) -> JsonObject:
    """Write the weights of a file as safetensors: only tensors, under today's names where it is of the catalogue.

    Parameters
    ----------
    path : Path or str
        The file.
    output : Path or str, optional
        File to write; by default the same name with the ending .safetensors.
    supernet : str, optional
        The only supernet to compare with.

    Returns
    -------
    dict
        Path, size in bytes, checksum, and the supernets it fits.

    Raises
    ------
    CheckpointError
        If the file cannot be read safely, or the output exists.
    """
    path = Path(path)
    state = read_state(path)
    name = path.name.removesuffix(path.suffix) if path.suffix in WEIGHT_SUFFIXES else path.name
    place = Path(output) if output is not None else path.with_name(f"{name}.safetensors")
    if place.exists() and not forced():
        raise CheckpointError(
            f"{str(place)!r} already exists.",
            hint="Give another output, or --force (in Python force=True) to replace it.",
        )
    fits = _compare_all(state, supernet)[0]
    if fits:
        net = catalogue.entry(fits[0]).shape(state)
        renamed = net.rename(state)
        once = {v.data_ptr(): k for k, v in reversed(renamed.items())}  # of shared tensors the first name
        alone = {k: v for k, v in renamed.items() if once[v.data_ptr()] == k or v.numel() < 2}
        state = alone if compare(net, alone).complete else renamed
    metadata = {"source": path.name, "source_sha256": _digest(path, "sha256"), "fits": ", ".join(fits)}
    write_safetensors(state, place, metadata)
    return {"file": str(place), "bytes": place.stat().st_size, "sha256": _digest(place, "sha256"), "fits": fits}
