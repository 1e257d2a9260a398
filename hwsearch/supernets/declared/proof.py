"""Checks that a declared supernet computes what it should, by running it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from hwsearch.errors import SupernetError
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint.loading import extract_subnet
from hwsearch.supernets.declared.meta import QuickNorms, on_meta
from hwsearch.supernets.seeded import seeded_weights


def prove(net: Supernet, model: nn.Module) -> None:
    """Run a supernet on random weights and inputs, and refuse it where it does not compute what it should.

    What a network's code does with a layer besides calling it (reading its weight or its sizes, keeping it in a list
    of its own, hooks) is not in the trace; here it shows. The largest subnet must be the given network, also with
    sorted channels; activated supernet and extracted subnet must agree; the smallest must run in training mode.

    Parameters
    ----------
    net : Supernet
        The supernet; it is copied, not changed.
    model : nn.Module
        The network that it was made of. Nothing is checked if it lies on the meta device.

    Raises
    ------
    SupernetError
        If a subnet does not run, or outputs differ by more than 0.1 % of the largest.
    """
    if any(v.is_meta for v in (*model.parameters(), *model.buffers())):
        return
    probe, plain = copy.deepcopy(net).eval(), copy.deepcopy(model).eval()
    state = seeded_weights(probe.state_dict())
    probe.load_state_dict(state)
    own = plain.state_dict().keys()
    plain.load_state_dict({k: v for k, v in state.items() if k in own})
    space = net.space
    ends = (space.largest(), space.smallest())
    x = {a: torch.randn(2, *net.input_shape(a), generator=torch.Generator().manual_seed(0)) for a in ends}
    rest = space.sample(3, np.random.default_rng(0), exclude=ends)
    with torch.no_grad():
        for arch in (*ends, *rest):
            inputs = x.get(arch, torch.randn(2, *net.input_shape(arch), generator=torch.Generator().manual_seed(1)))
            probe.activate(arch)
            try:
                active, cut = probe(inputs), extract_subnet(probe, arch)(inputs)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever torch or the model's own code raises
                raise SupernetError(f"subnet {arch.to_dict()} does not run: {error}") from error
            _same(active, cut, f"the activated supernet and the extracted subnet {arch.to_dict()}")
        expected = plain(x[ends[0]])
        _same(extract_subnet(probe, ends[0])(x[ends[0]]), expected, "the largest subnet and the given network")
        probe.sort_channels()
        _same(
            extract_subnet(probe, ends[0])(x[ends[0]]), expected, "the largest subnet with sorted channels and without"
        )
        probe.activate(ends[1])
        try:
            probe.train()(x[ends[1]])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as above
            raise SupernetError(f"the smallest subnet does not run in training mode: {error}") from error


def _same(a: Tensor, b: Tensor, what: str) -> None:
    scale = max(float(b.abs().max()), 1e-6)
    difference = float((a - b).abs().max()) / scale
    if not difference <= 1e-3:
        raise SupernetError(
            f"{what} differ by {difference:.2g} of the largest output.",
            hint="The network's code reads weights or sizes of a layer that is cut, reaches layers by a list or dict of "
            "its own, or has hooks: leave such layers out of the declaration.",
        )


def check_smallest(net: Supernet, shapes: Sequence[Sequence[int]]) -> None:
    """Run the smallest subnet on tensors without storage, activated and extracted.

    A network's own code may count on layers or channels that were cut.

    Parameters
    ----------
    net : Supernet
        The supernet; it is copied, not changed.
    shapes : sequence of sequence of int
        Shapes of one input without the batch axis; the first and the last are tried.

    Raises
    ------
    SupernetError
        If a subnet cannot be extracted, does not run, or gives another number of classes.
    """
    whole, smallest = on_meta(net), net.space.smallest()
    whole.activate(smallest)
    try:
        nets = (whole, extract_subnet(whole, smallest))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever torch or the model's own code raises
        raise SupernetError(f"the smallest subnet cannot be extracted: {error}") from error
    for candidate, shape in itertools.product(nets, {tuple(shapes[0]), tuple(shapes[-1])}):
        try:
            with torch.no_grad(), QuickNorms():
                output = candidate(torch.empty(1, *shape, device="meta"))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever torch or the model's own code raises
            raise SupernetError(f"the smallest subnet does not run on {shape}: {error}") from error
        if output.ndim < 2 or output.shape[1] != net.classes:
            raise SupernetError(f"the smallest subnet gives {tuple(output.shape)}, not {net.classes} classes.")
