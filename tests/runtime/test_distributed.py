"""Two processes that train one model: as one process with the whole batch, and together to the end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from plantset.runtime.local import LocalStrategy
from tests.runtime.two_ranks import LEARNING_RATE, SmallNet, train

LOCAL = LocalStrategy(torch.device("cpu"))


def _start(scene: str, folder: Path) -> list[subprocess.Popen[str]]:
    """Start both ranks as torchrun would; without it, nobody ends one because the other has ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.runtime.two_ranks", scene, str(folder)],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the two ranks saw in the scene `whole`."""
    folder = tmp_path_factory.mktemp("ranks")
    processes = _start("whole", folder)
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def _largest_difference(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    return max(float((left[name].double() - right[name].double()).abs().max()) for name in right)


def test_two_ranks_of_8_equal_one_of_16_with_sgd(ranks: list[dict[str, Any]]) -> None:
    weights, losses = train(LOCAL, "sgd")

    assert _largest_difference(ranks[0]["sgd"][0], weights) < 1e-6
    assert ranks[0]["sgd"][1] == pytest.approx(losses, abs=1e-6)


def test_two_ranks_of_8_equal_one_of_16_with_adamw(ranks: list[dict[str, Any]]) -> None:
    weights, losses = train(LOCAL, "adamw")

    assert ranks[0]["adamw"][1] == pytest.approx(losses, abs=1e-5)
    assert _largest_difference(ranks[0]["adamw"][0], weights) < 0.1 * LEARNING_RATE["adamw"]


def test_micro_batches_over_two_ranks_equal_one_large_batch(ranks: list[dict[str, Any]]) -> None:
    weights, _ = train(LOCAL, "sgd", trains_norm=False)

    assert _largest_difference(ranks[1]["accumulated"][0], weights) < 1e-6


@pytest.mark.parametrize("run", ["sgd", "adamw", "accumulated"])
def test_both_ranks_hold_the_same_weights_to_the_bit(ranks: list[dict[str, Any]], run: str) -> None:
    first, second = (rank[run][0] for rank in ranks)

    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_part_that_no_photo_reaches_does_not_decay(ranks: list[dict[str, Any]]) -> None:
    torch.manual_seed(0)
    untouched = SmallNet().unused.weight

    assert torch.equal(ranks[0]["adamw"][0]["unused.weight"], untouched)


def test_an_infinite_fp16_gradient_on_one_rank_skips_the_step_on_both(ranks: list[dict[str, Any]]) -> None:
    seen = [rank["overflow"] for rank in ranks]

    assert not any(bool(rank["moved"].any()) for rank in seen)
    assert [float(rank["scale"]) for rank in seen] == [2.0**15] * 2


def test_the_sum_of_fp16_gradients_is_clipped_after_it_is_unscaled(ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        torch.testing.assert_close(rank["overflow"]["update"], torch.full((1, 3), 0.5 / 3**0.5), rtol=1e-3, atol=1e-3)


def test_sums_are_over_both_ranks_name_by_name(ranks: list[dict[str, Any]]) -> None:
    assert [rank["exchange"]["sums"] for rank in ranks] == [{"a": 3.0, "b": 20.0}] * 2


def test_rows_are_gathered_from_ranks_with_different_numbers_of_them(ranks: list[dict[str, Any]]) -> None:
    assert [rank["exchange"]["rows"].tolist() for rank in ranks] == [[[0, 1, 2], [3, 4, 5]]] * 2


def test_a_flag_of_one_rank_is_known_to_both(ranks: list[dict[str, Any]]) -> None:
    assert [rank["exchange"]["flags"] for rank in ranks] == [(False, True)] * 2


def test_what_the_first_rank_makes_in_its_turn_the_second_finds(ranks: list[dict[str, Any]]) -> None:
    assert [rank["exchange"]["found"] for rank in ranks] == [False, True]


def test_the_main_rank_alone_writes_and_the_other_waits_for_it(ranks: list[dict[str, Any]]) -> None:
    assert [rank["exchange"]["by_main"] for rank in ranks] == ["0", "0"]


def test_each_rank_draws_its_own_random_numbers_and_takes_them_up_again(ranks: list[dict[str, Any]]) -> None:
    first, second = (rank["random"] for rank in ranks)

    assert not torch.equal(first["drawn"], second["drawn"])
    assert torch.equal(first["again"], first["drawn"])
    assert torch.equal(second["again"], second["drawn"])


def test_the_state_of_all_ranks_is_on_each_of_them(ranks: list[dict[str, Any]]) -> None:
    first, second = (rank["random"]["state"] for rank in ranks)

    assert first.keys() == second.keys() == {"cpu_rng", "rank1.cpu_rng"}
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_rank_more_than_the_saved_run_had_draws_numbers_of_its_own(ranks: list[dict[str, Any]]) -> None:
    first, second = (rank["random"] for rank in ranks)

    assert torch.equal(first["from_one"], first["drawn"])
    assert not torch.equal(second["from_one"], first["from_one"])


def test_one_process_goes_on_with_the_random_numbers_of_rank_0(ranks: list[dict[str, Any]]) -> None:
    LOCAL.restore(ranks[0]["random"]["state"])

    assert torch.equal(torch.rand(4), ranks[0]["random"]["drawn"])


def test_a_rank_that_dies_ends_the_other_with_an_error_that_says_so(tmp_path: Path) -> None:
    survivor, dead = _start("dying", tmp_path)

    _, errors = survivor.communicate(timeout=120)

    assert dead.communicate(timeout=120) is not None
    assert dead.returncode == 9
    assert survivor.returncode == 2
    assert "process 0 lost the other processes" in errors
    assert "--resume auto" in errors


def test_a_main_rank_that_cannot_write_ends_the_other_too(tmp_path: Path) -> None:
    main, other = _start("failing", tmp_path)

    _, errors = other.communicate(timeout=120)

    assert "FileNotFoundError" in main.communicate(timeout=120)[1]
    assert other.returncode == 2
    assert "process 1 lost the other processes" in errors
