"""A training in several processes that Plantset itself starts."""

from __future__ import annotations

import os

import pytest
import torch

from plantset.core.errors import ConfigError, DeviceError
from plantset.runtime.launch import launch, on_every_chip
from plantset.runtime.processes import start_processes


def _add_ranks() -> tuple[int, float]:
    with launch("cpu", mixed_precision=False) as strategy:
        total = strategy.fetch(strategy.reduce_sum({"rank": torch.tensor(1.0 + strategy.rank)}))
        return strategy.rank, total["rank"]


def _mistake() -> None:
    raise ConfigError("a wrong number", "give another")


def _die() -> None:
    os._exit(9)


def test_each_process_is_a_rank_and_the_first_ones_answer_comes_back() -> None:
    assert start_processes(_add_ranks, 2) == (0, 3.0)


def test_a_users_mistake_comes_back_as_such() -> None:
    with pytest.raises(ConfigError, match="a wrong number"):
        start_processes(_mistake, 1)


def test_a_process_that_dies_is_told_with_its_status() -> None:
    with pytest.raises(DeviceError) as refused:
        start_processes(_die, 1)

    assert "exit status 9" in refused.value.problem


def test_a_cpu_needs_no_other_process() -> None:
    assert on_every_chip("cpu", os.getpid) == os.getpid()
