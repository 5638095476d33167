"""Photos in Parquet files: what goes in comes out, whoever reads it, whatever stops the writing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plantset.core.errors import ConfigError, DataError
from plantset.core.photo import PhotoError
from plantset.core.records import iter_splits, read_records
from plantset.core.shards import ShardPhotos, check_shards, open_photos, read_index
from plantset.data import shard as shard_module
from plantset.data.batch import Batch
from plantset.data.broken import skip_broken
from plantset.data.config import ShardConfig
from plantset.data.module import create_data_module
from plantset.data.photos import photo_digests, photos_of
from plantset.data.shard import ShardReport, shard
from tests.fake_leaves import CLASS_IDS, write_leaves

parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 24 kB and row groups of 8 kB: a handful of tiny photos each."""
    monkeypatch.setattr(shard_module, "_MB", 24_000)
    monkeypatch.setattr(shard_module, "ROW_GROUP_BYTES", 8_000)


@pytest.fixture(scope="module")
def shards(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_module, "_MB", 24_000)
        patch.setattr(shard_module, "ROW_GROUP_BYTES", 8_000)
        _shard(manifest, folder)
    return folder


def _shard(manifest: Path, folder: Path) -> ShardReport:
    return shard(ShardConfig(jsonl_file=manifest, output_dir=folder, shard_mb=1))


def _contents(folder: Path) -> dict[str, str]:
    """Return the digest of every file under the folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_record_comes_back_as_it_was_split_by_split(manifest: Path, shards: Path) -> None:
    expected = [record for _, rows in iter_splits(read_records(manifest)) for record in rows]

    records, folder = open_photos(shards)

    assert folder == shards
    assert [record.shard_row for record in records] == list(range(56))
    assert [dataclasses.replace(record, shard_row=None) for record in records] == expected


def test_photos_of_a_class_share_its_texts_in_memory(shards: Path) -> None:
    records, _ = open_photos(shards / "index.json")

    assert len({id(record.texts) for record in records}) == len(CLASS_IDS)


def test_every_photo_comes_back_byte_for_byte_in_any_order(manifest: Path, shards: Path) -> None:
    records, folder = open_photos(shards)
    shuffled = [records[at] for at in np.random.default_rng(0).permutation(len(records))]

    photos = photos_of(shuffled, folder)

    for at, record in enumerate(shuffled):
        assert photos[at] == (manifest.parent / "images" / record.image_path).read_bytes()


def test_what_is_written_is_counted_and_its_digests_are_those_of_the_files(manifest: Path, shards: Path) -> None:
    index = read_index(shards)

    assert len(index.files) > 3
    assert index.num_photos == sum(file.rows for file in index.files) == 56
    assert index.classes == CLASS_IDS
    for file in index.files:
        path = shards / file.name
        assert (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) == (file.bytes, file.sha256)
        assert parquet.read_metadata(path).num_rows == file.rows


def test_a_photo_has_the_same_digest_in_a_shard_as_in_its_file(manifest: Path, shards: Path, tmp_path: Path) -> None:
    records, folder = open_photos(shards)
    files = photos_of([dataclasses.replace(record, shard_row=None) for record in records], manifest.parent / "images")

    digests = photo_digests(photos_of(records, folder), tmp_path / "unused.json")

    assert digests == photo_digests(files, tmp_path / "memory.json")


def _same(left: Batch, right: Batch) -> bool:
    pairs = [(getattr(left, field.name), getattr(right, field.name)) for field in dataclasses.fields(Batch)]
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_training_sees_the_same_batches_from_shards_as_from_files(
    manifest: Path, shards: Path, num_workers: int
) -> None:
    from_files = create_data_module(manifest, None, 5, 24, 30, num_workers=0)
    from_shards = create_data_module(shards, None, 5, 24, 30, num_workers=num_workers)

    for one, other in zip(
        from_files.train_dataloader(epoch=2, start=10), from_shards.train_dataloader(epoch=2, start=10), strict=True
    ):
        assert _same(one, other)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world_size=st.integers(1, 5), share=st.integers(1, 4), seen=st.integers(0, 32))
def test_any_number_of_processes_reads_each_photo_once_and_none_that_was_seen(
    shards: Path, world_size: int, share: int, seen: int
) -> None:
    module = create_data_module(shards, None, share * world_size, 8, 30, num_workers=0)
    whole = [key.index for keys in module.train_sampler(epoch=1) for key in keys if not key.is_padding]

    read: list[int] = []
    for rank in range(world_size):
        loader = dataclasses.replace(module.loader, rank=rank, world_size=world_size)
        for batch in dataclasses.replace(module, loader=loader).train_dataloader(epoch=1, start=seen):
            read += batch.indices_B[batch.weights_B > 0].tolist()

    assert sorted(read) == sorted(whole[seen:])


@pytest.mark.parametrize("stop_after", [1, 4])
def test_a_run_stopped_anywhere_and_run_again_leaves_the_bytes_of_one_that_was_not(
    manifest: Path, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    written: list[str] = []
    write_file = shard_module._write_file

    def write_or_die(folder: Path, plan: shard_module._Plan, images_dir: Path) -> object:
        if len(written) == stop_after:
            raise KeyboardInterrupt
        written.append(plan.name)
        return write_file(folder, plan, images_dir)

    monkeypatch.setattr(shard_module, "_write_file", write_or_die)
    with pytest.raises(KeyboardInterrupt):
        _shard(manifest, tmp_path / "out")
    monkeypatch.setattr(shard_module, "_write_file", write_file)
    report = _shard(manifest, tmp_path / "out")

    assert report.num_kept == stop_after
    assert _contents(tmp_path / "out") == _contents(shards)


def test_running_again_writes_no_shard(manifest: Path, tmp_path: Path) -> None:
    first = _shard(manifest, tmp_path)

    again = _shard(manifest, tmp_path)

    assert (again.num_written, again.num_kept) == (0, first.num_written)


def test_a_photo_that_changed_in_place_makes_its_file_anew_and_no_other(tmp_path: Path) -> None:
    manifest = write_leaves(tmp_path, (("train", 12),), classes=CLASS_IDS[:2])
    first = _shard(manifest, tmp_path / "out")
    photo = tmp_path / "images" / f"{CLASS_IDS[0]}_train_0.jpg"
    changed = bytearray(photo.read_bytes())
    changed[-3] ^= 1
    photo.write_bytes(changed)
    future = photo.stat().st_mtime_ns + 10_000_000_000
    os.utime(photo, ns=(future, future))

    again = _shard(manifest, tmp_path / "out")

    assert (again.num_written, again.num_kept) == (1, first.num_written - 1)
    records, folder = open_photos(tmp_path / "out")
    assert photos_of(records, folder)[0] == bytes(changed)


def test_a_missing_photo_is_named_before_anything_is_written(tmp_path: Path) -> None:
    manifest = write_leaves(tmp_path, (("train", 2),), classes=CLASS_IDS[:2])
    gone = tmp_path / "images" / f"{CLASS_IDS[1]}_train_1.jpg"
    gone.unlink()

    with pytest.raises(DataError, match=gone.name):
        _shard(manifest, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def _damaged(manifest: Path, folder: Path) -> tuple[Path, ShardPhotos]:
    """Change one byte in the middle of the second photo of the first file."""
    _shard(manifest, folder)
    records, _ = open_photos(folder)
    photos = photos_of(records, folder)
    assert isinstance(photos, ShardPhotos)
    file = folder / read_index(folder).files[0].name
    data = bytearray(file.read_bytes())
    at = bytes(data).index(photos[1])
    data[at + 700] ^= 16
    file.write_bytes(data)
    return file, ShardPhotos(folder, np.arange(len(records)))


def test_one_changed_byte_is_an_error_that_names_file_row_and_photo(manifest: Path, tmp_path: Path) -> None:
    file, photos = _damaged(manifest, tmp_path)

    with pytest.raises(PhotoError) as refused:
        photos[1]

    assert f"{file.name} row 1 ({CLASS_IDS[0]}_train_1.jpg)" in refused.value.problem
    assert photos[0]
    assert photos[2]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_skip_broken_counts_and_names_what_it_leaves_out(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], num_workers: int
) -> None:
    _damaged(manifest, tmp_path / "out")
    records, folder = open_photos(tmp_path / "out")

    whole = skip_broken(records, folder, tmp_path, num_workers=num_workers)

    assert [record.shard_row for record in whole] == [0, *range(2, 56)]
    assert "1 of 56" in capsys.readouterr().err
    assert json.loads((tmp_path / "skipped_photos.jsonl").read_text())["image_path"] == f"{CLASS_IDS[0]}_train_1.jpg"


def test_a_shard_that_lost_its_end_is_refused_by_name_before_training(manifest: Path, tmp_path: Path) -> None:
    _shard(manifest, tmp_path)
    file = tmp_path / read_index(tmp_path).files[1].name
    file.write_bytes(file.read_bytes()[:-9])

    with pytest.raises(DataError, match=file.name):
        check_shards(tmp_path)


def test_a_torn_table_of_records_is_refused_by_name(manifest: Path, tmp_path: Path) -> None:
    _shard(manifest, tmp_path)
    table = tmp_path / "records.parquet"
    table.write_bytes(table.read_bytes()[:-9])

    with pytest.raises(DataError, match=r"records\.parquet"):
        open_photos(tmp_path)


def test_a_file_size_below_one_is_refused_by_name(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--shard-mb"):
        shard(ShardConfig(jsonl_file=manifest, output_dir=tmp_path, shard_mb=0))


def test_the_files_carry_the_features_that_hugging_face_datasets_reads(shards: Path) -> None:
    schema = parquet.read_schema(shards / read_index(shards).files[0].name)

    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]

    assert features["image"] == {"_type": "Image"}
    assert features["text"] == {"dtype": "string", "_type": "Value"}
    assert list(features) == schema.names
    assert str(schema.field("image").type) == "struct<bytes: binary, path: string>"


def test_hugging_face_datasets_opens_the_folder(shards: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")

    loaded = datasets.load_dataset(str(shards / "data"), cache_dir=str(tmp_path))

    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 32, "validation": 16, "test": 8}
    assert loaded["train"][0]["image"].size == (48, 48)


def test_daft_reads_photos_and_fields(shards: Path) -> None:
    daft = pytest.importorskip("daft")

    rows = daft.read_parquet(str(shards / "data" / "val-*.parquet")).select("class_id", "image").to_pydict()

    assert sorted(set(rows["class_id"])) == list(CLASS_IDS)
    assert len(rows["image"]) == 16
    assert rows["image"][0]["bytes"].startswith(b"\xff\xd8")


_IN_S3 = """
import sys
from pathlib import Path
import s3fs
from plantset.core.shards import check_shards, open_photos
from plantset.data.config import ShardConfig
from plantset.data.module import create_data_module
from plantset.data.shard import shard

if __name__ == "__main__":
    manifest, place = Path(sys.argv[1]), Path("s3://bucket/shards")
    s3fs.S3FileSystem().mkdir("bucket")
    report = shard(ShardConfig(jsonl_file=manifest, output_dir=place))
    again = shard(ShardConfig(jsonl_file=manifest, output_dir=place))
    assert (report.num_written, again.num_written, again.num_kept) == (3, 0, 3)
    records, folder = open_photos(place)
    check_shards(folder)
    stored = create_data_module(place, None, 8, 24, 30, num_workers=1)
    local = create_data_module(manifest, None, 8, 24, 30, num_workers=0)
    pairs = list(zip(stored.train_dataloader(epoch=1), local.train_dataloader(epoch=1), strict=True))
    assert len(pairs) == 4
    assert all((a.pixels_BHWC == b.pixels_BHWC).all() and a.notes == b.notes for a, b in pairs)
    print("the same from", report.summary())
"""


@pytest.mark.slow
def test_shards_in_s3_give_the_batches_of_the_files(s3: str, manifest: Path, tmp_path: Path) -> None:
    script = tmp_path / "in_s3.py"
    script.write_text(_IN_S3, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, str(script), str(manifest)], capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "the same from 56 photos in 3 files" in done.stdout
    assert "s3://bucket/shards" in done.stdout
