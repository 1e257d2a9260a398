"""Settings of certified accuracy (``[certified]``)."""

from __future__ import annotations

from pydantic import Field, field_validator

from hwsearch.campaigns.search_config import MOST_IMAGES, ConfigPart
from hwsearch.errors import BoundError


class CertifiedConfig(ConfigPart):
    """Claim that the objective ``verified_accuracy`` proves (``[certified]``).

    Attributes
    ----------
    epsilon : float or str
        Largest change of each pixel, as a share of the pixel range from 0 to 1: a number, or a fraction such as ``"2/255"``.
    images : int, optional
        Certify at most that many of the validation and of the test images, the first ones; by default all.
    """

    epsilon: float = Field(2 / 255, gt=0, le=1)
    images: int | None = Field(None, ge=10, le=MOST_IMAGES)

    @field_validator("epsilon", mode="before")
    @classmethod
    def _of_pixels(cls, value: object) -> float:
        try:
            from hwsearch.accuracy.certified import parse_epsilon  # late: it imports torch

            return parse_epsilon(value)
        except BoundError as error:
            raise ValueError(str(error)) from None
