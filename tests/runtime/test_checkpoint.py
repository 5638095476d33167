"""Checkpoints are whole, checked, and run no code of a stranger."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from plantset.core.errors import CheckpointError
from plantset.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

TENSORS = {"model.weight": torch.arange(6.0).reshape(2, 3), "model.steps": torch.tensor(7), "text.bias": torch.ones(2)}
META = {"classes": ["rouille « brune »", "saine"], "temperature": 1.25}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "best_model.pth"
    save_checkpoint(written, Checkpoint(META, TENSORS))
    return written


def test_what_was_saved_comes_back_with_its_types(path: Path) -> None:
    loaded = load_checkpoint(path)

    assert loaded.meta == META
    assert loaded.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        torch.testing.assert_close(loaded.tensors[name], tensor, rtol=0, atol=0)


def test_bfloat16_and_bool_tensors_travel(tmp_path: Path) -> None:
    tensors = {"a": torch.tensor([1.5, -2.0], dtype=torch.bfloat16), "b": torch.tensor([True, False])}
    save_checkpoint(tmp_path / "c.pth", Checkpoint({}, tensors))

    loaded = load_checkpoint(tmp_path / "c.pth").tensors

    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_a_section_is_the_tensors_of_that_name_without_it(path: Path) -> None:
    assert set(load_checkpoint(path).section("model")) == {"weight", "steps"}


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as refused:
        load_checkpoint(tmp_path / "gone.pth")

    assert "gone.pth" in refused.value.problem


def test_tensors_keep_their_memory_format_and_bring_nothing_of_what_they_are_views_of(tmp_path: Path) -> None:
    images = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    part, gaps = torch.arange(1e6)[5:9], torch.arange(6.0).reshape(2, 3).T
    save_checkpoint(tmp_path / "c.pth", Checkpoint({}, {"images": images, "part": part, "gaps": gaps}))

    loaded = load_checkpoint(tmp_path / "c.pth").tensors

    assert torch.equal(loaded["images"], images)
    assert loaded["images"].stride() == images.stride()
    assert (loaded["part"].tolist(), loaded["gaps"].tolist()) == (part.tolist(), gaps.tolist())
    assert (tmp_path / "c.pth").stat().st_size < 10_000


def test_a_file_of_the_earlier_format_still_loads(tmp_path: Path) -> None:
    digest = hashlib.sha256(b'{"a": 1}' + b"w|torch.float32|(2, 2)|" + np.array([1, 2, 3, 4], np.float32).tobytes())
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    content = {"format": "plantset-checkpoint-1", "meta": '{"a": 1}', "tensors": {"w": weight}}
    torch.save({**content, "digest": digest.hexdigest()}, tmp_path / "early.pth")

    loaded = load_checkpoint(tmp_path / "early.pth")

    assert loaded.meta == {"a": 1}
    assert torch.equal(loaded.tensors["w"], weight)


def test_a_changed_file_of_the_earlier_format_is_refused_by_name(tmp_path: Path) -> None:
    content = {"format": "plantset-checkpoint-1", "meta": "{}", "tensors": {"w": torch.ones(2)}, "digest": "0" * 64}
    torch.save(content, tmp_path / "early.pth")

    with pytest.raises(CheckpointError, match=r"early\.pth"):
        load_checkpoint(tmp_path / "early.pth")


def _what_is_said(path: Path) -> str:
    """Return the refusal of a file, or "whole" when it loads as it was written."""
    try:
        loaded = load_checkpoint(path)
    except CheckpointError as error:
        return error.problem
    is_whole = loaded.meta == META and all(torch.equal(loaded.tensors[name], TENSORS[name]) for name in TENSORS)
    return "whole" if is_whole else "changed"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("part", range(16))
def test_a_changed_byte_is_refused_by_name_or_changes_nothing(path: Path, part: int) -> None:
    whole = path.read_bytes()
    said = []
    for place in range(part * len(whole) // 16, (part + 1) * len(whole) // 16, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        said.append(_what_is_said(path))

    assert [problem for problem in said if problem != "whole" and "best_model.pth" not in problem] == []


@pytest.mark.parametrize("kept_bytes", [0, 10, 700])
def test_a_torn_file_is_refused_by_name(path: Path, kept_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:kept_bytes])

    with pytest.raises(CheckpointError, match=r"best_model\.pth"):
        load_checkpoint(path)


def test_a_file_of_something_else_is_refused_by_name(path: Path) -> None:
    path.write_text("not a checkpoint at all")

    with pytest.raises(CheckpointError, match=r"best_model\.pth"):
        load_checkpoint(path)


def test_another_programs_checkpoint_is_refused(path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.ones(1)}}, path)

    with pytest.raises(CheckpointError, match="plantset"):
        load_checkpoint(path)


@pytest.mark.parametrize("part", ["meta", "tensors"])
def test_a_changed_part_no_longer_matches_the_checksum(path: Path, part: str) -> None:
    content = torch.load(path, weights_only=True)
    if part == "meta":
        content["meta"] = content["meta"].replace("1.25", "9.25")
    else:
        content["tensors"]["model.weight"][0, 0] = 5.0
    torch.save(content, path)

    with pytest.raises(CheckpointError, match=r"best_model\.pth"):
        load_checkpoint(path)


@pytest.mark.parametrize("part", ["meta", "tensors", "digest"])
def test_a_checkpoint_without_one_of_its_parts_is_refused_by_name(path: Path, part: str) -> None:
    content = torch.load(path, weights_only=True)
    del content[part]
    torch.save(content, path)

    with pytest.raises(CheckpointError, match=r"best_model\.pth"):
        load_checkpoint(path)


class _Intruder:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def test_a_checkpoint_with_code_in_it_is_refused_and_the_code_does_not_run(path: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    torch.save({"format": "plantset-checkpoint-1", "meta": _Intruder(trace)}, path)

    with pytest.raises(CheckpointError):
        load_checkpoint(path)

    assert not trace.exists()


def test_a_save_that_fails_leaves_the_earlier_file(path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(path, Checkpoint({"score": float("nan")}, {}))

    assert load_checkpoint(path).meta == META


_SAVE_ON_A_FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from plantset.core.errors import CheckpointError
from plantset.runtime.checkpoint import Checkpoint, save_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))  # a write beyond it fails as on a full disk
try:
    save_checkpoint(Path(sys.argv[1]), Checkpoint({}, {"weight": torch.zeros(500_000)}))
except CheckpointError as error:
    print(error.problem, error.fix)
"""


def test_a_full_disk_is_named_and_leaves_the_earlier_file_and_nothing_else(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SAVE_ON_A_FULL_DISK, str(path)], capture_output=True, text=True, check=False
    )

    assert "best_model.pth: File too large" in done.stdout, done.stderr
    assert load_checkpoint(path).meta == META
    assert [file.name for file in path.parent.iterdir()] == ["best_model.pth"]


_SAVE_FOR_EVER = """
import sys, torch
from pathlib import Path
from plantset.runtime.checkpoint import Checkpoint, save_checkpoint
path = Path(sys.argv[1])
for number in range(10_000):
    save_checkpoint(path, Checkpoint({"number": number}, {"weight": torch.full((500_000,), float(number))}))
    print(number, flush=True)
"""


def test_a_process_killed_while_saving_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last_model.pth"
    process = subprocess.Popen([sys.executable, "-c", _SAVE_FOR_EVER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()

    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    loaded = load_checkpoint(path)
    assert loaded.tensors["weight"][0] == loaded.meta["number"]
