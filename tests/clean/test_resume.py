"""Kills, interrupts and reruns of the whole command: the same bytes in the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray

WritePhoto = Callable[..., Path]
COUNT = 120


def picture(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    patches = rng.integers(20, 236, (7, 7, 3), dtype=np.uint8)
    pixels = cv2.resize(patches, (800, 600), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(pixels + rng.integers(-12, 13, pixels.shape), 0, 255).astype(np.uint8)


def start(photos: Path, output: Path, workers: int = 2) -> subprocess.Popen[str]:
    words = ["clean", "--data-dir", photos, "--num-workers", workers, "--output-file", output, "--no-audit"]
    return subprocess.Popen(
        [sys.executable, "-m", "plantset", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PLANTSET_LANG": "en", "OMP_NUM_THREADS": "1"},
        start_new_session=True,  # its own group, as in a terminal
    )


def outputs(folder: Path) -> dict[str, bytes]:
    """All but what names the output's own path or the number of workers."""
    own = (".config.json", ".meta.json", ".html", ".work.jsonl")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(own)
    }


def meta(folder: Path) -> str:
    return (folder / "clean.meta.json").read_text(encoding="utf-8").replace(str(folder), "")


def done_lines(output: Path) -> int:
    journal = output.with_name("clean.work.jsonl")
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def wait_for_lines(process: subprocess.Popen[str], output: Path, count: int) -> None:
    while process.poll() is None and done_lines(output) < count:
        time.sleep(0.002)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "photos"
    for seed in range(COUNT):
        path = folder / ("rust", "scab")[seed % 2] / f"{seed}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(simplejpeg.encode_jpeg(picture(seed), 90, "RGB", "444"))
    (folder / "rust" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


@pytest.fixture(scope="module")
def undisturbed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    process = start(photos, folder / "clean.jsonl")
    _, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    return folder


def test_a_command_killed_again_and_again_ends_with_the_bytes_of_the_undisturbed_run(
    photos: Path, undisturbed: Path, tmp_path: Path
) -> None:
    rng = random.Random(4)
    output = tmp_path / "clean.jsonl"
    reached = []

    for share in (0.0, 0.3, 0.6, 0.9):
        process = start(photos, output)
        wait_for_lines(process, output, int(share * COUNT))
        time.sleep(rng.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        reached.append(done_lines(output))
    last = start(photos, output)
    said, complaint = last.communicate(timeout=120)

    assert last.returncode == 0, complaint
    assert reached == sorted(reached)
    assert f"{COUNT} photos kept of {COUNT + 1} files" in said
    assert outputs(tmp_path) == outputs(undisturbed)
    assert meta(tmp_path) == meta(undisturbed)


def test_the_number_of_workers_changes_no_byte(photos: Path, undisturbed: Path, tmp_path: Path) -> None:
    alone = start(photos, tmp_path / "clean.jsonl", workers=0)

    _, complaint = alone.communicate(timeout=120)

    assert alone.returncode == 0, complaint
    assert outputs(tmp_path) == outputs(undisturbed)
    assert meta(tmp_path) == meta(undisturbed)


def test_an_interrupt_says_what_is_done_and_leaves_a_state_to_go_on_from(
    photos: Path, undisturbed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "clean.jsonl"
    process = start(photos, output)
    wait_for_lines(process, output, 1)

    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    again = start(photos, output)
    _, complaint = again.communicate(timeout=120)

    assert process.returncode == 130
    assert f"of {COUNT + 1} photos are done; run the same command again" in said
    assert "Traceback" not in said
    assert again.returncode == 0, complaint
    assert outputs(tmp_path) == outputs(undisturbed)
