"""Images beyond memory: decoded into shards once, and from there the very numbers that memory would have given."""

import os
import platform
import resource
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netspace.errors import DataError, ExecutionError
from netspace.files import ABANDONED
from netspace.training.data import SPLITS, DataChoice, load
from netspace.training.decoding import EncodedImage, Target
from netspace.training.decoding_shards import Room, decode_in_shards
from netspace.training.packs import check_packed, load_packed, open_packed, pack, reuse_or_load
from netspace.training.shards import Shard, Shards, read_ahead
from tests.training.conftest import alternating, png, write_table
from tests.training.shards import in_shards

SIDE = 4
PIXELS = np.arange(23 * SIDE * SIDE * 3).astype(np.uint8).reshape(23, SIDE, SIDE, 3)


def fill(folder):
    """Make an unsplit folder of two classes: 14 and 10 images, each its own."""
    for name, count in (("a", 14), ("b", 10)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng([number, count]).integers(0, 256, (5, 6, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "set")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder, and its pack in shards."""
    place = tmp_path_factory.mktemp("kept")
    fill(place / "set")
    load_packed(choice(place / "set"), place / "pack", room=small(place / "pack"))
    return place


def choice(folder, **fields):
    return DataChoice(name=f"folder:{folder}", resolution=SIDE, **fields)


def small(folder, **fields):
    """Room for five images in a shard, and none in memory."""
    return Room(**{"folder": folder, "most": 0, "shard_bytes": 5 * SIDE * SIDE * 3, "workers": 1} | fields)


def shard_files(folder):
    return sorted(folder.glob("decoded-*/*.npy"))


def same(one, other):
    for split in SPLITS:
        ours, theirs = getattr(one, split), getattr(other, split)
        assert np.array_equal(ours.images[:], theirs.images[:])
        assert np.array_equal(ours.labels, theirs.labels)
    for field in ("class_names", "mean", "std", "fingerprint", "notes", "source_key"):
        assert getattr(one, field) == getattr(other, field)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return in_shards(PIXELS, tmp_path_factory.mktemp("shards"), 5)


class TestShards:
    @settings(max_examples=50)
    @given(st.data())
    def test_are_indexed_like_an_array(self, shards, data):
        rows = data.draw(st.lists(st.integers(-23, 22), max_size=40).map(lambda rows: np.array(rows, np.int64)))
        for index in (rows, data.draw(st.slices(23)), data.draw(st.integers(-23, 22))):
            assert np.array_equal(shards[index], PIXELS[index])
            assert shards[index].shape == PIXELS[index].shape
        taken = shards.take(rows)
        assert (taken.shape, len(taken)) == (PIXELS[rows].shape, len(rows))
        assert np.array_equal(taken[::-1], PIXELS[rows][::-1])

    def test_reading_ahead_gives_every_batch_its_own_images(self, shards):
        batches = np.split(np.random.default_rng(0).permutation(23)[:20], 10)
        for place, chosen in enumerate(read_ahead(shards, batches)):
            assert chosen is batches[place]
            if place != 3:  # one that is not asked for is none of the next one's
                assert np.array_equal(shards[chosen], PIXELS[chosen])
            assert np.array_equal(shards[chosen], PIXELS[chosen])

    def test_what_was_read_ahead_of_an_epoch_cut_short_is_forgotten(self, shards):
        batches = read_ahead(shards, np.split(np.arange(20), 5))
        next(batches)
        assert len(shards._begun) == 3
        batches.close()
        assert shards._begun == {}

    def test_index_beyond_the_images(self, shards):
        with pytest.raises(IndexError):
            shards[23]

    @pytest.mark.parametrize("rows", [np.array([3, 23]), np.array([-1]), np.array([0.0]), np.zeros((2, 2), np.int64)])
    def test_rows_that_are_none_of_the_images(self, shards, rows):
        with pytest.raises(DataError, match="rows that are none of its 23 images"):
            Shards(shards.folder, shards.shards, rows)

    def test_places_beyond_32_bits(self, tmp_path):
        shape = (800, 1200, 1200, 3)  # 3.2 GiB, of which the disk holds one image
        with open(tmp_path / "large.npy", "wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.truncate(file.tell() + int(np.prod(shape)))
            file.seek(-1, os.SEEK_END)
            file.write(b"\7")
        shards = Shards(tmp_path, [Shard(file="large.npy", images=800, sha256="")])
        assert shards[np.array([799, 0])][:, -1, -1, -1].tolist() == [7, 0]


class TestFolder:
    @pytest.fixture
    def folder(self, kept):
        return kept / "set"

    @pytest.fixture
    def packed(self, kept, tmp_path):
        return Path(shutil.copytree(kept / "pack", tmp_path / "pack"))

    def test_the_numbers_are_those_of_memory(self, folder, packed):
        opened = open_packed(packed)
        assert isinstance(opened.training.images, Shards)
        assert [len(path.read_bytes()) > 0 for path in shard_files(packed)] == [True] * 5
        same(opened, load(choice(folder)))
        same(opened, load_packed(choice(folder), packed))  # what is packed is used, wherever it would go now
        check_packed(packed)

    def test_another_split_of_the_same_images_decodes_none(self, folder, packed):
        stamps = [path.stat().st_mtime_ns for path in shard_files(packed)]
        other = choice(folder, validation_share=0.4, training_share=0.5)
        same(load_packed(other, packed, room=small(packed)), load(other))
        assert [path.stat().st_mtime_ns for path in shard_files(packed)] == stamps
        assert len(list(packed.glob("*.npy"))) == 6

    def test_shards_of_no_use_are_removed(self, folder, packed):
        load_packed(choice(folder, grayscale=True), packed)
        assert list(packed.glob("decoded-*")) == []

    def test_another_folder_holds_a_pack_of_its_own(self, folder, packed, tmp_path):
        pack(open_packed(packed), tmp_path / "other")
        shutil.rmtree(packed)
        same(open_packed(tmp_path / "other"), load(choice(folder)))

    def test_a_changed_byte_is_found_when_asked_for_and_mended(self, folder, packed):
        path = shard_files(packed)[2]
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        open_packed(packed)
        with pytest.raises(DataError, match=f"^{path}: the packed data is damaged .*; remove the file, and it is made"):
            check_packed(packed)
        path.unlink()
        load_packed(choice(folder), packed, room=small(packed))
        check_packed(packed)

    def test_a_shard_cut_short_is_not_opened_and_mended(self, folder, packed):
        path = shard_files(packed)[1]
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DataError, match=f"the packed training split is damaged .*{path.name}"):
            open_packed(packed)
        assert path.stat().st_size < shard_files(packed)[0].stat().st_size
        load_packed(choice(folder), packed, room=small(packed))
        check_packed(packed)

    def test_a_record_leads_nowhere_else(self, packed):
        record = packed / "data.json"
        record.write_text(record.read_text().replace("decoded-", "../decoded-"))
        with pytest.raises(DataError, match=r"shards.file \(='../decoded-"):
            open_packed(packed)


class TestUnreadable:
    def test_in_the_middle_of_a_shard(self, folder, tmp_path):
        for name in ("a/03 bad.png", "b/05 bad.png"):
            (folder / name).write_bytes(b"no image")
        with pytest.raises(DataError) as in_memory:
            load(choice(folder))
        with pytest.raises(DataError) as in_shards:
            load_packed(choice(folder), tmp_path / "pack", room=small(tmp_path / "pack"))
        assert str(in_shards.value) == str(in_memory.value)
        assert "2 of 26 images cannot be read: a/03 bad.png (" in str(in_shards.value)
        assert not (tmp_path / "pack" / "data.json").exists()

        stamps = [path.stat().st_mtime_ns for path in shard_files(tmp_path / "pack")]
        skipping = choice(folder, skip_unreadable=True)
        same(load_packed(skipping, tmp_path / "pack", room=small(tmp_path / "pack")), load(skipping))
        assert [path.stat().st_mtime_ns for path in shard_files(tmp_path / "pack")] == stamps

    def test_a_whole_shard(self, folder, tmp_path):
        for number in range(8):
            (folder / "a" / f"0{number}.png").write_bytes(b"no image")
        skipping = choice(folder, skip_unreadable=True)
        same(load_packed(skipping, tmp_path / "pack", room=small(tmp_path / "pack")), load(skipping))


class Stopped(Exception):
    pass


class TestInterrupted:
    def test_goes_on_where_it_was(self, folder, tmp_path):
        def stop(done, total):
            assert (done, total) == (5, 24)
            raise Stopped

        with pytest.raises(Stopped):
            reuse_or_load(choice(folder), tmp_path, room=small(tmp_path, told=stop))
        first, *_ = shard_files(tmp_path)
        stamp = first.stat().st_mtime_ns
        killed = subprocess.Popen(["true"])
        killed.wait()
        ours = f".training-5-000008.npy.{platform.node()}.{killed.pid}.part"
        left = {".training-5-000003.npy.there.1.part": 2 * ABANDONED, ".a.npy.there.1.part": 0.0, ours: 0.0}
        for name, age in left.items():
            (first.parent / name).write_bytes(b"of a worker that was killed, or of one that writes")
            os.utime(first.parent / name, (time.time() - age,) * 2)
        said = []
        load_packed(choice(folder), tmp_path, room=small(tmp_path, told=lambda *told: said.append(told)))
        assert said in ([(10, 24), (15, 24), (20, 24), (24, 24)], [(15, 24), (20, 24), (24, 24)])
        assert first.stat().st_mtime_ns == stamp
        assert [path.name for path in first.parent.glob(".*")] == [".a.npy.there.1.part"]
        same(open_packed(tmp_path), load(choice(folder)))

    def test_disk_that_fills_up(self, folder, tmp_path):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # [bytes] of a file, here and in workers
        try:
            with pytest.raises(DataError) as caught:
                reuse_or_load(choice(folder), tmp_path / "pack", room=small(tmp_path / "pack"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert str(caught.value) == (
            f"folder:{folder}: the packed data cannot be written (File too large); make room, and run again: it goes on"
        )
        assert [path.name for path in (tmp_path / "pack").rglob("*") if path.is_file()] == []

    def test_disk_that_is_too_small(self, folder, tmp_path):
        huge = DataChoice(name=f"folder:{folder}", resolution=10_000_000)
        with pytest.raises(DataError, match=r"^.*/pack: 24 images of folder:.* take 6\d{6}.\d GiB, decoded, and only "):
            reuse_or_load(huge, tmp_path / "pack")

    def test_without_a_folder_it_is_refused(self, folder):
        with pytest.raises(DataError, match=r"24 images .* GiB that are decoded in memory; name a folder for them"):
            load(DataChoice(name=f"folder:{folder}", resolution=10_000_000))

    def test_a_worker_that_dies_is_told(self, tmp_path):
        deadly = EncodedImage(name="deadly", open=partial(os._exit, 3))
        splits = {"training": (1, lambda first, stop: [deadly])}
        with pytest.raises(ExecutionError, match=r"^set: an image decoder failed \(.* exit code 3\); run again"):
            decode_in_shards(
                splits, Target(resolution=SIDE), name="set", folder=tmp_path, key="0" * 32, room=small(tmp_path)
            )


class TestParquet:
    def test_the_numbers_are_those_of_memory(self, tmp_path):
        """Shards reach over row groups and files, and one row holds no image."""
        write_table(tmp_path / "set" / "train-0.parquet", alternating(7))
        cells = [{"bytes": png(50 + place), "path": None} for place in range(300)]
        cells[258] = {"bytes": None, "path": "elsewhere.png"}
        write_table(tmp_path / "set" / "train-1.parquet", alternating(300), images=cells, row_group_size=100)
        write_table(tmp_path / "set" / "test.parquet", alternating(4), start=100)
        asked = DataChoice(name=f"parquet:{tmp_path / 'set'}", resolution=SIDE, skip_unreadable=True)
        room = small(tmp_path / "pack", shard_bytes=70 * SIDE * SIDE * 3, workers=2)
        found = load_packed(asked, tmp_path / "pack", room=room)
        same(found, load(asked))
        assert len(shard_files(tmp_path / "pack")) == 6
        assert "train-1.parquet row 258 (its row holds no bytes)" in found.notes[0]
