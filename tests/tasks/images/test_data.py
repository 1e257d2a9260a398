"""Data sets from arrays, folders and parquet files, and what is said when one is not what it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hwsearch.errors import DataError
from hwsearch.tasks.images import ImageData, Preprocess, from_arrays, from_folder
from tests.tasks.images.pictures import PLAIN, picture, png


# ---------------------------------------------------------------------- preprocessing
@pytest.mark.parametrize(
    ("width", "height", "side", "crop", "resized", "corner"),
    [
        # size after Resize and corner of CenterCrop, by the rules of torchvision 0.28's functional transforms
        (500, 375, 224, 0.875, (341, 256), (58, 16)),
        (375, 500, 224, 0.875, (256, 341), (16, 58)),
        (500, 333, 224, 0.875, (384, 256), (80, 16)),
        (500, 331, 224, 0.875, (386, 256), (81, 16)),
        (640, 427, 160, 0.875, (274, 183), (57, 12)),
        (12, 10, 8, 1.0, (9, 8), (0, 0)),
        (9, 31, 7, 0.5, (14, 48), (4, 20)),
        (8, 8, 8, 1.0, (8, 8), (0, 0)),
    ],
)
def test_preprocessing_is_resize_crop_and_normalise(
    width: int, height: int, side: int, crop: float, resized: tuple[int, int], corner: tuple[int, int]
) -> None:
    prep = Preprocess(PLAIN.mean, PLAIN.std, crop)
    image = Image.fromarray(picture(0, width, height))
    grid = np.asarray(image.resize(resized, Image.Resampling.BILINEAR)).astype(np.float64)
    left, top = corner
    cropped = grid[top : top + side, left : left + side]
    pixels = prep.pixels(image, side)
    assert pixels.dtype == np.uint8 and np.array_equal(pixels, cropped)
    expected = ((cropped / 255 - np.array(prep.mean)) / np.array(prep.std)).transpose(2, 0, 1)
    x = prep.normalise(pixels[None])
    assert x.shape == (1, 3, side, side) and x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(x[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_any_kind_of_image_becomes_rgb(mode: str) -> None:
    image = Image.fromarray(picture(1)).convert(mode)
    assert np.array_equal(PLAIN.pixels(image, 10), PLAIN.pixels(image.convert("RGB"), 10))


@pytest.mark.parametrize("wrong", [{"crop": 0.0}, {"crop": 1.5}, {"std": (0.2, 0.0, 0.2)}, {"mean": (0.5,)}])
def test_impossible_preprocessing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError):
        Preprocess(**wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- arrays
def arrays(n: int = 7) -> ImageData:
    images = np.stack([picture(i, 8, 8) for i in range(n)])
    return from_arrays(images, np.arange(n) % 3, ("a", "b", "c"), PLAIN)


def test_batches_hold_every_image_once_in_order() -> None:
    data = arrays()
    for batch in (1, 3, 7, 100):
        parts = list(data.batches(8, batch))
        assert [len(y) for _, y in parts] == [batch] * (7 // batch) + [7 % batch] * (7 % batch > 0)
        assert torch.cat([y for _, y in parts]).tolist() == [0, 1, 2, 0, 1, 2, 0]
        x = torch.cat([x for x, _ in parts])
        assert torch.equal(x, PLAIN.normalise(np.stack(list(data.images))))  # type: ignore[arg-type]


def test_head_and_slice_keep_the_order() -> None:
    data = arrays()
    for part, start, stop in ((data.head(3), 0, 3), (data.slice(2, 5), 2, 5), (data.head(99), 0, 7)):
        assert len(part) == stop - start and part.classes == data.classes
        assert np.array_equal(part.labels, data.labels[start:stop])
        assert np.array_equal(part.pixels(8), data.pixels(8)[start:stop])
    with pytest.raises(DataError, match="no images"):
        data.head(0)


def test_the_digest_sees_every_image_and_label() -> None:
    data = arrays()
    digests = {data.digest, data.head(6).digest}
    labels = data.labels.copy()
    labels[6] = 1
    digests.add(ImageData(data.images, labels, data.classes, PLAIN).digest)
    other = np.stack(list(data.images))  # type: ignore[arg-type]
    other[6, 7, 7, 2] ^= 1
    digests.add(from_arrays(other, data.labels, data.classes, PLAIN).digest)
    assert len(digests) == 4 and arrays().digest == data.digest


@pytest.mark.parametrize(
    "images", [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 3, 8, 8), np.uint8), np.zeros((2, 8, 8, 3), np.float32)]
)
def test_arrays_of_another_form_are_refused(images: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"expected uint8 images \(N, H, W, 3\)"):
        from_arrays(images, np.zeros(2, np.int64), ("a",), PLAIN)


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 1, 3], "label 3, but 3 classes"), ([0, -1, 2], "label -1, but 3 classes"), ([0, 1], "3 images but 2 labels")],
)
def test_labels_that_do_not_fit_are_refused(labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_arrays(np.zeros((3, 8, 8, 3), np.uint8), np.array(labels), ("a", "b", "c"), PLAIN)


# ---------------------------------------------------------------------- broken images
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_image_is_an_error_with_its_number_or_still_an_image(data: st.DataObject) -> None:
    encoded = bytearray(png(picture(3)))
    if data.draw(st.booleans()):
        encoded = encoded[: data.draw(st.integers(0, len(encoded) - 13))]
    else:
        encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    images = ImageData([png(picture(2)), bytes(encoded)], np.array([0, 0]), ("a",), PLAIN)
    try:
        pixels = images.pixels(8)
    except DataError as error:
        assert "image 1 of 'images' cannot be decoded" in str(error)
    else:
        assert pixels.shape == (2, 8, 8, 3)


@pytest.mark.parametrize("wrong", [b"", b"not an image", png(picture(3))[:60], png(picture(3))[:-40]])
def test_a_corrupt_image_is_an_error(wrong: bytes) -> None:
    data = ImageData([png(picture(2)), wrong], np.array([0, 0]), ("a",), PLAIN, "mine")
    with pytest.raises(DataError, match="image 1 of 'mine' cannot be decoded"):
        data.pixels(8)


# ---------------------------------------------------------------------- more images than memory is meant for
@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for i in range(9):
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(
                tmp_path / "set" / label / f"{i}.png"
            )
    return tmp_path / "set"


@pytest.mark.parametrize("base", [None, 14])
def test_images_that_are_not_kept_give_the_same_batches(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, base: int | None
) -> None:
    prepare = Preprocess(crop=0.875, base=base)
    kept, streamed = from_folder(pictures, prepare), from_folder(pictures, prepare)
    expected = [*kept.batches(16, 5)]
    monkeypatch.setattr("hwsearch.tasks.images.data.CACHE_BYTES", 0)
    found = [*streamed.batches(16, 5)]
    assert kept._cache and not streamed._cache
    assert [len(y) for _, y in found] == [5, 5, 5, 3]
    for (x, y), (u, v) in zip(found, expected, strict=True):
        assert torch.equal(x, u) and torch.equal(y, v)
    assert (streamed.pixels(16) == kept.pixels(16)).all() and not streamed._cache


def test_the_side_not_used_for_longest_makes_room(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = from_folder(pictures, Preprocess())
    monkeypatch.setattr("hwsearch.tasks.images.data.CACHE_BYTES", 2 * len(data) * 3 * 16**2)
    data.pixels(16), data.pixels(12), data.pixels(16), data.pixels(14)
    assert list(data._cache) == [16, 14] or list(data._cache) == [14]
    assert sum(p.nbytes for p in data._cache.values()) <= 2 * len(data) * 3 * 16**2


def test_files_are_read_when_they_are_used(pictures: Path) -> None:
    data = from_folder(pictures, Preprocess())
    some = data.take(np.array([3, 0, 7])).head(2)
    assert [*map(bytes, some.images)] == [data.images[3], data.images[0]]
    gone = Path(data.names[3])
    content = gone.read_bytes()
    gone.unlink()
    with pytest.raises(DataError, match=f"cannot read image '{gone}'"):
        some.pixels(8)
    gone.write_bytes(content[:40])
    with pytest.raises(DataError, match=r"image '.*png' of 'set' cannot be decoded"):
        [*data.batches(8, 4)]


def test_digest_of_a_folder_follows_its_contents(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = lambda: from_folder(pictures, Preprocess()).digest  # noqa: E731
    before = read()
    in_memory = from_folder(pictures, Preprocess())
    assert before == ImageData([*in_memory.images], in_memory.labels, in_memory.classes).digest
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(pictures / "a" / "0.png")
    assert read() != before
    monkeypatch.setattr("hwsearch.tasks.images.data.DIGEST_FILES", 3)  # names and sizes, then
    large = read()
    Image.fromarray(np.zeros((30, 24, 3), np.uint8)).save(pictures / "a" / "0.png")
    assert read() != large
