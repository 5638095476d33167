"""A run whose text tower learns, by adapters or whole: what changes, what is kept, how it goes on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from plantset.core.errors import CheckpointError, ConfigError
from plantset.encoders.text import is_adapter
from plantset.models.load import load_model
from plantset.models.pretrained import from_pretrained, save_pretrained
from plantset.runtime.checkpoint import load_checkpoint
from plantset.training import saving
from plantset.training.bank import DescriptionBank
from plantset.training.config import TrainConfig
from plantset.training.run import TrainReport, train
from plantset.training.state import LAST_NAME
from plantset.training.step import NoteStatesCache
from plantset.training.task import build_bank, note_encoder, prepare_task
from tests.training.conftest import Configure

RANK = 2
NOTES = ["Les feuilles portent des taches brunes.", None]


@pytest.fixture(scope="module")
def adapted(base_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, TrainReport]:
    folder = tmp_path_factory.mktemp("adapted")
    config = dataclasses.replace(base_config, checkpoint_dir=folder, text_lora_rank=RANK)
    report = train(config)
    assert isinstance(report, TrainReport)
    return config, report


def _text_of(report: TrainReport) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(report.best_path).section("text"))


def test_adapters_learn_while_the_weights_under_them_stay(adapted: tuple[TrainConfig, TrainReport]) -> None:
    held = _text_of(adapted[1])
    torch.manual_seed(adapted[0].seed)
    task = prepare_task(adapted[0])
    assert task.model.text is not None
    fresh = task.model.text.state_dict()

    moved = {name for name, tensor in held.items() if not torch.equal(tensor, fresh[name])}

    assert moved == {name for name in held if is_adapter(name)}


def test_the_written_model_reads_notes_through_its_adapters(adapted: tuple[TrainConfig, TrainReport]) -> None:
    loaded = load_model(adapted[1].best_path)
    pixels = torch.randint(0, 256, (2, 64, 64, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)

    with_adapters = loaded.predict_batch(pixels, NOTES)
    text: Any = loaded.model.text
    for name, weight in text.named_parameters():
        if is_adapter(name):
            weight.data.zero_()

    assert text.lora_rank == RANK
    assert not any(weight.requires_grad for weight in text.parameters())
    assert not torch.equal(loaded.predict_batch(pixels, NOTES)[0], with_adapters[0])
    assert torch.equal(loaded.predict_batch(pixels, NOTES)[1], with_adapters[1])  # no note, no tower


def test_a_folder_of_a_model_with_adapters_answers_as_its_checkpoint(
    adapted: tuple[TrainConfig, TrainReport], tmp_path: Path
) -> None:
    pixels = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)

    save_pretrained(adapted[1].best_path, tmp_path / "folder")

    expected = load_model(adapted[1].best_path).predict_batch(pixels, NOTES)
    assert torch.equal(from_pretrained(tmp_path / "folder").predict_batch(pixels, NOTES), expected)


def test_notes_and_descriptions_are_read_again_as_the_adapters_learn(configure: Configure) -> None:
    task = prepare_task(configure(text_lora_rank=RANK))
    bank = build_bank(task)
    assert isinstance(bank, DescriptionBank)
    before = bank.vectors_MW.clone()
    text: Any = task.model.text
    for name, weight in text.named_parameters():
        if is_adapter(name):
            weight.data.add_(0.1)

    bank.begin_epoch(1, seen=8)
    inside = bank.vectors_MW.clone()
    bank.begin_epoch(1, seen=0)

    assert not isinstance(note_encoder(task), NoteStatesCache)  # no lookup of states that change
    assert torch.equal(inside, before)
    assert not torch.equal(bank.vectors_MW, before)


def test_the_bank_of_a_frozen_tower_is_read_once(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    task = prepare_task(configure())
    bank = build_bank(task)
    assert bank is not None
    monkeypatch.setattr(task.model, "encode_descriptions", lambda _: pytest.fail("it was read again"))

    bank.begin_epoch(3, seen=0)

    assert bank.state() == {}


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("learning", [{"text_lora_rank": RANK}, {"freeze_text": False}], ids=["adapters", "whole"])
def test_a_run_whose_text_tower_learns_goes_on_inside_an_epoch_to_the_same_bits(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learning: dict[str, Any]
) -> None:
    settings: dict[str, Any] = {"epochs": 3, "save_steps": 1, **learning}
    train(configure(checkpoint_dir=tmp_path / "whole", **settings))
    config = configure(checkpoint_dir=tmp_path / "killed", **settings)
    saved, write = iter(range(99)), saving.save_state

    def kill(*arguments: Any) -> None:
        write(*arguments)
        if next(saved) == 5:  # the second step of the second epoch
            raise _Killed

    with monkeypatch.context() as patched:
        patched.setattr(saving, "save_state", kill)
        with pytest.raises(_Killed):
            train(config)
    train(dataclasses.replace(config, resume="auto"))

    killed, whole = (load_checkpoint(tmp_path / run / LAST_NAME).tensors for run in ("killed", "whole"))
    assert killed.keys() == whole.keys()
    assert "bank.vectors" in whole
    assert [name for name in whole if not torch.equal(killed[name], whole[name])] == []


def test_a_start_from_a_model_without_adapters_puts_them_on_its_text_tower(
    configure: Configure, tmp_path: Path
) -> None:
    earlier = train(configure(epochs=1, seed=3, freeze_text=False, checkpoint_dir=tmp_path / "earlier"))
    assert isinstance(earlier, TrainReport)

    report = train(configure(epochs=1, text_lora_rank=RANK, init_checkpoint=earlier.best_path))

    assert isinstance(report, TrainReport)
    before, now = _text_of(earlier), _text_of(report)
    under = {name.replace(".base_layer.", "."): tensor for name, tensor in now.items() if not is_adapter(name)}
    assert under.keys() == before.keys()
    assert all(torch.equal(under[name], before[name]) for name in before)


@pytest.mark.parametrize("rank", [0, 5])
def test_a_start_from_adapters_of_another_rank_names_theirs(
    adapted: tuple[TrainConfig, TrainReport], configure: Configure, rank: int
) -> None:
    with pytest.raises(CheckpointError) as refused:
        train(configure(epochs=1, text_lora_rank=rank, init_checkpoint=adapted[1].best_path))

    assert f"--text-lora-rank {RANK}" in refused.value.fix


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"text_lora_rank": -1}, "--text-lora-rank"),
        ({"text_lora_rank": 4, "text_model": "none"}, "text model"),
        ({"text_lora_rank": 4, "freeze_text": False}, "--no-freeze-text"),
    ],
)
def test_adapters_that_cannot_be_are_refused(configure: Configure, settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        train(configure(**settings))
