"""The demo: a whole campaign of the embedded supernet on this machine."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from hwsearch._json import JsonObject
from hwsearch.api.campaign import run
from hwsearch.campaigns import Progress


def demo(*, folder: Path | str | None = None, progress: Progress | None = None, force: bool = False) -> JsonObject:
    """Run all steps on the shipped supernet and this machine's CPU, as two devices.

    Parameters
    ----------
    folder : path, optional
        Where the campaign lies; ``runs/demo`` by default.
    progress : Progress, optional
        Receives the steps; by default the logger ``hwsearch``.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    dict
        As `run`.
    """
    config = Path(str(files("hwsearch") / "demo.toml"))
    return run(config, folder=folder or "runs/demo", progress=progress, force=force)
