"""The command that grows a supernet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import hwsearch
from hwsearch.cli.app import CATALOGUE, command
from hwsearch.cli.options import Force, Json
from hwsearch.cli.render import emit_json, print_lines


@command(CATALOGUE)
def grow(
    supernet: Annotated[
        str, typer.Option("--supernet", help="The trained supernet: a name, or file.py:ENTRY, which is run.")
    ],
    into: Annotated[str, typer.Option("--into", help="The wider one, with the same layers: likewise.")],
    output: Annotated[Path, typer.Option("--output", help="The weight file to write, *.safetensors.")],
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="The trained weights (default: the shipped ones).")
    ] = None,
    second: Annotated[
        Path | None,
        typer.Option(
            "--second",
            help="Weights of a second training of the same supernet: the other half of the channels; not for the method 'wider'.",
        ),
    ] = None,
    method: Annotated[
        Literal["wider", "zero", "orthogonal", "random"],
        typer.Option(
            "--method",
            help="Where new blocks come from: repeated channels that keep the function, nothing, orthogonal combinations of "
            "learned templates, or noise.",
        ),
    ] = "wider",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the noise.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Grow a trained supernet into a wider one; 'train --checkpoint' goes on from the file that is written.

    Parameters
    ----------
    supernet : str
        The trained supernet.
    into : str
        The wider one.
    output : pathlib.Path
        The weight file to write.
    checkpoint : pathlib.Path, optional
        The trained weights.
    second : pathlib.Path, optional
        Weights of a second training of the same supernet.
    method : str
        Where new blocks come from.
    seed : int
        Seed of the noise.
    force : bool
        Replace a file that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    found = hwsearch.grow(
        supernet, into, output, checkpoint=checkpoint, second=second, method=method, seed=seed, force=force
    )
    if not emit_json(found, as_json):
        millions = f"{found['params_before'] / 1e6:.3g} to {found['params_after'] / 1e6:.3g} M parameters"
        print_lines(
            f"{found['file']}: {millions}, new blocks {method}",
            f"go on by: hwsearch train --supernet {into} --checkpoint {found['file']} …",
        )
