"""Who writes: a decoder of our own with its own words, or the text model with its words."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.core.vocabulary import FIRST_PROMPT_ID, CaptionVocabulary, LanguageModelVocabulary
from plantset.encoders.language import LanguageModel, no_end, not_a_decoder
from plantset.encoders.registry import is_decoder_only, read_language_tokenizer
from plantset.models.checks import out_of_range
from plantset.models.config import NO_TEXT_MODEL, CaptionerName, ModelConfig
from plantset.models.multimodal import MultimodalModel
from plantset.models.presets import PresetName, find_preset, preset_config


def choose_captioner(preset: PresetName, asked: CaptionerName | None, text_model: str) -> CaptionerName:
    """Return the captioner that is asked for, else the preset's, which for some is a decoder-only text model.

    Raises:
        ConfigError: "prefix" is asked for, and the text model is none or not decoder-only.
    """
    if asked == "prefix" and not _can_write(text_model):
        raise not_a_decoder(text_model)
    if asked is not None:
        return asked
    if find_preset(preset).writes_with_text_model and _can_write(text_model):
        return "prefix"
    return preset_config(preset, 2, {}).captioner


def language_model_vocabulary(text_model: str, languages: Sequence[str] = ("en", "fr")) -> LanguageModelVocabulary:
    """Return the vocabulary of a decoder-only text model, for `create_multimodal_model(captioner="prefix")`.

    Raises:
        ConfigError: the model cannot be read, is not decoder-only, or knows no end of a text.
        CheckpointError: it is packaged, and its package is not installed.
    """
    if text_model == NO_TEXT_MODEL:
        raise not_a_decoder(text_model)
    tokenizer = read_language_tokenizer(text_model)
    if tokenizer.end_id is None:
        raise no_end(text_model)
    # of its own: the note's tokenizer cuts what it reads
    backend = Tokenizer.from_str(tokenizer.backend.to_str())
    backend.no_truncation()
    backend.no_padding()
    return LanguageModelVocabulary(backend, end_id=tokenizer.end_id, languages=languages)


def check_vocabulary(config: ModelConfig, vocabulary: CaptionVocabulary | None) -> None:
    """Refuse to write with a text model in words that are not its own.

    Raises:
        ConfigError: as said.
    """
    if config.captioner == "prefix" and vocabulary is not None and not isinstance(vocabulary, LanguageModelVocabulary):
        raise ConfigError(
            tr(
                "the captioner “prefix” writes with the text model's own words, and was given others",
                "le rédacteur « prefix » écrit avec les mots du modèle de texte, et il en reçoit d'autres",
            ),
            "vocabulary=language_model_vocabulary(text_model)",
        )


def check_prefix(model: MultimodalModel, text: LanguageModel, vocabulary_size: int) -> None:
    """Refuse a vocabulary or a length that the language model does not have.

    Raises:
        ConfigError: more words than it knows, or image tokens and text together longer than it reads.
    """
    config = model.config
    words = vocabulary_size - FIRST_PROMPT_ID - config.caption_prompts
    if words > text.vocabulary_size:
        raise ConfigError(
            tr(
                f"the vocabulary has {words} words and {text.name} knows {text.vocabulary_size}",
                f"le vocabulaire a {words} mots et {text.name} en connaît {text.vocabulary_size}",
            ),
            f"vocabulary=language_model_vocabulary({text.name!r})",
        )
    before = model.num_context_tokens + len(text.tokenizer.start_ids)
    if text.max_tokens is not None and before + config.caption_length > text.max_tokens:
        most = text.max_tokens - before
        raise out_of_range(
            "text_length",
            config.caption_length,
            tr(
                f"at most {most}: {text.name} reads {text.max_tokens} tokens, and {before} stand before the text",
                f"au plus {most} : {text.name} lit {text.max_tokens} jetons, et {before} sont devant le texte",
            ),
        )


def _can_write(text_model: str) -> bool:
    return text_model != NO_TEXT_MODEL and is_decoder_only(text_model)
