"""Further tasks on the backbone of a campaign (``[[task]]``)."""

from __future__ import annotations

from pydantic import Field

from hwsearch.campaigns.search_config import ConfigPart

#: names of tasks, which are also those of files
TASK_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
#: folder of the backbone within that of the campaign
BACKBONE = "backbone"


class TaskConfig(ConfigPart):
    """A task that the campaign's largest subnet learns besides its own, as a mask over its weights (``[[task]]``).

    Names and defaults are those of `hwsearch.add_task`.

    Attributes
    ----------
    name : str
        Letters, digits, dots, dashes and underscores.
    data : str
        A data set with splits ``train`` and ``test``: a folder, or a parquet file. Its classes are the task's.
    folder : str, optional
        Where the backbone and its tasks lie; by default ``backbone`` in the campaign's folder.
    density : float
        Share of each layer's weights that it uses.
    epochs : int
        Passes over the training examples, for mask and weights together.
    steps : int, optional
        Steps of the whole training, in place of `epochs`.
    weight_share : float
        Share of the steps that train weights; 0 trains the mask alone.
    batch : int
        Examples a step.
    lr : float
        Peak learning rate of the mask's scores.
    weight_lr : float
        Peak learning rate of weights.
    weight_decay : float
        Decay of the weights that are trained.
    padding : int
        Images: zero padding of the random crop.
    transfer : bool
        Start from the earlier mask that suits the data best.
    seed : int
        Of all randomness.
    export : bool
        Write its network to ``models/tasks/NAME.onnx``, with a card.
    """

    name: str = Field(pattern=TASK_NAME)
    data: str = Field(min_length=1)
    folder: str | None = None
    density: float = Field(0.1, gt=0, le=1)
    epochs: int = Field(20, ge=1, le=1_000_000)
    steps: int | None = Field(None, ge=1, le=10**9)
    weight_share: float = Field(0.5, ge=0, le=1)
    batch: int = Field(64, ge=2, le=100_000)
    lr: float = Field(0.01, gt=0, lt=10)
    weight_lr: float = Field(0.001, gt=0, lt=10)
    weight_decay: float = Field(0.0, ge=0, le=1e3)
    padding: int = Field(4, ge=0, le=1000)
    transfer: bool = True
    seed: int = Field(0, ge=0, le=2**31)
    export: bool = False
