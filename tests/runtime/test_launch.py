"""How a process learns whether it is alone."""

from __future__ import annotations

import pytest
import torch

from plantset.core.errors import DeviceError
from plantset.runtime.distributed import World, device_of, find_world
from plantset.runtime.launch import launch

TORCHRUN = {
    "RANK": "5",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "8",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


@pytest.fixture(autouse=True)
def started_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)


def _start(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    for name, value in {**TORCHRUN, **changes}.items():
        monkeypatch.setenv(name, value)


def test_a_process_that_torchrun_did_not_start_is_alone() -> None:
    assert find_world() is None


def test_a_process_that_torchrun_started_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    _start(monkeypatch)

    assert find_world() == World(rank=5, local_rank=1, size=8, local_size=4)


def test_one_process_under_torchrun_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    _start(monkeypatch, RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")

    assert find_world() is None


def test_a_world_size_that_something_else_set_is_not_torchruns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")

    assert find_world() is None


def test_alone_it_is_the_main_process() -> None:
    with launch("cpu", mixed_precision=False) as strategy:
        assert (strategy.rank, strategy.world_size, strategy.is_main, strategy.device.type) == (0, 1, True, "cpu")


def test_more_processes_than_gpus_are_refused_with_the_number_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    with pytest.raises(DeviceError) as refused:
        device_of(World(rank=0, local_rank=0, size=4, local_size=4), torch.device("cuda"))

    assert "--nproc-per-node 2" in refused.value.fix
