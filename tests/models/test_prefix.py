"""The captioner "prefix": a language model that writes behind image tokens, held once, with its own words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from plantset.core.errors import ConfigError
from plantset.core.vocabulary import END_ID, PAD_ID, LanguageModelVocabulary
from plantset.encoders.language import LanguageModel
from plantset.encoders.registry import build_text_encoder
from plantset.models.caption_choice import choose_captioner, language_model_vocabulary
from plantset.models.captioner import Captioner
from plantset.models.generation import Decoding, Sampling, write
from plantset.models.multimodal import MultimodalModel
from plantset.models.prefix import PrefixCaptioner
from plantset.models.presets import PresetName
from tests.models.small import NOTES, VOCABULARY, ask, build, photos
from tests.tiny_models import SENTENCES, save_tiny_gpt2, save_tiny_llama, save_tiny_qwen

IMAGE_WIDTH, LENGTH = 10, 24
SAVERS = {"gpt2": save_tiny_gpt2, "llama": save_tiny_llama, "qwen": save_tiny_qwen}


class Writer(SimpleNamespace):
    folder: str
    text: LanguageModel
    vocabulary: LanguageModelVocabulary
    captioner: PrefixCaptioner

    def rows(self, texts: tuple[str, ...], length: int = LENGTH) -> Tensor:
        return torch.from_numpy(np.stack([self.vocabulary.encode(t, language="fr", length=length) for t in texts]))

    @property
    def prompt(self) -> list[int]:
        return self.vocabulary.prompt_ids("fr")


@pytest.fixture(scope="module", params=SAVERS)
def writer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Writer:
    return _writer(request.param, tmp_path_factory.mktemp)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    return _writer("gpt2", tmp_path_factory.mktemp)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    return _writer("llama", tmp_path_factory.mktemp)


def _writer(family: str, folder: Callable[[str], Path]) -> Writer:
    name = str(SAVERS[family](folder(family)))
    text = build_text_encoder(name, writes=True)
    assert isinstance(text, LanguageModel)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in text.parameters():
            weight.mul_(1 if weight.ndim == 1 else 4)  # a fresh model hardly tells words apart
    vocabulary = language_model_vocabulary(name, ["fr", "en"])
    captioner = PrefixCaptioner(
        LENGTH, image_width=IMAGE_WIDTH, text_width=text.width, num_prompts=vocabulary.num_prompts
    )
    captioner.attach(text.eval())
    captioner.begin_at_the_scale_of_words()
    return Writer(folder=name, text=text, vocabulary=vocabulary, captioner=captioner.eval())


@pytest.fixture
def image() -> Tensor:
    return torch.randn(3, 4, IMAGE_WIDTH, generator=torch.Generator().manual_seed(1))


def _likeliest_without_a_cache(writer: Writer, image: Tensor) -> list[list[int]]:
    texts: list[list[int]] = []
    for row in image:
        ids = list(writer.prompt)
        while len(ids) < LENGTH and ids[-1] != END_ID:
            ids.append(int(writer.captioner(torch.tensor([ids]), row[None])[0, -1].argmax()))
        texts.append(ids[len(writer.prompt) :])
    return texts


@torch.no_grad()
def test_cached_writing_gives_what_writing_without_a_cache_gives(writer: Writer, image: Tensor) -> None:
    expected = _likeliest_without_a_cache(writer, image)

    written = writer.captioner.generate(image, writer.prompt).tolist()

    assert [row[: len(text)] for row, text in zip(written, expected, strict=True)] == expected
    assert len({tuple(row) for row in expected}) == 3


class _ReadsAllAgain:
    def __init__(self, writer: Writer, image: Tensor) -> None:
        self._captioner, self._image = writer.captioner, image
        self._ids = torch.tensor(writer.prompt).expand(len(image), -1)

    def logits(self) -> Tensor:
        logits: Tensor = self._captioner(self._ids, self._image)[:, -1]
        return logits

    def step(self, words_R: Tensor) -> Tensor:
        self._ids = torch.cat([self._ids, words_R[:, None]], dim=1)
        return self.logits()

    def reorder(self, rows_R: Tensor) -> None:
        self._ids = self._ids[rows_R]


@torch.no_grad()
@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(num_beams=3),
        Decoding(sampling=Sampling(temperature=2.0, top_p=0.9, seed=3)),
        Decoding(no_repeat_ngram=2),
    ],
    ids=["beams", "sampling", "no repeats"],
)
def test_with_a_cache_every_way_of_writing_finds_what_it_finds_without(
    writer: Writer, image: Tensor, decoding: Decoding
) -> None:
    uncached = _ReadsAllAgain(writer, image.repeat_interleave(decoding.num_beams, dim=0))

    expected = write(uncached, uncached.logits(), max_words=LENGTH - 2, decoding=decoding)

    assert writer.captioner.generate(image, writer.prompt, decoding=decoding).tolist() == expected.tolist()


@torch.no_grad()
def test_the_logits_are_those_of_the_language_model_on_the_same_embeddings(llama: Writer, image: Tensor) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    theirs = AutoModelForCausalLM.from_pretrained(llama.folder).eval()
    theirs.load_state_dict({**theirs.state_dict(), **_as_causal(llama.text)})
    words = AutoTokenizer.from_pretrained(llama.folder)(SENTENCES[0], add_special_tokens=False).input_ids[:8]
    captioner, table = llama.captioner, theirs.get_input_embeddings()
    seen = captioner.projection(captioner.image_norm(image[:1]))
    prompts = captioner.prompts.weight[[0, 5]][None]  # DESCRIBE is the first task, fr the second language after four
    start, text = table(torch.tensor([[1]])), table(torch.tensor([words]))

    expected = theirs(inputs_embeds=torch.cat([start, seen, prompts, text], dim=1)).logits[0, -len(words) :]

    ours = captioner(llama.rows((SENTENCES[0],))[:, : 2 + len(words)], image[:1])[0, 2:]
    first_word = 2 + llama.vocabulary.num_prompts
    torch.testing.assert_close(ours[:, END_ID], expected[:, 2])  # LLaMA's </s>
    torch.testing.assert_close(ours[:, first_word + 3 :], expected[:, 3:])
    assert ours[:, [PAD_ID, *range(2, first_word), first_word + 2]].isneginf().all()


def _as_causal(text: LanguageModel) -> dict[str, Tensor]:
    assert text.head is not None
    state = {f"model.{name}": tensor for name, tensor in text.model.state_dict().items()}
    return state | {"lm_head.weight": text.head.weight}


@torch.no_grad()
def test_the_loss_is_the_hand_computed_likelihood_of_words_and_end_alone(writer: Writer, image: Tensor) -> None:
    ids = writer.rows(("taches", SENTENCES[1]))[:1]
    length = int((ids != PAD_ID).sum())
    log_probs = writer.captioner(ids[:, :-1], image[:1])[0].log_softmax(dim=-1)

    total, words = writer.captioner.loss(ids, image[:1])

    by_hand = -sum(log_probs[place - 1, ids[0, place]] for place in range(2, length))
    assert ids[0, length - 1] == END_ID
    assert words == length - 2
    torch.testing.assert_close(total, by_hand)


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_neither_loss_nor_count(writer: Writer, image: Tensor, side: str) -> None:
    ids = writer.rows(("taches brunes",), length=12)
    ids = ids[:, : int((ids != PAD_ID).sum())]
    padding = torch.full((1, 7), PAD_ID)
    padded = torch.cat([padding, ids] if side == "left" else [ids, padding], dim=1)

    total, words = writer.captioner.loss(padded, image[:1])

    expected, expected_words = writer.captioner.loss(ids, image[:1])
    assert words == expected_words
    torch.testing.assert_close(total, expected)


@torch.no_grad()
def test_a_row_of_padding_alone_counts_nothing(writer: Writer, image: Tensor) -> None:
    total, words = writer.captioner.loss(torch.full((2, 8), PAD_ID), image[:2])

    assert (float(total), int(words)) == (0.0, 0)


@torch.no_grad()
def test_a_word_sees_the_photo_and_not_the_words_after_it(writer: Writer, image: Tensor) -> None:
    ids = writer.rows((SENTENCES[0],), length=10)
    changed = ids.clone()
    changed[0, 6:] = ids[0, 2]

    logits = writer.captioner(ids, image[:1])[:, :6]

    torch.testing.assert_close(writer.captioner(changed, image[:1])[:, :6], logits)
    assert not torch.allclose(writer.captioner(ids, image[1:2])[:, :6], logits)


@torch.no_grad()
def test_a_text_stops_at_the_language_models_own_end(writer: Writer, image: Tensor) -> None:
    class EndsAtOnce(PrefixCaptioner):
        def row_logits(self, logits: Tensor) -> Tensor:
            favoured = logits.index_fill(-1, torch.tensor([writer.text.end_id]), 1e4)
            return super().row_logits(favoured)

    captioner = EndsAtOnce(LENGTH, image_width=IMAGE_WIDTH, text_width=writer.text.width, num_prompts=6)
    captioner.attach(writer.text)

    assert captioner.generate(image, writer.prompt).tolist() == [[END_ID]] * 3


def test_what_is_written_is_in_the_language_models_words(writer: Writer) -> None:
    text = "Des taches brunes à l'« œil » 2024"

    row = writer.vocabulary.encode(text, language="fr", length=120)

    own, _ = writer.text.tokenizer.encode([text], 120)
    start = len(writer.text.tokenizer.start_ids)
    assert writer.vocabulary.decode(row) == text
    assert row[2:40].tolist()[: list(row).index(END_ID) - 2] == [
        int(token) + 8 for token in own[0, start : start + list(row).index(END_ID) - 2]
    ]


def test_one_language_model_reads_and_writes_and_is_held_once(writer: Writer) -> None:
    model = _build(writer)
    is_tied = writer.text.head is None

    words = [name for name, weight in model.state_dict().items() if weight.shape[:1] == (writer.text.vocabulary_size,)]

    storages = [tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values() if tensor.numel()]
    assert all(name.startswith("text.") for name in words)
    assert len(words) == (1 if is_tied else 2)
    assert len(storages) == len(set(storages))


def _build(writer: Writer, **overrides: object) -> MultimodalModel:
    settings: dict[str, object] = {"captioner": "prefix", "vocabulary": writer.vocabulary}
    return build(writer.folder, **{**settings, **overrides})


def _caption_loss(model: MultimodalModel, writer: Writer, texts: tuple[str, ...] = SENTENCES[:4]) -> Tensor:
    assert model.captioner is not None
    total, words = model.captioner.loss(
        writer.rows(texts, length=32), model.caption_context(ask(model, photos(), None))
    )
    return total / words


@pytest.mark.parametrize("freeze_text", [True, False])
def test_the_projection_always_learns_and_the_language_model_as_the_text_tower_does(
    writer: Writer, freeze_text: bool
) -> None:
    model = _build(writer, freeze_text=freeze_text).train()

    _caption_loss(model, writer).backward()

    touched = {name for name, weight in model.named_parameters() if weight.grad is not None and bool(weight.grad.any())}
    own = {name for name, _ in model.named_parameters() if name.startswith("captioner.")}
    tower = {name for name, _ in model.named_parameters() if name.startswith("text.")}
    assert own <= touched
    assert tower & touched == (set() if freeze_text else tower)


def test_with_adapters_the_language_model_learns_through_them_alone(writer: Writer) -> None:
    model = _build(writer, text_lora_rank=2).train()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.1)  # zero at first: nothing would reach the other half

    _caption_loss(model, writer).backward()

    touched = {name for name, weight in model.named_parameters() if weight.grad is not None and bool(weight.grad.any())}
    tower = {name for name, _ in model.named_parameters() if name.startswith("text.")}
    assert tower & touched == {name for name in tower if ".lora_" in name}
    assert "captioner.projection.weight" in touched


def test_descriptions_reach_the_captioner_and_never_the_logits(writer: Writer) -> None:
    model = _build(writer, freeze_text=False).eval()
    before = ask(model, photos(), NOTES).logits_BC

    _caption_loss(model, writer).backward()
    _caption_loss(model, writer, SENTENCES[4:8])

    answers = {"classifier", "fusion", "note_connector", "note_pooling", "note_norm", "image_norm"}
    taught = {name for name, weight in model.named_parameters() if weight.grad is not None and bool(weight.grad.any())}
    assert torch.equal(ask(model, photos(), NOTES).logits_BC, before)
    assert not {name for name in taught if name.split(".")[0] in answers}


def test_gradient_checkpointing_changes_no_gradient_and_keeps_less(writer: Writer) -> None:
    plain, saving = _build(writer).train(), _build(writer, gradient_checkpointing=True).train()
    kept = []

    for model in (plain, saving):
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: (s.append(t.numel()), t)[1], lambda t: t):
            loss = _caption_loss(model, writer)
        loss.backward()
        kept.append(sum(sizes))

    assert isinstance(plain.captioner, PrefixCaptioner)
    assert isinstance(saving.captioner, PrefixCaptioner)
    torch.testing.assert_close(saving.captioner.projection.weight.grad, plain.captioner.projection.weight.grad)
    assert kept[1] < 0.8 * kept[0]
    assert saving.text is not None
    assert not any(module.training for module in saving.text.modules())


@torch.no_grad()
def test_a_new_projection_makes_tokens_as_long_as_words(writer: Writer, image: Tensor) -> None:
    words = writer.text.embed(torch.arange(100)).std()

    ratio = writer.captioner.projection(writer.captioner.image_norm(image)).std() / words

    assert 0.5 < float(ratio) < 2.0


@pytest.mark.parametrize(
    ("preset", "expected"),
    [("qwen-vl", "prefix"), ("vadapter", "prefix"), ("cross-attention", "decoder"), ("flava", "decoder")],
)
def test_the_presets_of_qwen_vl_and_vadapter_write_with_a_decoder_only_text_model(
    gpt2: Writer, preset: PresetName, expected: str
) -> None:
    assert choose_captioner(preset, None, gpt2.folder) == expected


@pytest.mark.parametrize("preset", ["qwen-vl", "vadapter"])
def test_with_an_encoder_these_presets_keep_the_own_decoder(tiny_bert: str, preset: PresetName) -> None:
    assert choose_captioner(preset, None, tiny_bert) == "decoder"
    assert choose_captioner(preset, None, "none") == "decoder"
    assert choose_captioner(preset, None, "packaged:multilingual-e5-small") == "decoder"
    assert isinstance(build(tiny_bert, preset=preset).captioner, Captioner)


@pytest.mark.parametrize("preset", ["qwen-vl", "vadapter"])
def test_a_preset_with_the_language_models_words_builds_the_prefix(gpt2: Writer, preset: PresetName) -> None:
    model = build(gpt2.folder, preset=preset, vocabulary=gpt2.vocabulary)

    assert isinstance(model.captioner, PrefixCaptioner)
    assert model.caption_evidence is not None
    assert model.captioner.generate(model.caption_context(ask(model, photos(), None)), gpt2.prompt).shape[0] == 4


@pytest.mark.parametrize("text_model", ["tiny_bert", "none", "packaged:multilingual-e5-small"])
def test_an_encoder_that_is_to_write_is_refused_by_name(tiny_bert: str, text_model: str) -> None:
    name = tiny_bert if text_model == "tiny_bert" else text_model

    with pytest.raises(ConfigError, match="prefix") as refused:
        build(name, captioner="prefix")

    assert name in refused.value.problem


def test_words_of_another_vocabulary_are_refused(gpt2: Writer) -> None:
    with pytest.raises(ConfigError, match="own words"):
        build(gpt2.folder, captioner="prefix", vocabulary=VOCABULARY)


def test_a_text_longer_than_the_language_model_reads_behind_the_photo_is_refused(gpt2: Writer) -> None:
    with pytest.raises(ConfigError, match="text_length is 128") as refused:
        _build(gpt2, text_length=128)

    assert "128" in refused.value.fix  # its positions, of which the photo takes some


def test_class_names_are_not_scored_by_a_prefix_captioner(gpt2: Writer) -> None:
    with pytest.raises(ConfigError, match="names"):
        _build(gpt2, classifier="names")
