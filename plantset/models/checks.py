"""Refuse what no model can be, before anything is built."""

from __future__ import annotations

from typing import get_args

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.models.attention import head_width
from plantset.models.config import (
    CaptionerName,
    ClassifierName,
    ConnectorName,
    FusionName,
    ModelConfig,
    TextPooling,
)

_CHOICES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("connector", get_args(ConnectorName)),
    ("fusion", get_args(FusionName)),
    ("classifier", get_args(ClassifierName)),
    ("captioner", get_args(CaptionerName)),
    ("text_pooling", get_args(TextPooling)),
)
_AT_LEAST = (
    ("vision_dim", 1),
    ("text_dim", 1),
    ("fusion_dim", 1),
    ("num_attention_heads", 1),
    ("note_length", 1),
    ("shared_dim", 1),
    ("num_queries", 1),
    ("num_attention_layers", 0),
    ("adapter_layers", 0),
)


def check_model_config(config: ModelConfig) -> None:
    """Refuse numbers and names that no model can have.

    Raises:
        ConfigError: fewer than 2 classes, an unknown part, a width or a length too small, more heads than the width
            has dimensions, or a dropout outside [0, 1).
    """
    if config.num_classes < 2:
        raise ConfigError(
            tr(
                f"a classifier needs at least 2 classes, not {config.num_classes}",
                f"un classifieur demande au moins 2 classes, pas {config.num_classes}",
            ),
            tr("check the manifest's labels", "vérifiez les étiquettes du manifeste"),
        )
    for name, choices in _CHOICES:
        if getattr(config, name) not in choices:
            raise out_of_range(name, getattr(config, name), " | ".join(choices))
    for name, least in _AT_LEAST:
        if getattr(config, name) < least:
            raise out_of_range(name, getattr(config, name), tr(f"at least {least}", f"au moins {least}"))
    if config.caption_length < 8:
        raise out_of_range("text_length", config.caption_length, tr("at least 8", "au moins 8"))
    if not 0 <= config.dropout < 1:
        raise out_of_range("dropout", config.dropout, tr("0 to below 1", "de 0 à moins de 1"))
    head_width(config.fusion_dim, config.num_attention_heads)


def check_parts(config: ModelConfig, vocabulary_size: int) -> None:
    """Refuse parts that need another part which is not there.

    Raises:
        ConfigError: naming both parts.
    """
    has_captioner = vocabulary_size > 0 and config.caption_layers > 0 and config.captioner != "none"
    if config.classifier == "names" and not has_captioner:
        raise ConfigError(
            tr(
                "the classifier “names” scores class names with the captioner's decoder, and there is none",
                "le classifieur « names » note les noms de classes avec le décodeur du rédacteur, qui manque",
            ),
            tr(
                "leave --captioner and --caption-weight as they are, or give --classifier linear",
                "laissez --captioner et --caption-weight tels quels, ou donnez --classifier linear",
            ),
        )
    if config.classifier == "names" and config.captioner == "prefix":
        raise ConfigError(
            tr(
                "the classifier “names” scores class names with a decoder of its own, not with the captioner “prefix”",
                "le classifieur « names » note les noms avec un décodeur à lui, pas avec le rédacteur « prefix »",
            ),
            tr(
                "give --captioner decoder, or another --classifier",
                "donnez --captioner decoder, ou un autre --classifier",
            ),
        )
    if config.classifier == "names" and config.hierarchy:
        raise ConfigError(
            tr(
                "--hierarchy and the classifier “names” exclude each other: names begin with the crop already",
                "--hierarchy et le classifieur « names » s'excluent : les noms commencent déjà par la culture",
            ),
            tr("leave --hierarchy out", "ne donnez pas --hierarchy"),
        )
    if config.masking and (config.connector != "linear" or config.fusion == "none"):
        raise ConfigError(
            tr(
                "masked modelling predicts each hidden token in its place from the others: the connector"
                f" “{config.connector}” with the fusion “{config.fusion}” does not allow it",
                "la modélisation masquée prédit chaque jeton caché à sa place à partir des autres : le connecteur"
                f" « {config.connector} » avec la fusion « {config.fusion} » ne le permet pas",
            ),
            tr(
                "with --preset flava leave --connector and --fusion as they are, or choose another preset",
                "avec --preset flava, laissez --connector et --fusion tels quels, ou choisissez un autre préréglage",
            ),
        )


def check_adapters(text_lora_rank: int, *, has_text: bool, freeze_text: bool) -> None:
    """Refuse adapters of the text tower that cannot be.

    Raises:
        ConfigError: a negative rank, no text tower, or one whose own weights learn, too.
    """
    if text_lora_rank < 0:
        raise out_of_range("text_lora_rank", text_lora_rank, tr("at least 0 (none)", "au moins 0 (aucun)"))
    if text_lora_rank and not has_text:
        raise ConfigError(
            tr("--text-lora-rank without a text model", "--text-lora-rank sans modèle de texte"),
            tr(
                "give a --text-model, or leave --text-lora-rank out", "donnez un --text-model, ou ôtez --text-lora-rank"
            ),
        )
    if text_lora_rank and not freeze_text:
        raise ConfigError(
            tr(
                "--text-lora-rank trains adapters beside frozen weights, --no-freeze-text the weights themselves",
                "--text-lora-rank entraîne des adaptateurs à côté de poids gelés, --no-freeze-text les poids mêmes",
            ),
            tr("give one of them", "donnez l'un des deux"),
        )


def out_of_range(name: str, value: object, expected: str) -> ConfigError:
    """Return the error that names a setting, what it is and what it may be."""
    return ConfigError(tr(f"{name} is {value}", f"{name} vaut {value}"), tr(f"give {expected}", f"donnez {expected}"))
