"""A checkpoint is the model: the same answers in a new process, nothing missing, nothing held twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from plantset.core.classes import ClassInfo
from plantset.core.errors import CheckpointError
from plantset.core.vocabulary import Vocabulary
from plantset.encoders.lora import add_adapters
from plantset.encoders.registry import build_text_encoder
from plantset.encoders.text import TextEncoder
from plantset.models import load as load_module
from plantset.models.build import create_multimodal_model
from plantset.models.decision import Calibration
from plantset.models.load import LoadedModel, ModelCard, attach_text, is_referenced, load_model, to_checkpoint
from plantset.models.multimodal import MultimodalModel
from plantset.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

CALIBRATION = Calibration(temperature=1.3, confidence_threshold=0.4, conformal_quantile=0.85, num_photos=12)
NOTES = ["taches brunes sur la feuille", None]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.train(["Feuille verte et saine.", "Leaf with brown spots."], languages=["fr", "en"], size=300)


@pytest.fixture(scope="module")
def model(tiny_bert: str, vocabulary: Vocabulary) -> MultimodalModel:
    torch.manual_seed(0)
    built = create_multimodal_model(
        3, "test_vit", tiny_bert, 24, 24, 24, 4,
        pretrained=False, image_size=160, vocabulary_size=len(vocabulary), text_length=16,
    )  # fmt: skip
    return built.eval()


@pytest.fixture(scope="module")
def card(vocabulary: Vocabulary) -> ModelCard:
    classes = tuple(ClassInfo(class_id=name, label=name) for name in ("a", "b", "c"))
    return ModelCard(classes, "fr", vocabulary, CALIBRATION, {"epochs": 3}, {"num_train": 9})


@pytest.fixture(scope="module")
def path(model: MultimodalModel, card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("checkpoint") / "best_model.pth"
    save_checkpoint(written, to_checkpoint(model, card))
    return written


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(2, 160, 160, 3), dtype=np.uint8)


_ASK = """
import sys
import numpy as np
import torch
from pathlib import Path
from plantset.models.load import load_model

checkpoint, photos, answers = map(Path, sys.argv[1:])
torch.set_num_threads(1)
logits = load_model(checkpoint).predict_batch(torch.from_numpy(np.load(photos)), ["taches brunes sur la feuille", None])
np.save(answers, logits.numpy())
"""


def test_a_new_process_gives_the_same_logits_to_the_last_bit(
    model: MultimodalModel, path: Path, photos: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "photos.npy", photos)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        expected = model(model.encode_photos(torch.from_numpy(photos)), model.encode_notes(NOTES)).logits_BC
    torch.set_num_threads(threads)

    subprocess.run(
        [sys.executable, "-c", _ASK, str(path), str(tmp_path / "photos.npy"), str(tmp_path / "answers.npy")],
        check=True,
    )

    assert np.array_equal(np.load(tmp_path / "answers.npy"), expected.numpy())


def test_the_card_comes_back_whole(path: Path, card: ModelCard, vocabulary: Vocabulary) -> None:
    loaded = load_model(path)

    assert loaded.card.classes == card.classes
    assert loaded.calibration == CALIBRATION
    assert (loaded.language, loaded.languages) == ("fr", ("en", "fr"))
    assert loaded.card.vocabulary is not None
    assert loaded.card.vocabulary.to_json() == vocabulary.to_json()
    assert dict(loaded.card.training) == {"epochs": 3}


def test_preprocessing_travels_with_the_weights(path: Path, model: MultimodalModel) -> None:
    assert load_model(path).preprocess == model.vision.preprocess


def test_a_model_asked_about_photos_alone_builds_no_text_tower(path: Path, photos: np.ndarray) -> None:
    loaded = load_model(path)

    loaded.predict_batch(torch.from_numpy(photos))

    assert loaded.model.text is None
    assert loaded.takes_notes


def test_the_note_alone_can_be_asked(path: Path) -> None:
    logits = load_model(path).predict_tokens(None, NOTES)

    assert logits.shape == (2, 3)
    assert not torch.equal(logits[0], logits[1])


def test_captions_are_texts_in_the_languages_of_training(path: Path, photos: np.ndarray) -> None:
    captions = load_model(path).caption_batch(torch.from_numpy(photos), "en")

    assert len(captions) == 2
    assert all(isinstance(text, str) and "<" not in text for text in captions)


def test_another_language_is_refused_and_the_known_ones_are_named(path: Path, photos: np.ndarray) -> None:
    with pytest.raises(CheckpointError) as refused:
        load_model(path).caption_batch(torch.from_numpy(photos), "de")

    assert "en, fr" in refused.value.fix


def test_caption_likelihood_counts_text_and_end_of_every_photo(path: Path, photos: np.ndarray) -> None:
    loaded = load_model(path)
    text = "Feuille verte"
    vocabulary = loaded.card.vocabulary
    assert vocabulary is not None
    tokens_of_one = int((vocabulary.encode(text, language="fr", length=16) > 0).sum()) - 2  # without the prompt

    nats, tokens, num_bytes = loaded.caption_nll_tokens(
        loaded.encode_photos(torch.from_numpy(photos)), [text, text], "fr"
    )

    assert (tokens, num_bytes) == (2 * tokens_of_one, 2 * len(text))
    assert nats > 0


def test_of_a_text_that_is_cut_the_bytes_are_counted_that_the_captioner_reads(path: Path, photos: np.ndarray) -> None:
    loaded = load_model(path)
    vocabulary = loaded.card.vocabulary
    assert vocabulary is not None
    long = "Feuille verte " * 40
    kept = vocabulary.held(long, loaded.model.config.caption_length)

    nats, tokens, num_bytes = loaded.caption_nll_tokens(
        loaded.encode_photos(torch.from_numpy(photos[:1])), [long], "fr"
    )

    assert long.startswith(kept)
    assert 0 < len(kept) < len(long)
    assert num_bytes == len(kept)
    assert tokens == loaded.model.config.caption_length - 2
    assert nats > 0


_FINGERPRINT = "f" * 64  # a tower that has one stands for a packaged one


def test_a_frozen_packaged_text_tower_is_named_and_not_held(
    model: MultimodalModel, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.text, "fingerprint", _FINGERPRINT)

    checkpoint = to_checkpoint(model, card)

    assert is_referenced(model)
    assert checkpoint.section("text") == {}
    assert not any("text.model" in name for name in checkpoint.tensors)
    assert checkpoint.meta["text"]["fingerprint"] == _FINGERPRINT


def test_a_packaged_text_tower_that_learned_is_held_and_not_named(
    model: MultimodalModel, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model.text is not None
    monkeypatch.setattr(model.text, "fingerprint", _FINGERPRINT)
    monkeypatch.setattr(model.text, "frozen", False)

    checkpoint = to_checkpoint(model, card)

    assert set(checkpoint.section("text")) == set(model.text.state_dict())
    assert checkpoint.meta["text"]["fingerprint"] is None


def test_a_checkpoint_holds_tensors_and_json_and_nothing_twice(path: Path, model: MultimodalModel) -> None:
    checkpoint = load_checkpoint(path)
    assert model.text is not None

    assert set(checkpoint.section("text")) == set(model.text.state_dict())
    assert not any(name.startswith("model.text.") for name in checkpoint.tensors)


@pytest.mark.parametrize("change", ["missing", "left over", "misshapen"])
def test_weights_of_another_model_are_refused_by_the_tensors_name(path: Path, change: str) -> None:
    whole = load_checkpoint(path)
    tensors = dict(whole.tensors)
    if change == "missing":
        del tensors["model.no_image"]
    elif change == "left over":
        tensors["model.surplus"] = torch.zeros(1)
    else:
        tensors["model.classifier.linear.bias"] = torch.zeros(9)
    name = {"missing": "no_image", "left over": "surplus", "misshapen": "classifier.linear.bias"}[change]

    with pytest.raises(CheckpointError) as refused:
        LoadedModel(Checkpoint(whole.meta, tensors), torch.device("cpu"))

    assert name in refused.value.problem


def test_of_a_packaged_text_tower_with_adapters_these_alone_are_held(
    tiny_bert: str, card: ModelCard, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = create_multimodal_model(
        3, "test_vit", tiny_bert, 24, 24, 24, 4,
        pretrained=False, image_size=160, vocabulary_size=len(vocabulary), text_length=16, text_lora_rank=2,
    ).eval()  # fmt: skip
    assert model.text is not None
    monkeypatch.setattr(model.text, "fingerprint", _FINGERPRINT)
    named: dict[str, bool] = {}

    def rebuild(spec: dict[str, object], *, load_packaged: bool) -> TextEncoder:
        named["load_packaged"] = load_packaged
        assert spec["fingerprint"] == _FINGERPRINT
        return add_adapters(build_text_encoder(tiny_bert, pretrained=True), 2)

    checkpoint = to_checkpoint(model, card)
    text = dict(model.text.named_parameters())
    monkeypatch.setattr(load_module, "build_text_encoder_from", rebuild)
    loaded = LoadedModel(checkpoint, torch.device("cpu"))
    attach_text(loaded.model, checkpoint)

    held = checkpoint.section("text")
    assert len(held) == 16  # A and B of four projections in two layers
    assert all(torch.equal(tensor, text[name]) for name, tensor in held.items())
    assert named == {"load_packaged": True}
    assert loaded.model.text is not None
    assert all(torch.equal(loaded.model.text.get_parameter(name), tensor) for name, tensor in held.items())
