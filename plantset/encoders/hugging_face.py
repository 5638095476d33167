"""Text models by their Hugging Face name or from a folder that `save_pretrained` wrote."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from plantset.core.errors import CheckpointError, ConfigError
from plantset.core.language import tr
from plantset.encoders.hub import hub_answers, unreachable
from plantset.encoders.language import not_a_decoder
from plantset.encoders.text import NoteTokenizer

PACKAGED_EXAMPLE = "packaged:multilingual-e5-small"
_E5_NAME = re.compile(r"(^|[/\-_])e5[-_]", re.IGNORECASE)
_FAMILIAR = (
    "microsoft/DialoGPT-medium",
    "microsoft/DialoGPT-small",
    "microsoft/DialoGPT-large",
    "bert-base-multilingual-cased",
    "FacebookAI/roberta-base",
    "FacebookAI/xlm-roberta-base",
    "almanach/camembert-base",
    "intfloat/multilingual-e5-small",
    "intfloat/multilingual-e5-base",
    "microsoft/mdeberta-v3-base",
    "openai-community/gpt2",
    "HuggingFaceTB/SmolLM2-135M",
    "Qwen/Qwen2.5-0.5B",
    "meta-llama/Llama-3.2-1B",
    PACKAGED_EXAMPLE,
)


def load_text_model(name: str, *, pretrained: bool, writes: bool = False) -> tuple[nn.Module, NoteTokenizer]:
    """Build the model and its tokenizer.

    Args:
        name: hub name or local folder.
        pretrained: False draws random weights; config and tokenizer are still read.
        writes: with the head that predicts the next word.

    Raises:
        ConfigError: unknown name, unreachable hub, a model that gives no token states, or one that is to write and is
            not decoder-only.
        CheckpointError: the weights are incomplete.
    """
    with _reading(name) as local_only:
        config = _read_config(name, local_only=local_only)
        if writes and not is_causal(config):
            raise not_a_decoder(name)
        tokenizer = _read_tokenizer(name, local_only=local_only)
        if pretrained:
            model = _load_weights(name, config, local_only=local_only, writes=writes)
        else:
            model = model_from_config(config, writes=writes)
    check_tokenizer(name, tokenizer, model)
    return model, tokenizer


def load_tokenizer(source: str) -> NoteTokenizer:
    """Load the tokenizer of a hub name or of a folder.

    Raises:
        ConfigError: there is none that Rust's `tokenizers` can run.
    """
    from transformers import AutoTokenizer

    try:
        with _quiet():
            fast = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, ImportError) as error:
        raise _cannot_load(source, error, local_only=False) from error
    return _wrap(source, fast)


def check_tokenizer(name: str, tokenizer: NoteTokenizer, model: Any) -> None:
    """Refuse a tokenizer that writes ids which the model has no embedding for.

    Raises:
        ConfigError: with both numbers.
    """
    highest = max(tokenizer.backend.get_vocab(with_added_tokens=True).values(), default=-1)
    words = int(model.get_input_embeddings().weight.shape[0])
    if 0 <= highest < words:
        return
    raise ConfigError(
        tr(
            f"the tokenizer of {name} writes ids up to {highest}, its model has {words} words",
            f"le tokeniseur de {name} écrit des identifiants jusqu'à {highest}, son modèle a {words} mots",
        ),
        tr(
            "put the tokenizer that the model was trained with beside it (tokenizer.json)",
            "mettez à côté du modèle le tokeniseur avec lequel il a été entraîné (tokenizer.json)",
        ),
    )


def read_tokenizer(name: str) -> NoteTokenizer:
    """Read the tokenizer alone; raises as `load_text_model` does."""
    with _reading(name) as local_only:
        return _read_tokenizer(name, local_only=local_only)


def is_decoder_only(name: str) -> bool:
    """Tell from its config alone whether a model of this name is decoder-only; raises as `load_text_model` does."""
    with _reading(name) as local_only:
        return is_causal(_read_config(name, local_only=local_only))


def model_from_config(config: Any, *, writes: bool = False) -> nn.Module:
    """Build a model with random weights from a config, or from its dict."""
    from transformers import CONFIG_MAPPING

    if isinstance(config, dict):
        values = {key: value for key, value in config.items() if key != "model_type"}
        config = CONFIG_MAPPING[config["model_type"]].from_dict(values)
    model: nn.Module = _auto_class(writes).from_config(config, dtype=torch.float32)
    return model


def is_causal(config: Any) -> bool:
    """Tell whether a state of this model sees only the tokens before it."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    if getattr(config, "is_decoder", False):
        return True
    kind = config.model_type
    if kind == "xlnet":  # trained on permutations, so listed as causal, but each state sees the whole text
        return False
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES


@contextmanager
def _reading(name: str) -> Iterator[bool]:
    """Yield whether only this computer is asked, and say clearly what cannot be read."""
    local_only = Path(name).is_dir() or not hub_answers()
    try:
        with _quiet():
            yield local_only
    except (OSError, ValueError) as error:
        raise _cannot_load(name, error, local_only=local_only) from error


def _read_config(name: str, *, local_only: bool) -> Any:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(name, local_files_only=local_only)
    _check_kind(name, config)
    return config


def _read_tokenizer(name: str, *, local_only: bool) -> NoteTokenizer:
    from transformers import AutoTokenizer

    return _wrap(name, AutoTokenizer.from_pretrained(name, local_files_only=local_only))


def _auto_class(writes: bool) -> Any:
    from transformers import AutoModel, AutoModelForCausalLM

    return AutoModelForCausalLM if writes else AutoModel


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back the table of unused tensors and the bar of a load that takes a moment: we judge both ourselves."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _check_kind(name: str, config: Any) -> None:
    if not getattr(config, "is_encoder_decoder", False) and hasattr(config, "hidden_size"):
        return
    raise ConfigError(
        tr(
            f"{name} is a {config.model_type} model, neither a text encoder nor a decoder-only model",
            f"{name} est un modèle {config.model_type}, ni encodeur de texte ni décodeur seul",
        ),
        tr(
            "choose BERT, RoBERTa, E5, DeBERTa, CamemBERT, GPT-2, LLaMA, Qwen or the like for --text-model",
            "choisissez BERT, RoBERTa, E5, DeBERTa, CamemBERT, GPT-2, LLaMA, Qwen ou semblable pour --text-model",
        ),
    )


def _load_weights(name: str, config: Any, *, local_only: bool, writes: bool) -> nn.Module:
    model, info = _auto_class(writes).from_pretrained(
        name, config=config, local_files_only=local_only, dtype=torch.float32, output_loading_info=True
    )
    # The pooler is never used and many released encoders lack it; anything else that is missing would be random.
    missing = sorted(key for key in info["missing_keys"] if "pooler" not in key)
    if missing:
        raise CheckpointError(
            tr(
                f"the weights of {name} lack {len(missing)} tensors, among them {missing[0]}",
                f"il manque {len(missing)} tenseurs aux poids de {name}, dont {missing[0]}",
            ),
            tr(
                "save the whole model again with save_pretrained, or choose another",
                "enregistrez de nouveau le modèle entier avec save_pretrained, ou choisissez-en un autre",
            ),
        )
    return model  # type: ignore[no-any-return]


def _wrap(name: str, fast: Any) -> NoteTokenizer:
    backend = getattr(fast, "backend_tokenizer", None)
    if backend is None:
        raise ConfigError(
            tr(f"{name} has no fast tokenizer", f"{name} n'a pas de tokeniseur rapide"),
            tr(
                "save one beside the model (tokenizer.json), or choose another --text-model",
                "enregistrez-en un avec le modèle (tokenizer.json), ou choisissez un autre --text-model",
            ),
        )
    # GPT-2 and LLaMA have no padding token: any id will do where the mask says that there is nothing.
    candidates = (fast.pad_token_id, fast.eos_token_id, fast.bos_token_id, 0)
    pad_id = next(candidate for candidate in candidates if candidate is not None)
    prefix = "passage: " if _E5_NAME.search(Path(name).as_posix()) else ""
    return NoteTokenizer(backend, int(pad_id), prefix, fast.eos_token_id)


def _cannot_load(name: str, error: Exception, *, local_only: bool) -> ConfigError:
    folder = tr(
        "give --text-model the folder of a model saved by save_pretrained",
        "donnez à --text-model le dossier d'un modèle enregistré par save_pretrained",
    )
    if local_only and not Path(name).is_dir():
        # Random weights are no way round: even they need the hub's config and vocabulary.
        installed = tr(
            f"use the installed model: {PACKAGED_EXAMPLE}", f"prenez le modèle installé : {PACKAGED_EXAMPLE}"
        )
        return unreachable(name, installed, folder)
    near = difflib.get_close_matches(name, _FAMILIAR, n=3, cutoff=0.5)
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ConfigError(
        tr(f"cannot load the text model {name}: {first}", f"impossible de charger le modèle de texte {name} : {first}"),
        tr(
            f"did you mean {', '.join(near) or PACKAGED_EXAMPLE}? Or {folder}",
            f"vouliez-vous {', '.join(near) or PACKAGED_EXAMPLE} ? Ou {folder}",
        ),
    )
