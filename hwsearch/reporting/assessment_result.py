"""An assessed supernet on a campaign's page: read from the campaign's folder, checked, and put into words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwsearch._json import JsonObject
from hwsearch.reporting import words
from latency_tables.reading import ReadingError, parse_json, read_text

#: folder of an assessment within that of a campaign, and its result; nothing else is looked for
FOLDER, RESULT = "assessment", "assessment.json"
#: bytes of a result at most: 10,000 subnets have fewer
MOST_BYTES = 8 * 2**20

Text = Annotated[str, Field(max_length=2000)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e30, le=1e30)]
Count = Annotated[int, Field(ge=0, le=10**15)]


class _Part(BaseModel):
    """A part of a result: kinds are exact, and what the page does not show is left out."""

    model_config = ConfigDict(strict=True, extra="ignore")


class _Score(_Part):
    name: Text
    unit: Text
    label: Text


class _Estimate(_Part):
    value: Number | None
    low: Number | None
    high: Number | None


class _Known(_Estimate):
    value: Number


class _Band(_Part):
    band: Count
    macs_low: Annotated[Number, Field(gt=0)]
    macs_high: Annotated[Number, Field(gt=0)]
    subnets: Count
    score: _Known
    worst: Number
    best: Number
    excess_loss: _Estimate


class _Subnet(_Part):
    band: Count
    macs: Annotated[Number, Field(gt=0)]
    score: Number
    standalone: Number | None
    standalone_se: Number | None
    gap: Number | None


class _Conflict(_Part):
    batches: Count
    smallest_largest: _Estimate | None
    all_pairs: _Estimate
    negative_share: Number | None


class _Advice(_Part):
    strategy: Text
    sentence: Text


class Assessed(_Part):
    """Result of `hwsearch.assess_supernet`, as far as a campaign's page shows it.

    Attributes
    ----------
    digest : str
        Of the weights.
    score, bands, subnets, conflict, gap, gap_large_over_small, rank_correlation, advice
        As there.
    difference_unit, data, examples, examples_name, trained_by, passes, created
        As there.
    """

    digest: Text
    score: _Score
    difference_unit: Text
    data: Text
    examples: Count
    examples_name: Text
    trained_by: Annotated[list[Text], Field(max_length=100)]
    bands: Annotated[list[_Band], Field(min_length=1, max_length=200)]
    subnets: Annotated[list[_Subnet], Field(min_length=1, max_length=10_000)]
    conflict: _Conflict
    passes: Count | None
    gap: _Estimate | None
    gap_large_over_small: _Estimate | None
    rank_correlation: _Estimate | None
    advice: _Advice
    created: Text


def read_assessment(folder: Path, digest: str) -> JsonObject:
    """Read the assessment of a campaign's supernet, where its folder holds one.

    Nothing is followed or executed: a link is not read, and what is no assessment, or one of other weights, is not shown.

    Parameters
    ----------
    folder : Path
        Of the campaign; the assessment is ``assessment/assessment.json`` below it.
    digest : str
        Of the campaign's weights.

    Returns
    -------
    dict of str to object
        The values of `Assessed`; ``note`` alone, a sentence, where there is a file that is not shown; empty without one.
    """
    place = folder / FOLDER / RESULT
    shown = f"{FOLDER}/{RESULT}"
    if place.is_symlink() or place.parent.is_symlink():
        return {"note": f"{shown} is not shown: it lies behind a link."}
    if not place.is_file():
        return {}
    try:
        if place.stat().st_size > MOST_BYTES:
            return {"note": f"{shown} is not shown: it is larger than {MOST_BYTES // 2**20} MiB."}
        found = Assessed.model_validate(parse_json(read_text(place)))
    except (ReadingError, OSError) as error:
        return {"note": f"{shown} is not shown: it cannot be read ({_first_line(error)})."}
    except ValidationError as error:
        at = ".".join(str(part) for part in error.errors()[0]["loc"])
        return {"note": f"{shown} is not shown: {at or 'the whole'} is not what hwsearch assess-supernet writes."}
    if found.digest != digest:
        return {
            "note": f"{shown} is not shown: it is of the weights {found.digest[:16]}, and this campaign's are {digest[:16]}."
        }
    return found.model_dump()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def estimate_words(estimate: JsonObject | None, places: int = 2, unit: str = "") -> str:
    """Write an estimate with its interval.

    Parameters
    ----------
    estimate : dict or None
        ``value``, ``low`` and ``high``; a dash where it was not measured.
    places : int
        Decimals.
    unit : str
        Behind the value.

    Returns
    -------
    str
        For example ``0.41 (0.32 to 0.50)``.

    Examples
    --------
    >>> estimate_words({"value": 0.4, "low": -0.1, "high": 0.9}, 1, "pt")
    '0.4 pt (−0.1 to 0.9)'
    """
    if not estimate or not words.finite(estimate.get("value")):
        return words.MISSING
    low, high = estimate.get("low"), estimate.get("high")
    text = f"{estimate['value']:.{places}f}{' ' + unit if unit else ''}"
    if words.finite(low) and words.finite(high):
        text += f" ({low:.{places}f} to {high:.{places}f})"
    return text.replace("-", "\N{MINUS SIGN}")


def band_lines(result: JsonObject) -> list[dict[str, str]]:
    """Make the rows of the table of bands.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.

    Returns
    -------
    list of dict
        Texts by column.
    """
    unit = percent_mark(result)
    return [
        {
            "macs": f"{words.scaled(b['macs_low'])} to {words.scaled(b['macs_high'])}",
            "subnets": str(b["subnets"]),
            "score": estimate_words(b["score"], 1, unit),
            "range": f"{b['worst']:.1f} to {b['best']:.1f}",
            "excess": estimate_words(b["excess_loss"], 3),
            "gap": _gap_of(result, b["band"]),
        }
        for b in result["bands"]
    ]


def percent_mark(result: JsonObject) -> str:
    """Get the unit of the score.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.

    Returns
    -------
    str
        ``%``, or empty.
    """
    return str(result["score"]["unit"])


def _gap_of(result: JsonObject, band: int) -> str:
    gaps = [r["gap"] for r in result["subnets"] if r["band"] == band and r["gap"] is not None]
    mean = f"{sum(gaps) / len(gaps):+.1f} ({len(gaps)})" if gaps else words.MISSING
    return mean.replace("-", "\N{MINUS SIGN}")


def figure_pairs(result: JsonObject) -> list[tuple[str, str]]:
    """Make the list of figures that tell what sharing costs.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.

    Returns
    -------
    list of tuple of str
        Name and value, those of probes only where there are any.
    """
    conflict, unit = result["conflict"], result["difference_unit"]
    figures = [
        ("Cosine, smallest and largest subnet", estimate_words(conflict["smallest_largest"])),
        ("Cosine, mean of all pairs compared", estimate_words(conflict["all_pairs"])),
        ("Pairs that point apart", words.percent_of(conflict["negative_share"])),
    ]
    if any(r["standalone"] is not None for r in result["subnets"]):
        figures += [
            ("Gap to stand-alone training, mean", estimate_words(result["gap"], 1, unit)),
            ("The same, larger minus smaller probes", estimate_words(result["gap_large_over_small"], 1, unit)),
            ("Rank correlation (Kendall's τ)", estimate_words(result["rank_correlation"])),
        ]
    return figures
