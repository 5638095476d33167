"""The pool: crashes, kills and the command line, in real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from plantset.clean.config import CleanConfig
from plantset.clean.engine import default_workers, measure_all, split_in_chunks
from plantset.clean.facts import Job, PhotoFacts, Refusal
from plantset.clean.run import clean

WritePhoto = Callable[..., Path]

# one tag, the orientation, in an APP1 segment
EXIF = (
    b"\xff\xe1\x00\x22Exif\x00\x00II*\x00\x08\x00\x00\x00"
    + b"\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x01\x00"
    + bytes(6)
)

CRASHING = """
import os, sys
from pathlib import Path
from plantset.clean.engine import measure_all
from plantset.clean.facts import Job, Outcome, Refusal

def work(job: Job) -> Outcome:
    if job.source.name == "killer.jpg":
        os._exit(11)
    return Refusal("done", job.source.name)

if __name__ == "__main__":
    names = [f"{index}.jpg" for index in range(60)]
    names[int(sys.argv[1])] = "killer.jpg"
    jobs = [Job(Path(name), Path(name), 1, 64) for name in names]
    outcomes = dict(measure_all(jobs, 2, work))
    assert len(outcomes) == 60
    print([(index, outcome.reason) for index, outcome in sorted(outcomes.items()) if outcome.reason != "done"])
"""


def plantset(*words: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "plantset", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PLANTSET_LANG": "en"},
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def jobs_for(paths: list[Path], folder: Path) -> list[Job]:
    return [Job(path, folder / f"{path.name}.jpg", 64, 128) for path in paths]


@pytest.mark.parametrize("position", [0, 35, 59])
def test_a_photo_that_kills_its_worker_is_refused_and_the_others_are_done(tmp_path: Path, position: int) -> None:
    script = tmp_path / "crashing.py"
    script.write_text(CRASHING, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, str(script), str(position)], capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.returncode, done.stdout.strip()) == (0, f"[({position}, 'decoder-crash')]"), done.stderr


def test_workers_and_the_main_process_find_the_same(tmp_path: Path, write_photo: WritePhoto) -> None:
    paths = [write_photo(tmp_path / f"{seed}.jpg", seed) for seed in range(20)]

    alone = dict(measure_all(jobs_for(paths, tmp_path / "alone"), 0))
    together = dict(measure_all(jobs_for(paths, tmp_path / "together"), 1))

    assert alone == together
    assert all(isinstance(outcome, PhotoFacts) for outcome in alone.values())


def test_a_few_photos_are_done_without_workers() -> None:
    assert default_workers(20) == 0


def test_many_photos_use_every_core() -> None:
    assert default_workers(20_000) >= 1


def test_an_unreadable_file_is_a_refusal(tmp_path: Path) -> None:
    ((index, outcome),) = measure_all(jobs_for([tmp_path / "gone.jpg"], tmp_path), 0)

    assert (index, outcome) == (0, Refusal("unreadable", "No such file or directory"))


def test_a_small_upright_jpeg_is_not_encoded_a_second_time(tmp_path: Path, write_photo: WritePhoto) -> None:
    path = write_photo(tmp_path / "1.jpg", 1, width=120, height=90)
    with_exif = b"\xff\xd8" + EXIF + path.read_bytes()[2:]
    path.write_bytes(with_exif)

    ((_, facts),) = measure_all([Job(path, tmp_path / "out" / "1.jpg", 64, 128)], 0)

    written = (tmp_path / "out" / "1.jpg").read_bytes()
    assert isinstance(facts, PhotoFacts)
    assert facts.image_bytes == len(written)
    assert np.array_equal(simplejpeg.decode_jpeg(written), simplejpeg.decode_jpeg(with_exif))
    assert b"Exif" not in written


def test_a_turned_jpeg_is_encoded_upright(tmp_path: Path, write_photo: WritePhoto) -> None:
    path = write_photo(tmp_path / "1.jpg", 1, width=120, height=90)
    path.write_bytes(
        b"\xff\xd8" + EXIF.replace(b"\x01\x00\x00\x00\x01\x00", b"\x01\x00\x00\x00\x06\x00") + path.read_bytes()[2:]
    )

    ((_, facts),) = measure_all([Job(path, tmp_path / "out" / "1.jpg", 64, 128)], 0)

    assert isinstance(facts, PhotoFacts)
    assert facts.size == (90, 120)
    assert simplejpeg.decode_jpeg((tmp_path / "out" / "1.jpg").read_bytes()).shape == (120, 90, 3)


def test_chunks_hold_about_a_megabyte_and_at_most_64_photos() -> None:
    sizes = [300_000] * 5 + [4_000_000] + [1000] * 100
    jobs = [Job(Path("a"), Path("b"), 1, 64, source_bytes=size) for size in sizes]

    assert [len(chunk) for chunk in split_in_chunks(jobs)] == [4, 2, 64, 36]


def test_clean_imports_no_torch() -> None:
    code = "import sys, plantset.clean.run, plantset.clean.config; print('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_a_run_killed_in_the_middle_and_run_again_ends_with_the_same_bytes(
    tmp_path: Path, write_photo: WritePhoto
) -> None:
    for seed in range(80):
        write_photo(tmp_path / "photos" / ("rust", "scab")[seed % 2] / f"{seed}.jpg", seed, width=1000, height=750)
    whole = CleanConfig(tmp_path / "photos", output_file=tmp_path / "whole" / "clean.jsonl", num_workers=0)
    clean(whole)
    output = tmp_path / "killed" / "clean.jsonl"

    killed = plantset("clean", "--data-dir", tmp_path / "photos", "--num-workers", 1, "--output-file", output)
    journal = tmp_path / "killed" / "clean.work.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 16) and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    finished(killed)
    assert not output.exists(), "the run ended before it was killed"
    report = clean(replace(whole, output_file=output))

    assert 16 <= report.reused < 80
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")


def outputs(folder: Path) -> dict[str, bytes]:
    """All but the journal and the two files that name the output's own path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith((".work.jsonl", ".meta.json", ".config.json"))
    }


# ---- the command ----------------------------------------------------------------------------------------------------


def test_the_documented_command_writes_the_documented_files(tmp_path: Path, write_photo: WritePhoto) -> None:
    write_photo(tmp_path / "photos" / "rust" / "1.jpg", 1)
    output = tmp_path / "dataset_clean.jsonl"

    code, out, err = finished(
        plantset(
            "clean", "--data-dir", tmp_path / "photos", "--min-size", 256, "--target-size", 512, "--output-file", output
        )
    )  # fmt: skip

    assert (code, err) == (0, "")
    assert "1 photos kept of 1 files" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dataset_clean.audit.json",
        "dataset_clean.config.json",
        "dataset_clean.jsonl",
        "dataset_clean.meta.json",
        "dataset_clean.rejected.jsonl",
        "dataset_clean.report.html",
        "dataset_clean.work.jsonl",
        "dataset_clean_images",
        "photos",
    ]
    assert set(json.loads(output.read_text(encoding="utf-8"))) == {
        "image_path", "label", "split", "original_size", "size", "sha256", "phash", "group", "source_path"
    }  # fmt: skip


def test_a_wrong_folder_is_a_mistake_with_a_fix(tmp_path: Path) -> None:
    code, _, err = finished(plantset("clean", "--data-dir", tmp_path / "none"))

    assert code == 2
    assert err.startswith("error: ")
    assert "fix:" in err
