"""The Daft engine in real processes, against an S3 server on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from plantset.clean import daft_engine
from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.core.errors import ConfigError

pytest.importorskip("daft")

WORK = """
import os, sys
from plantset.clean.facts import Job, Outcome, Refusal
from plantset.core.errors import DataError

def work(job: Job) -> Outcome:
    if job.source.name == "full.jpg":
        raise DataError("no space", "free some")
    if job.source.name == "killer.jpg" or (job.source.name == "once.jpg" and not job.image.exists()):
        job.image.touch()
        os._exit(11)
    return Refusal("torch" if "torch" in sys.modules else "done")
"""
MAIN = """
import sys
from pathlib import Path
from deadly import work
from plantset.clean.daft_engine import measure_with_daft
from plantset.clean.facts import Job
from plantset.core.errors import DataError

if __name__ == "__main__":
    names = [f"{index}.jpg" for index in range(100)]
    names[int(sys.argv[3])] = sys.argv[2]
    jobs = [Job(Path(name), Path(sys.argv[1]), 1, 64) for name in names]
    try:
        outcomes = dict(measure_with_daft(jobs, 2, None, work))
    except DataError as error:
        sys.exit(print(f"DataError: {error.fix}"))
    assert len(outcomes) == 100
    print([(index, outcome.reason) for index, outcome in sorted(outcomes.items()) if outcome.reason != "done"])
"""


def run_killing(tmp_path: Path, name: str, position: int) -> subprocess.CompletedProcess[str]:
    (tmp_path / "deadly.py").write_text(WORK, encoding="utf-8")
    script = tmp_path / "main.py"
    script.write_text(MAIN, encoding="utf-8")
    words = [sys.executable, str(script), str(tmp_path / "mark"), name, str(position)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=environment)


def test_a_worker_that_dies_once_costs_no_photo_and_workers_import_no_torch(tmp_path: Path) -> None:
    done = run_killing(tmp_path, "once.jpg", 50)

    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert (tmp_path / "mark").exists()


def test_a_photo_that_always_kills_is_refused_and_the_others_are_done(tmp_path: Path) -> None:
    done = run_killing(tmp_path, "killer.jpg", 20)

    assert (done.returncode, done.stdout.strip()) == (0, "[(20, 'decoder-crash')]"), done.stderr


def test_a_full_store_is_told_as_a_mistake_in_the_data(tmp_path: Path) -> None:
    done = run_killing(tmp_path, "full.jpg", 20)

    assert (done.returncode, done.stdout.strip()) == (0, "DataError: free some"), done.stderr


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(daft_engine, "find_spec", lambda _name: None)
    (tmp_path / "photos" / "rust").mkdir(parents=True)
    write_photos(tmp_path / "photos", 1)
    config = CleanConfig(tmp_path / "photos", output_file=tmp_path / "c.jsonl", engine="daft", min_size=32)

    with pytest.raises(ConfigError) as caught:
        clean(config)

    assert caught.value.fix == "pip install 'plantset[daft]'"


# ---- S3 -------------------------------------------------------------------------------------------------------------


def write_photos(folder: Path, count: int) -> None:
    """Small photos, each another picture, one in a hundred broken."""
    for seed in range(count):
        patches = np.random.default_rng(seed).integers(20, 236, (5, 5, 3), dtype=np.uint8)
        pixels = cv2.resize(patches, (72, 64), interpolation=cv2.INTER_CUBIC)
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 85, "RGB", "444")
        path = folder / ("rust", "scab")[seed % 2] / f"{seed}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[: len(data) // 2] if seed % 100 == 99 else data)


@pytest.mark.slow
def test_two_thousand_photos_in_s3_give_the_manifest_of_the_local_engine_though_the_job_is_killed(
    s3: str, tmp_path: Path
) -> None:
    import s3fs

    write_photos(tmp_path / "photos", 2000)
    local = CleanConfig(tmp_path / "photos", output_file=tmp_path / "l" / "c.jsonl", min_size=32, audit=False)
    clean(replace(local, num_workers=0))
    store = s3fs.S3FileSystem()
    store.mkdir("bucket")
    store.put(str(tmp_path / "photos") + "/", "bucket/photos/", recursive=True)
    words = "clean --data-dir s3://bucket/photos --output-file s3://bucket/out/c.jsonl --min-size 32 --no-audit"
    command = [sys.executable, "-m", "plantset", *words.split(), "--engine", "daft", "--num-workers", "2"]

    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    journals = tmp_path / "cache"
    while first.poll() is None and sum(p.read_bytes().count(b"\n") for p in journals.rglob("*.work.jsonl")) < 200:
        time.sleep(0.01)
    killed = first.poll() is None
    first.kill()
    first.wait()
    again = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=os.environ)

    assert killed
    assert again.returncode == 0, again.stderr
    assert "had been done before" in again.stdout
    assert "s3://bucket/out/c.report.html" in again.stdout
    told = store.cat_file("bucket/out/c.meta.json") + store.cat_file("bucket/out/c.config.json")
    assert str(tmp_path).encode() not in told
    assert b"--output-file s3://bucket/out/c.jsonl" in told
    store.invalidate_cache()
    assert store.cat_file("bucket/out/c.jsonl") == (tmp_path / "l" / "c.jsonl").read_bytes()
    assert store.cat_file("bucket/out/c.rejected.jsonl") == (tmp_path / "l" / "c.rejected.jsonl").read_bytes()
    stored = store.find("bucket/out/c_images", detail=True)
    made = tmp_path / "l" / "c_images"
    assert {name.removeprefix("bucket/out/c_images/"): info["ETag"].strip('"') for name, info in stored.items()} == {
        path.relative_to(made).as_posix(): md5(path.read_bytes()).hexdigest() for path in made.rglob("*.jpg")
    }
