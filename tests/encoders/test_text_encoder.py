"""Any Hugging Face encoder or decoder: padding, empty notes, causality, pooling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from plantset.core.errors import ConfigError
from plantset.encoders.registry import build_text_encoder
from plantset.encoders.text import TextEncoder, pool_last, pool_mean
from tests.tiny_models import (
    WIDTH,
    save_tiny_bert,
    save_tiny_deberta,
    save_tiny_gpt2,
    save_tiny_llama,
    save_tiny_qwen,
    save_tiny_roberta,
)

NOTE = "Les feuilles de tomate portent des taches brunes."
SAVERS = {
    "bert": save_tiny_bert,
    "roberta": save_tiny_roberta,
    "deberta": save_tiny_deberta,
    "gpt2": save_tiny_gpt2,
    "llama": save_tiny_llama,
    "qwen": save_tiny_qwen,
}
FAMILIES = list(SAVERS)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TextEncoder]:
    built: dict[str, TextEncoder] = {}

    def get(name: str) -> TextEncoder:
        if name not in built:
            folder = SAVERS[name](tmp_path_factory.mktemp(name))
            built[name] = build_text_encoder(str(folder)).eval()
        return built[name]

    return get


Family = Callable[[str], TextEncoder]


@pytest.mark.parametrize("name", FAMILIES)
def test_states_have_the_models_width_and_one_position_a_token(family: Family, name: str) -> None:
    encoder = family(name)

    states = encoder(*encoder.tokenizer.encode([NOTE, "a"], 24))

    assert states.shape == (2, 24, WIDTH)
    assert encoder.width == WIDTH


@pytest.mark.parametrize("name", FAMILIES)
def test_states_are_those_of_transformers_own_call_on_the_text_alone(family: Family, name: str) -> None:
    encoder = family(name)
    ids, mask = encoder.tokenizer.encode([NOTE], 40)
    count = int(mask.sum())

    plain = encoder.model(input_ids=ids[:, :count]).last_hidden_state

    torch.testing.assert_close(encoder(ids, mask)[:, :count], plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_row_reaches_attention_without_a_key(family: Family, name: str) -> None:
    encoder = family(name)
    seen: list[torch.Tensor] = []
    hook = encoder.model.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(kwargs["attention_mask"]), with_kwargs=True
    )

    encoder(*encoder.tokenizer.encode(["", NOTE], 40))

    hook.remove()
    assert seen[0].any(dim=1).all()


def test_weights_saved_in_half_precision_are_loaded_in_full(family: Family) -> None:
    assert {parameter.dtype for parameter in family("qwen").parameters()} == {torch.float32}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_longer_padding_changes_no_state(family: Family, name: str) -> None:
    encoder = family(name)
    short = encoder(*encoder.tokenizer.encode([NOTE], 40))

    long = encoder(*encoder.tokenizer.encode([NOTE], 64))

    torch.testing.assert_close(long[:, :40], short, rtol=1e-4, atol=1e-5)
    assert long[:, 40:].abs().max() == 0


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_on_the_left_and_on_the_right_agree(family: Family, name: str) -> None:
    encoder = family(name)
    ids, mask = encoder.tokenizer.encode([NOTE], 40)
    count = int(mask.sum())

    right = encoder(ids, mask)[0, :count]
    left = encoder(ids.roll(40 - count, dims=1), mask.roll(40 - count, dims=1))[0, 40 - count :]

    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_stands_under_the_padding_changes_no_state(family: Family, name: str) -> None:
    encoder = family(name)
    ids, mask = encoder.tokenizer.encode([NOTE], 40)

    other = encoder(torch.where(mask, ids, 7), mask)

    torch.testing.assert_close(other, encoder(ids, mask), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_empty_note_gives_zeros_and_leaves_its_neighbour_alone(family: Family, name: str) -> None:
    encoder = family(name)
    ids, mask = encoder.tokenizer.encode([NOTE, "  \n "], 40)

    states = encoder(ids, mask)

    assert not mask[1].any()
    assert states[1].abs().max() == 0
    torch.testing.assert_close(states[:1], encoder(ids[:1], mask[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_empty_note_has_finite_gradients(family: Family, name: str) -> None:
    encoder = family(name)

    encoder(*encoder.tokenizer.encode(["", NOTE], 40)).square().sum().backward()

    gradients = [parameter.grad for parameter in encoder.parameters()]
    encoder.zero_grad()
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize(
    ("name", "causal"),
    [("bert", False), ("roberta", False), ("deberta", False), ("gpt2", True), ("llama", True), ("qwen", True)],
)
def test_a_model_is_called_causal_exactly_when_later_tokens_cannot_change_earlier_states(
    family: Family, name: str, causal: bool
) -> None:
    encoder = family(name)
    ids, mask = encoder.tokenizer.encode([NOTE], 8)
    assert mask.all()
    changed = ids.clone()
    changed[0, -1] = (ids[0, -1] + 1) % encoder.tokenizer.vocab_size

    same = torch.equal(encoder(ids, mask)[0, 0], encoder(changed, mask)[0, 0])

    assert encoder.causal is causal
    assert same is causal


@pytest.mark.parametrize("name", FAMILIES)
def test_a_note_survives_encoding_and_decoding(family: Family, name: str) -> None:
    tokenizer = family(name).tokenizer

    ids, mask = tokenizer.encode([NOTE], 80)

    assert tokenizer.decode(ids[mask].tolist()).replace(" .", ".") == NOTE


@pytest.mark.parametrize("name", FAMILIES)
def test_a_long_note_is_cut_to_the_length(family: Family, name: str) -> None:
    ids, mask = family(name).tokenizer.encode([NOTE * 20], 16)

    assert ids.shape == (1, 16)
    assert mask.all()


def test_a_cut_note_still_ends_with_its_last_special_token(family: Family) -> None:
    tokenizer = family("bert").tokenizer

    ids, _ = tokenizer.encode([NOTE * 20], 16)

    assert ids[0, -1] == tokenizer.backend.token_to_id("[SEP]")


def test_a_length_without_room_for_a_word_is_refused(family: Family) -> None:
    with pytest.raises(ConfigError, match="special"):
        family("bert").tokenizer.encode([NOTE], 2)


def test_no_texts_make_an_empty_batch(family: Family) -> None:
    ids, mask = family("bert").tokenizer.encode([], 8)

    assert ids.shape == mask.shape == (0, 8)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_longest_text_is_what_the_positions_allow(family: Family, name: str) -> None:
    encoder = family(name)

    states = encoder(*encoder.tokenizer.encode([NOTE * 50], 128))

    assert encoder.max_tokens == 128
    assert states.isfinite().all()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_of_a_text_model_gets_a_gradient(family: Family, name: str) -> None:
    encoder = family(name)

    encoder(*encoder.tokenizer.encode([NOTE], 40)).square().sum().backward()

    without = [key for key, parameter in encoder.named_parameters() if parameter.grad is None]
    encoder.zero_grad()
    assert without == []


@pytest.mark.parametrize("name", FAMILIES)
def test_gradient_checkpointing_changes_no_gradient(family: Family, name: str, tmp_path: Path) -> None:
    encoder = build_text_encoder(str(SAVERS[name](tmp_path))).eval()
    batch = encoder.tokenizer.encode([NOTE], 40)
    encoder(*batch).square().sum().backward()
    plain = {key: parameter.grad.clone() for key, parameter in encoder.named_parameters() if parameter.grad is not None}
    encoder.zero_grad()
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0

    encoder.set_grad_checkpointing()
    encoder.train()(*batch).square().sum().backward()

    for key, parameter in encoder.named_parameters():
        torch.testing.assert_close(parameter.grad, plain[key], msg=key)


def test_mean_pooling_averages_real_tokens_only() -> None:
    states = torch.tensor([[[1.0], [3.0], [50.0]], [[4.0], [5.0], [6.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])

    assert pool_mean(states, mask).tolist() == [[2.0], [0.0]]


def test_last_pooling_takes_the_last_real_token_on_either_side() -> None:
    states = torch.tensor([[[1.0], [3.0], [50.0]], [[4.0], [5.0], [6.0]], [[7.0], [8.0], [9.0]]])
    mask = torch.tensor([[True, True, False], [False, True, True], [False, False, False]])

    assert pool_last(states, mask).tolist() == [[3.0], [6.0], [0.0]]
