"""The file of decoded images: equal to decoding, found again, and whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hwsearch.errors import DataError, OutputError
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageTask, Preprocess, decoded, from_folder
from hwsearch.tasks.images import data as images_module
from hwsearch.tasks.images.decoded import HEADER_BYTES, cache_folder, listing_key, mapped_images
from hwsearch.training import Sandwich, Trainer, TrainingConfig

N, SIDE = 20, 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty photos of different shapes in two classes."""
    rng = np.random.default_rng(0)
    for i in range(N):
        place = tmp_path / "photos" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        height, width = rng.integers(30, 60, 2)
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        small.resize((int(width), int(height))).save(place / f"{i}.jpg")
    return tmp_path / "photos"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where decoded images are kept, however few they are."""
    monkeypatch.setenv(decoded.VARIABLE, str(tmp_path / "kept"))
    monkeypatch.setattr(decoded, "LEAST_BYTES", 1)
    monkeypatch.setattr(decoded, "BLOCK", 8)
    return tmp_path / "kept"


def kept(place: Path) -> list[Path]:
    return sorted(place.glob("*.images")) if place.exists() else []


def read(folder: Path, crop: float = 1.0):
    return from_folder(folder, Preprocess(crop=crop))


def never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_module.ImageData, "_decode", lambda *_: pytest.fail("decoded again"))


def test_pixels_are_those_of_decoding_and_are_found_again(folder: Path, place: Path, monkeypatch) -> None:
    expected = read(folder).pixels(SIDE)
    data = read(folder)
    data.keep_for_training(SIDE)
    assert len(kept(place)) == 1 and np.array_equal(data.pixels(SIDE), expected) and not data._cache
    assert kept(place)[0].stat().st_size == HEADER_BYTES + N * SIDE * SIDE * 3 + 4 * 3
    never_decoded(monkeypatch)
    again = read(folder)
    again.keep_for_training(SIDE)
    indices = np.array([7, 3, 3, 19])
    assert np.array_equal(again.pixels_of(indices, SIDE), expected[indices])
    assert np.array_equal(again.take(indices).pixels(SIDE), expected[indices])
    x, y = next(again.batches(SIDE, 5))
    assert np.array_equal(x.numpy(), again.preprocess.tensor(expected[:5], SIDE).numpy())
    assert y.tolist() == again.labels[:5].tolist()


def test_a_folder_may_move_and_what_changes_is_decoded_again(folder: Path, place: Path) -> None:
    read(folder).keep_for_training(SIDE)
    moved = folder.rename(folder.parent / "moved")
    read(moved).keep_for_training(SIDE)
    assert len(kept(place)) == 1
    read(moved).keep_for_training(SIDE + 8)
    read(moved, crop=0.5).keep_for_training(SIDE)
    assert len(kept(place)) == 3
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(moved / "a" / "0.jpg")
    data = read(moved)
    data.keep_for_training(SIDE)
    assert len(kept(place)) == 4 and np.array_equal(data.pixels(SIDE), read(moved).pixels(SIDE))


def test_a_key_changes_with_name_size_time_order_and_how(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(b"one")
        os.utime(path, ns=(1, 1))
    first = listing_key(paths, tmp_path, side=8)
    assert first == listing_key(paths, tmp_path, side=8)
    others = {listing_key(paths[::-1], tmp_path, side=8), listing_key(paths, tmp_path, side=9)}
    os.utime(paths[0], ns=(2, 2))
    others.add(listing_key(paths, tmp_path, side=8))
    os.utime(paths[0], ns=(1, 1))
    assert listing_key(paths, tmp_path, side=8) == first
    paths[0].write_bytes(b"three")
    os.utime(paths[0], ns=(1, 1))
    others.add(listing_key(paths, tmp_path, side=8))
    assert len(others) == 4 and first not in others


def shortened(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flipped(path: Path, at: int = HEADER_BYTES + 10 * SIDE * SIDE * 3) -> None:
    with path.open("r+b") as stream:
        stream.seek(at)
        (value,) = stream.read(1)
        stream.seek(at)
        stream.write(bytes([value ^ 1]))


def of_another(path: Path) -> None:
    flipped(path, 40)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (shortened, "bytes in place of"),
        (flipped, "checksum of images 8 to 15 is wrong"),
        (of_another, "header is another"),
    ],
)
def test_a_damaged_file_is_made_again_and_that_is_said(folder: Path, place: Path, caplog, damage, said: str) -> None:
    read(folder).keep_for_training(SIDE)
    damage(kept(place)[0])
    data = read(folder)
    with caplog.at_level(logging.WARNING):
        data.keep_for_training(SIDE)
    assert said in caplog.text and "decoded again" in caplog.text
    assert np.array_equal(data.pixels(SIDE), read(folder).pixels(SIDE)) and len(kept(place)) == 1


def test_a_full_disk_is_said_and_leaves_nothing(folder: Path, place: Path, monkeypatch) -> None:
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OutputError, match=r"cannot be kept in .*No space left on device.*HWSEARCH_IMAGES=off"):
        read(folder).keep_for_training(SIDE)
    monkeypatch.undo()
    assert not kept(place)


def test_a_disk_that_fills_up_while_writing_leaves_nothing(place: Path) -> None:
    def parts():
        yield np.zeros((8, SIDE, SIDE, 3), np.uint8)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputError, match="No space left on device"):
        mapped_images(place, "key", N, SIDE, parts)
    assert [p.suffix for p in place.iterdir()] in ([], [".lock"])


@pytest.mark.parametrize(("code", "most"), [(errno.EACCES, 10**9), (errno.EROFS, 10**9), (errno.EACCES, 100)])
def test_a_folder_that_may_not_be_written_leaves_memory(
    folder: Path, place: Path, monkeypatch, caplog, code, most
) -> None:
    def refuse(path: Path) -> Path:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(decoded, "own_folder", refuse)
    monkeypatch.setattr(images_module, "CACHE_BYTES", most)
    data = read(folder)
    if most < N * SIDE**2:
        with pytest.raises(OutputError, match="Permission denied"):
            data.keep_for_training(SIDE)
        return
    with caplog.at_level(logging.WARNING):
        data.keep_for_training(SIDE)
    assert list(data._cache) == [SIDE] and os.strerror(code) in caplog.text and "into memory" in caplog.text


def test_an_image_that_cannot_be_decoded_is_named_and_nothing_is_kept(folder: Path, place: Path) -> None:
    (folder / "a" / "0.jpg").write_bytes(b"\xff\xd8\xffno image")
    with pytest.raises(DataError, match=r"a/0\.jpg"):
        read(folder).keep_for_training(SIDE)
    assert not kept(place)


def test_nothing_is_written_through_a_link(folder: Path, place: Path, tmp_path: Path) -> None:
    place.symlink_to(tmp_path)
    with pytest.raises(OutputError, match="is a link"):
        read(folder).keep_for_training(SIDE)


def test_few_images_too_many_and_such_in_memory_are_not_kept_in_files(
    folder: Path, place: Path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(decoded, "LEAST_BYTES", N * SIDE * SIDE * 3 + 1)
    few = read(folder)
    few.keep_for_training(SIDE)
    assert list(few._cache) == [SIDE]
    monkeypatch.setattr(decoded, "LEAST_BYTES", 1)
    monkeypatch.setattr(decoded, "MOST_BYTES", 100)
    monkeypatch.setattr(images_module, "CACHE_BYTES", 100)
    many = read(folder)
    with caplog.at_level(logging.WARNING):
        many.keep_for_training(SIDE)
    assert not many._cache and "decoded in every step" in caplog.text
    assert many.pixels_of(np.array([1]), SIDE).shape == (1, SIDE, SIDE, 3)
    monkeypatch.undo()
    monkeypatch.setenv(decoded.VARIABLE, "off")
    monkeypatch.setattr(decoded, "LEAST_BYTES", 1)
    assert cache_folder() is None
    off = read(folder)
    off.keep_for_training(SIDE)
    assert list(off._cache) == [SIDE] and not kept(place)


def test_a_judged_folder_is_kept_in_memory_only(folder: Path, place: Path) -> None:
    data = read(folder)
    data.keep(SIDE)
    assert list(data._cache) == [SIDE] and not kept(place)


def test_what_is_written_to_the_pixels_does_not_reach_the_file(folder: Path, place: Path) -> None:
    data = read(folder)
    data.keep_for_training(SIDE)
    before = kept(place)[0].read_bytes()
    data.pixels(SIDE)[:] = 0
    assert kept(place)[0].read_bytes() == before


@pytest.mark.slow
def test_a_training_at_224_pixels_is_the_same_from_the_file(tmp_path: Path, monkeypatch) -> None:
    """450 images of 224 pixels pass the least size: the weights after some steps are those of a training from memory."""
    monkeypatch.setenv(decoded.VARIABLE, str(tmp_path / "kept"))
    rng = np.random.default_rng(0)
    for i in range(450):
        place = tmp_path / "photos" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((300, 240)).save(place / f"{i}.jpg")
    config = MobileNetV3Config(
        "tiny", (Stage(8, 2, "relu", False),), 8, 2, 16, 16, 2, kernels=(3,), expansions=(1, 2), depths=(1, 2),
        resolutions=(160, 224),
    )  # fmt: skip
    weights = []
    for where in ("file", "file", "memory"):
        if where == "memory":
            monkeypatch.setenv(decoded.VARIABLE, "off")
        data, net = read(tmp_path / "photos", crop=0.875), ElasticMobileNetV3(config)
        init_weights(net, 0)
        settings = TrainingConfig(steps=3, batch=16, seed=0)
        Trainer(net, Sandwich(random=1), ImageTask(data.preprocess), data, settings, tmp_path / str(len(weights))).run()
        assert bool(data._maps) == (where == "file") != bool(data._cache)
        weights.append(net.state_dict())
    assert len(kept(tmp_path / "kept")) == 1
    assert all(torch.equal(w[name], weights[0][name]) for w in weights[1:] for name in w)


def test_the_folder_is_the_variables_or_the_users_cache(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv(decoded.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "hwsearch" / "images"
    monkeypatch.setenv(decoded.VARIABLE, str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
