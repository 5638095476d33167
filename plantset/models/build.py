"""Build a model from names and numbers."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.encoders.registry import build_text_encoder, build_vision_encoder
from plantset.encoders.text import TextEncoder
from plantset.models.config import NO_TEXT_MODEL, PACKAGED_TEXT, PACKAGED_VISION, ModelConfig
from plantset.models.multimodal import MultimodalModel
from plantset.models.presets import PRESETS, Preset, preset_config


def create_multimodal_model(
    num_classes: int,
    vision_backbone: str = PACKAGED_VISION,
    text_model: str = PACKAGED_TEXT,
    vision_dim: int | None = None,
    text_dim: int | None = None,
    fusion_dim: int | None = None,
    num_attention_heads: int | None = None,
    num_attention_layers: int | None = None,
    gradient_checkpointing: bool = False,
    *,
    preset: Preset = "cross-attention",
    pretrained: bool = True,
    vision_weights: str | Path | None = None,
    image_size: int | None = None,
    note_length: int | None = None,
    text_length: int | None = None,
    dropout: float | None = None,
    freeze_vision: bool = False,
    freeze_stages: int = 0,
    freeze_text: bool = True,
    vocabulary_size: int = 0,
) -> MultimodalModel:
    """Build a vision-language model; `None` takes the preset's value.

    Args:
        num_classes: outputs of the classifier, at least 2.
        vision_backbone: any timm model, or `timm-packaged:tf_efficientnet_lite0`.
        text_model: any Hugging Face encoder or decoder, a local folder, `packaged:multilingual-e5-small`, or `none`.
        vision_dim, text_dim: widths after each tower.
        fusion_dim: width in which photo and note meet.
        num_attention_heads: of any number up to `fusion_dim`; a head is `fusion_dim // heads` wide.
        num_attention_layers: fusion layers.
        gradient_checkpointing: less memory for about a third more time.
        pretrained: False starts from random weights.
        vision_weights: a local file of weights for the backbone.
        image_size: side of the square input in pixels; by default the weights' own.
        note_length, text_length: tokens of a note and of a description.
        freeze_vision, freeze_stages, freeze_text: what stays as it is.
        vocabulary_size: of the captioner; 0 builds none.

    Raises:
        ConfigError: an unknown name, or numbers that do not fit together.
        CheckpointError: weights that are missing or damaged.
    """
    if num_classes < 2:
        raise ConfigError(
            tr(
                f"a classifier needs at least 2 classes, not {num_classes}",
                f"un classifieur demande au moins 2 classes, pas {num_classes}",
            ),
            tr("check the manifest's labels", "vérifiez les étiquettes du manifeste"),
        )
    if preset not in PRESETS:
        raise ConfigError(tr(f"unknown preset {preset}", f"préréglage inconnu : {preset}"), " | ".join(PRESETS))
    config = preset_config(
        preset,
        num_classes,
        {
            "vision_dim": vision_dim,
            "text_dim": text_dim,
            "fusion_dim": fusion_dim,
            "num_attention_heads": num_attention_heads,
            "num_attention_layers": num_attention_layers,
            "note_length": note_length,
            "caption_length": text_length,
            "dropout": dropout,
        },
    )
    check_model_config(config)
    vision = build_vision_encoder(
        vision_backbone,
        pretrained=pretrained,
        weights_path=Path(vision_weights) if vision_weights is not None else None,
        image_size_px=image_size,
    )
    if freeze_vision:
        vision.freeze()
    text = None if text_model == NO_TEXT_MODEL else build_text_encoder(text_model, pretrained=pretrained)
    if text is not None:
        _check_note_length(text, config.note_length)
        if freeze_text:
            text.freeze()
    model = MultimodalModel(
        config,
        vision,
        text_width=text.width if text is not None else 0,
        vocabulary_size=vocabulary_size,
        frozen_stages=0 if freeze_vision else freeze_stages,
    )
    model.text = text
    if gradient_checkpointing:
        model.set_gradient_checkpointing(True)
    return model


def check_model_config(config: ModelConfig) -> None:
    """Refuse numbers that no model can have.

    Raises:
        ConfigError: a width or a length under 1, or a dropout outside [0, 1).
    """
    positive = ("vision_dim", "text_dim", "fusion_dim", "num_attention_heads", "note_length", "shared_dim")
    for name in positive:
        if getattr(config, name) < 1:
            raise _out_of_range(name, getattr(config, name), tr("at least 1", "au moins 1"))
    if config.num_attention_layers < 0:
        raise _out_of_range("num_attention_layers", config.num_attention_layers, tr("at least 0", "au moins 0"))
    if config.caption_length < 8:
        raise _out_of_range("text_length", config.caption_length, tr("at least 8", "au moins 8"))
    if not 0 <= config.dropout < 1:
        raise _out_of_range("dropout", config.dropout, tr("0 to below 1", "de 0 à moins de 1"))


def _check_note_length(text: TextEncoder, note_length: int) -> None:
    if text.max_tokens is not None and note_length > text.max_tokens:
        raise _out_of_range("note_length", note_length, tr(f"at most {text.max_tokens}", f"au plus {text.max_tokens}"))


def count_parameters(model: MultimodalModel) -> tuple[int, int]:
    """Return (all, trainable) parameters, the attached text tower included."""
    parameters: list[Tensor] = list(model.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


def _out_of_range(name: str, value: float, expected: str) -> ConfigError:
    return ConfigError(tr(f"{name} is {value}", f"{name} vaut {value}"), tr(f"give {expected}", f"donnez {expected}"))
