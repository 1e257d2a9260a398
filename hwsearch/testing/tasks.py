"""Conformance of tasks: subclass, say how yours is made, and let pytest run it.

from hwsearch.testing import TaskConformance

class TestMine(TaskConformance):
    def make(self): return MyTask()
    def data(self): return my_twenty_examples
    def net(self): return a_small_network
"""

from __future__ import annotations

import json
from abc import abstractmethod

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwsearch.errors import DataError, MeasurementError
from hwsearch.tasks.base import Augmentation, Task
from hwsearch.tasks.data import Data, Inputs, forward
from hwsearch.tasks.score import Score


def _same(a: Inputs, b: Inputs) -> bool:
    """Tell whether two batches are equal."""
    pairs = zip((a,) if isinstance(a, Tensor) else a, (b,) if isinstance(b, Tensor) else b, strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


class TaskConformance:
    """Conformance suite of `Task`, its `Data` and its `Score`: their promises as tests, one a method.

    Subclass it, implement `make`, `data` and `net`, and let pytest collect the subclass. Use a small network and few
    examples: all tests run in seconds.

    Attributes
    ----------
    size : int
        Input size at which the examples are prepared.
    """

    size: int = 16

    @abstractmethod
    def make(self) -> Task:
        """Make the task.

        Returns
        -------
        Task
            A new instance.
        """

    @abstractmethod
    def data(self) -> Data:
        """Make a data set of this task.

        Returns
        -------
        Data
            Ten to a hundred examples, all different; equal at every call.
        """

    @abstractmethod
    def net(self) -> nn.Module:
        """Make a network that the task can evaluate on `data` at `size`.

        Returns
        -------
        torch.nn.Module
            A small network, with the same weights at every call.
        """

    def training_net(self) -> nn.Module:
        """Make a network that takes the inputs of a training batch; the one of `net` unless overridden.

        Returns
        -------
        torch.nn.Module
            A small network whose parameters have gradients.
        """
        return self.net()

    def test_names_and_units_are_set(self) -> None:
        """Messages, cards and plots find their words."""
        task = self.make()
        for noun in ("name", "examples", "score_name", "score_label", "score_key", "score_field"):
            word = getattr(task, noun)
            assert isinstance(word, str) and word, f"`{noun}` must be a text, got {word!r}"
        assert isinstance(task.score_unit, str), f"score_unit must be a text, perhaps empty, got {task.score_unit!r}"
        assert task.small_difference > 0
        assert task.score_key.isascii() and " " not in task.score_key
        json.dumps([task.preprocess.to_dict(), task.describe_size(self.size)])

    def test_data_are_selected_in_order(self) -> None:
        """`take` and `head` keep the order asked for; nothing is no data set."""
        data = self.data()
        n = len(data)
        assert n >= 10 and len(data.head(3)) == 3 and len(data.head(10 * n)) == n
        keys = [data.key(i) for i in range(n)]
        assert len(set(keys)) == n, "`data` must hold different examples, and `key` must tell them apart"
        part = data.take(np.array([5, 0, 2]))
        assert isinstance(part, Data), f"`take` must return a data set, got {type(part).__name__}"
        assert [part.key(i) for i in range(3)] == [keys[5], keys[0], keys[2]]
        assert part.classes == data.classes and part.name == data.name
        with pytest.raises(DataError):
            data.take(np.empty(0, np.int64))

    def test_what_occurs_elsewhere_is_left_out(self) -> None:
        """`without` finds shared examples, and refuses to leave nothing."""
        data = self.data()
        rest = data.without([data.head(4)])
        assert len(rest) == len(data) - 4 and rest.key(0) == data.key(4)
        with pytest.raises(DataError):
            data.without([data])

    def test_the_digest_tells_data_apart(self) -> None:
        """Equal data have equal digests; fewer or reordered examples another one."""
        data = self.data()
        assert data.digest == self.data().digest, "the digest of equal data differs: make it of the content alone"
        assert len(data.digest) == 12, f"the digest must have 12 characters, got {len(data.digest)}"
        order = np.arange(len(data))[::-1].copy()
        apart = len({data.digest, data.head(3).digest, data.take(order).digest}) == 3
        assert apart, "fewer or reordered examples have the same digest: hash inputs and targets, in order"

    def test_batches_hold_every_example_once(self) -> None:
        """Batches come in order, the last one perhaps smaller, and are the same when asked for again."""
        data = self.data()
        counts = [len(y) for _, y in data.batches(self.size, 4)]
        assert sum(counts) == len(data), f"`batches` gives {sum(counts)} of {len(data)} examples"
        assert set(counts[:-1]) == {4}, f"`batches(size, 4)` gives batches of {counts} examples, not of 4"
        data.keep(self.size)
        for (x, y), (again, labels) in zip(data.batches(self.size, 4), data.batches(self.size, 4), strict=True):
            assert _same(x, again) and torch.equal(y, labels), "`batches` gives other examples when asked again"

    def test_a_score_is_finite_and_repeats(self) -> None:
        """Two evaluations agree, whatever the batch; the network keeps its mode."""
        task, data, net = self.make(), self.data(), self.net()
        net.train()
        score = task.evaluate(net, data, self.size, batch=4)
        assert isinstance(score, Score), f"`evaluate` must return a Score, such as a BootstrapScore, got {score!r}"
        assert net.training, "`evaluate` left the network in evaluation mode: restore the mode it had"
        again = task.evaluate(net, data, self.size, batch=len(data))
        assert score.n == len(data) and np.isfinite([score.value, score.standard_error]).all()
        assert score.standard_error >= 0
        assert score.value == pytest.approx(again.value, rel=1e-4, abs=1e-4)
        assert task.no_better_than(score.value, score.standard_error, data) is None or isinstance(
            task.no_better_than(score.value, score.standard_error, data), str
        )

    def test_a_stored_score_is_the_same_score(self) -> None:
        """`pack` and `unpack` are inverse; a record of another length is refused."""
        task, data = self.make(), self.data()
        score = task.evaluate(self.net(), data, self.size)
        record = score.pack()
        found = task.unpack(record, score.n)
        assert found.value == score.value and found.pack() == record
        for broken in (b"", record[:-1], record + b"x"):
            with pytest.raises(MeasurementError):
                task.unpack(broken, score.n)

    def test_scores_join_and_split(self) -> None:
        """The score of two parts is that of the whole."""
        task, data = self.make(), self.data()
        net = self.net()
        whole = task.evaluate(net, data, self.size)
        parts = [task.evaluate(net, p, self.size) for p in (data.head(4), data.take(np.arange(4, len(data))))]
        assert parts[0].joined(parts[1]).value == pytest.approx(whole.value, rel=1e-4, abs=1e-4)
        assert whole.head(4).value == pytest.approx(parts[0].value, rel=1e-4, abs=1e-4)

    def test_differences_are_paired(self) -> None:
        """A score does not differ from itself, and other numbers of examples are refused."""
        task, data = self.make(), self.data()
        score = task.evaluate(self.net(), data, self.size)
        assert score.difference(score) == (0.0, 0.0)
        with pytest.raises(MeasurementError):
            score.difference(score.head(3))

    def test_right_answers_make_the_score(self) -> None:
        """Where the task counts right answers, their share is the score; elsewhere there are none."""
        task, data = self.make(), self.data()
        score = task.evaluate(self.net(), data, self.size)
        if task.counts_correct:
            assert score.correct.shape == (len(data),) and score.value == pytest.approx(100 * score.correct.mean())
        else:
            with pytest.raises(MeasurementError):
                _ = score.correct

    def test_outputs_that_are_not_numbers_are_refused(self) -> None:
        """A network whose weights are NaN has no score."""
        net = self.net()
        with torch.no_grad():
            for p in net.parameters():
                p.fill_(float("nan"))
        with pytest.raises(MeasurementError):
            self.make().evaluate(net, self.data(), self.size)
            pytest.fail("`evaluate` scored outputs that are NaN: raise a MeasurementError")

    def test_training_batches_depend_on_the_generator_alone(self) -> None:
        """One batch twice from equal generators is the same, at the inputs' size and with the examples' targets."""
        task, data = self.make(), self.data()
        indices = np.array([3, 1, 4])
        for augmentation in (Augmentation(), Augmentation(crop_padding=1), Augmentation(mirror=False)):
            (x, y), (again, labels) = (
                task.training_batch(data, indices, self.size, np.random.default_rng(0), augmentation) for _ in range(2)
            )
            assert _same(x, again) and torch.equal(y, labels) and len(y) == 3
        plain = next(data.take(indices).batches(self.size, 3))
        assert torch.equal(plain[1], y) and _same(plain[0], x)

    def test_losses_train(self) -> None:
        """Both losses are finite scalars with gradients; a step along the gradient lowers the loss."""
        task, data, net = self.make(), self.data(), self.training_net()
        rng = np.random.default_rng(0)
        x, y = task.training_batch(data, np.arange(8), self.size, rng, Augmentation(mirror=False))
        net.eval()  # no dropout between the two losses
        before = task.loss(forward(net, x), y)
        assert before.shape == (), f"`loss` must return the mean, a scalar, got shape {tuple(before.shape)}"
        before.backward()  # type: ignore[no-untyped-call]
        norm = sum(float((p.grad**2).sum()) for p in net.parameters() if p.grad is not None)
        assert np.isfinite(norm) and norm > 0, f"the gradient of `loss` has the squared norm {norm}"
        with torch.no_grad():
            for p in net.parameters():
                if p.grad is not None:
                    p.sub_(p.grad, alpha=1e-3 / norm**0.5)
            assert float(task.loss(forward(net, x), y)) < float(before)
        outputs = forward(net, x)
        loss = task.distillation_loss(outputs, 0.5 * outputs.detach(), y)
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.shape == () and bool(torch.isfinite(loss))

    def test_resizing_to_the_same_size_changes_nothing(self) -> None:
        """The largest subnet's own inputs stay as they are."""
        task, data = self.make(), self.data()
        x, _ = next(data.batches(self.size, 4))
        assert _same(task.resize(x, self.size), x)
