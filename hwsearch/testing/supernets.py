"""Conformance tests of supernets: subclass, say how yours is made, and let pytest run it.

from hwsearch.testing import SupernetConformance

class TestMine(SupernetConformance):
    def make(self):
        return MySupernet(small_config)
"""

from __future__ import annotations

import copy
from abc import abstractmethod

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from hwsearch.errors import SpaceError
from hwsearch.exporters import lower, verify
from hwsearch.spaces import Architecture, Choice, SearchSpace
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint.loading import load_weights
from hwsearch.supernets.checkpoint.matching import compare
from hwsearch.testing.weights import seeded_weights


class SupernetConformance:
    """Tests of what `Supernet` promises, one method for each promise.

    Subclass it in a test file and override `make`. Use a small network: all tests run in seconds.

    Attributes
    ----------
    subnets : int
        Random subnets that are tried, besides the smallest and the largest.
    """

    #: random subnets that are looked at, besides the smallest and the largest
    subnets: int = 8

    @abstractmethod
    def make(self) -> Supernet:
        """Make a fresh supernet.

        Returns
        -------
        Supernet
            The supernet under test.
        """

    def inputs(self, net: Supernet, arch: Architecture) -> tuple[Tensor, ...]:
        """Make two examples for the forward pass; by default the inputs of the deployed model.

        Parameters
        ----------
        net : Supernet
            The supernet.
        arch : Architecture
            The active architecture.

        Returns
        -------
        tuple of Tensor
            Inputs of batch size 2.

        Raises
        ------
        NotImplementedError
            If the deployed model has several parts: override it then.
        """
        parts = net.parts(arch, net.subnet(arch).eval())
        if len(parts) > 1:
            raise NotImplementedError("override inputs(): the deployed model has several parts")
        rng = np.random.default_rng(1)
        return tuple(torch.from_numpy(np.asarray(i.sample(2, rng))) for i in parts[0].inputs)

    @pytest.fixture(scope="class")
    def made(self) -> Supernet:
        """Make the supernet with seeded weights, in evaluation mode, once for all tests.

        Returns
        -------
        Supernet
            A pytest fixture.
        """
        net = self.make()
        net.load_state_dict(seeded_weights(net.state_dict()))
        return net.eval()

    @pytest.fixture
    def net(self, made: Supernet) -> Supernet:
        """Copy the supernet, for one test to change.

        Parameters
        ----------
        made : Supernet
            Fixture.

        Returns
        -------
        Supernet
            A pytest fixture.
        """
        return copy.deepcopy(made)

    def archs(self, net: Supernet) -> list[Architecture]:
        """Choose architectures to try.

        Parameters
        ----------
        net : Supernet
            The supernet.

        Returns
        -------
        list of Architecture
            The smallest, the largest and random ones.
        """
        ends = [net.space.smallest(), net.space.largest()]
        return ends + net.space.sample(self.subnets, np.random.default_rng(0), exclude=ends)

    @torch.no_grad()
    def test_activated_supernet_and_extracted_subnet_agree(self, net: Supernet) -> None:
        """Check that both give the same outputs, to 1e-6.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        for arch in self.archs(net):
            x = self.inputs(net, arch)
            net.activate(arch)
            expected = net(*x)
            torch.testing.assert_close(net.subnet(arch).eval()(*x), expected, rtol=1e-5, atol=1e-6)

    @torch.no_grad()
    def test_every_gene_changes_the_network(self, net: Supernet) -> None:
        """Check that the largest subnet and those that differ in one gene give different outputs.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        largest = net.space.largest()
        for choice in net.space.choices:
            other = net.space.architecture({**largest, choice.name: choice.values[0]})
            if other == largest or net.input_shape(other) != net.input_shape(largest):
                continue
            x = self.inputs(net, largest)
            a, b = (net.subnet(arch).eval()(*x) for arch in (largest, other))
            changed = not torch.allclose(a, b, rtol=1e-6, atol=1e-8)
            assert changed, f"gene {choice.name!r} changes nothing: its smallest and largest value give equal outputs"

    @torch.no_grad()
    def test_genes_without_effect_are_declared_so(self, net: Supernet) -> None:
        """Check that no gene of the smallest subnet is active and yet changes neither costs nor outputs.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        smallest = net.space.smallest()
        x = self.inputs(net, smallest)
        for gene, choice in enumerate(net.space.choices):
            row = np.maximum(net.space.to_array([smallest]), 0)  # -1: inactive, and perhaps active in the other one
            row[0, gene] = len(choice.values) - 1
            (other,) = net.space.from_array(net.space.canonical(row))
            if other == smallest or net.input_shape(other) != net.input_shape(smallest):
                continue
            same_costs = net.macs(other) == net.macs(smallest) and net.params(other) == net.params(smallest)
            if same_costs:
                a, b = (net.subnet(arch).eval()(*x) for arch in (smallest, other))
                assert not torch.equal(a, b), (
                    f"gene {choice.name!r} changes nothing in the smallest subnet, and would be measured in vain: say when "
                    f"it is active, Choice({choice.name!r}, {choice.values}, when=When(...))"
                )

    def test_a_subnet_has_weights_of_its_own(self, net: Supernet) -> None:
        """Check that a subnet shares no memory with the supernet, and holds no supernet.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        own = {p.untyped_storage().data_ptr() for p in (*net.parameters(), *net.buffers())}
        for arch in self.archs(net):
            subnet = net.subnet(arch)
            apart = own.isdisjoint(p.untyped_storage().data_ptr() for p in (*subnet.parameters(), *subnet.buffers()))
            assert apart, "`subnet` shares weights with the supernet: copy them, as load_state_dict does"
            holds = any(isinstance(m, Supernet) for m in subnet.modules())
            assert not holds, "`subnet` must return a plain network, not one that holds the supernet"

    def test_training_state_is_handed_on(self, net: Supernet) -> None:
        """Check that a subnet is in training mode exactly if the supernet is.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        arch = net.space.smallest()
        assert not net.subnet(arch).training
        assert net.train().subnet(arch).training

    @torch.no_grad()
    def test_costs_are_those_that_torch_counts(self, net: Supernet) -> None:
        """Check MACs and parameters against torch's own counters.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        for arch in self.archs(net):
            subnet = net.subnet(arch).eval()
            costs, weights = net.cost_features(net.space.to_array([arch])), sum(p.numel() for p in subnet.parameters())
            for cost in ("macs", "params"):
                assert cost in costs, f"cost_features has no {cost!r}: it needs 'macs' and 'params', both exact"
            said = net.params(arch)
            assert said == weights, f"cost_features says {said} params of {dict(arch)}, but its subnet has {weights}"
            one = [x[:1] for x in self.inputs(net, arch)]
            with FlopCounterMode(display=False) as counter:
                subnet(*one)
            counted = counter.get_total_flops() / 2
            said = net.macs(arch)
            assert said == counted, f"cost_features says {said} macs of {dict(arch)}, but torch counts {counted:.0f}"

    def test_vectorised_costs_are_those_of_single_architectures(self, net: Supernet) -> None:
        """Check that costs of many rows equal those of one, and that features are finite and named.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        archs = self.archs(net)
        rows = net.space.to_array(archs)
        assert net.macs_array(rows).tolist() == [net.macs(a) for a in archs]
        assert net.params_array(rows).tolist() == [net.params(a) for a in archs]
        features, names = net.features_array(rows)
        assert features.shape == (len(archs), len(names)) and len(set(names)) == len(names)
        wrong = [name for name, column in zip(names, features.T, strict=True) if not np.isfinite(column).all()]
        assert not wrong, f"features {wrong} are NaN or infinite: see cost_features"
        costs = net.cost_features(rows)
        assert (costs["macs"] == net.macs_array(rows)).all() and (costs["params"] == net.params_array(rows)).all()

    def test_inactive_genes_cost_nothing(self, net: Supernet) -> None:
        """Check that rows that differ in inactive genes only have equal costs.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        rng = np.random.default_rng(3)
        rows = rng.integers(0, net.space.sizes, size=(64, len(net.space.choices)))
        assert (net.macs_array(rows) == net.macs_array(net.space.canonical(rows))).all()

    def test_largest_and_smallest_are_the_ends(self, net: Supernet) -> None:
        """Check that no sampled architecture has fewer MACs than the smallest or more than the largest.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        rows = net.space.sample_array(200, np.random.default_rng(4))
        ends = net.space.to_array([net.space.smallest(), net.space.largest()])
        low, high = net.macs_array(ends)
        assert ((net.macs_array(rows) >= low) & (net.macs_array(rows) <= high)).all()
        assert net.params_array(ends)[0] < net.params_array(ends)[1]

    @torch.no_grad()
    def test_deployed_models_equal_torch(self, net: Supernet) -> None:
        """Check the exported models of the smallest and the largest subnet against torch.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        for arch in (net.space.smallest(), net.space.largest()):
            for part in net.parts(arch, net.subnet(arch).eval()):
                model = lower(part.net, part.inputs, outputs=part.outputs, output_axes=part.output_axes)
                rng = np.random.default_rng(5)
                x = tuple(torch.from_numpy(np.asarray(i.sample(2, rng))) for i in part.inputs)
                assert verify(model, part.net, *x, tolerance=1e-4) <= 1e-4
                assert part.runs >= 1

    def test_its_own_state_dict_loads(self, net: Supernet) -> None:
        """Check that a second supernet loads the state dict and computes the same.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        other = self.make()
        assert compare(other, net.state_dict()).complete
        load_weights(other, net.state_dict(), "its own")
        arch = net.space.largest()
        x = self.inputs(net, arch)
        with torch.no_grad():
            a, b = (n.eval().subnet(arch).eval()(*x) for n in (net, other))
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)

    def test_weight_sharing_trains_with_gradients(self, net: Supernet) -> None:
        """Check that a backward pass of the smallest subnet gives finite gradients.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        net.train()
        arch = net.space.smallest()
        net.activate(arch)
        net(*self.inputs(net, arch)).square().mean().backward()
        touched = [p for p in net.parameters() if p.grad is not None and bool((p.grad != 0).any())]
        assert touched and all(bool(torch.isfinite(p.grad).all()) for p in touched if p.grad is not None)

    def test_an_architecture_of_another_space_is_refused(self, net: Supernet) -> None:
        """Check that `activate` and `subnet` raise `SpaceError` that names the other space.

        Parameters
        ----------
        net : Supernet
            Fixture.
        """
        other = SearchSpace("elsewhere", [Choice("x", (1, 2))]).smallest()
        for use in (net.activate, net.subnet):
            with pytest.raises(SpaceError, match="elsewhere"):
                use(other)
