"""Build a model from names and numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.core.vocabulary import CaptionVocabulary, LanguageModelVocabulary
from plantset.encoders.language import LanguageModel
from plantset.encoders.lora import add_adapters
from plantset.encoders.registry import build_text_encoder, build_vision_encoder
from plantset.encoders.released_files import PREFIX
from plantset.encoders.released_text import has_text_tower
from plantset.encoders.text import TextEncoder
from plantset.encoders.vision import VisionEncoder
from plantset.models.caption_choice import check_prefix, check_vocabulary, choose_captioner
from plantset.models.checks import check_adapters, check_model_config, check_parts, out_of_range
from plantset.models.config import (
    NO_TEXT_MODEL,
    PACKAGED_TEXT,
    PACKAGED_VISION,
    CaptionerName,
    ClassifierName,
    ConnectorName,
    FusionName,
    ModelConfig,
    TextPooling,
)
from plantset.models.multimodal import MultimodalModel
from plantset.models.name_scoring import class_name_ids, class_text
from plantset.models.prefix import PrefixCaptioner
from plantset.models.presets import PRESETS, PresetName, preset_config


def towers_of(base: str | None, vision_backbone: str, text_model: str) -> tuple[str, str]:
    """Return the names of vision and text tower: those of the released checkpoint `base`, where one is given.

    Its text encoder takes the place of the default text model alone, and where the checkpoint has none with a
    tokenizer, or another text model was asked for, that one stays.

    Raises:
        ConfigError: another vision backbone is given as well, or the checkpoint cannot be read.
    """
    if base is None:
        return vision_backbone, text_model
    own = PREFIX + base.removeprefix(PREFIX)
    if vision_backbone not in (PACKAGED_VISION, own):
        raise ConfigError(
            tr(
                f"--base {base} and --vision-backbone {vision_backbone} both name the vision tower",
                f"--base {base} et --vision-backbone {vision_backbone} nomment tous deux la tour de vision",
            ),
            tr("give one of them", "donnez l'un des deux"),
        )
    if text_model != PACKAGED_TEXT:
        return own, text_model
    return own, own if has_text_tower(own.removeprefix(PREFIX)) else text_model


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
    preset: PresetName = "cross-attention",
    connector: ConnectorName | None = None,
    num_queries: int | None = None,
    fusion: FusionName | None = None,
    classifier: ClassifierName | None = None,
    hierarchy: bool = False,
    captioner: CaptionerName | None = None,
    text_pooling: TextPooling | None = None,
    class_names: Sequence[str] = (),
    class_texts: Sequence[str] = (),
    vocabulary: CaptionVocabulary | None = None,
    language: str = "fr",
    pretrained: bool = True,
    base: str | None = None,
    vision_weights: str | Path | None = None,
    image_size: int | None = None,
    note_length: int | None = None,
    text_length: int | None = None,
    dropout: float | None = None,
    freeze_vision: bool = False,
    freeze_stages: int = 0,
    freeze_text: bool = True,
    text_lora_rank: int = 0,
    vocabulary_size: int = 0,
) -> MultimodalModel:
    """Build a vision-language model; `None` takes the preset's value.

    Args:
        num_classes: outputs of the classifier, at least 2.
        vision_backbone: any timm model, or `timm-packaged:tf_efficientnet_lite0`.
        text_model: any Hugging Face encoder or decoder, a local folder, `packaged:multilingual-e5-small`,
            `packaged:smollm2-135m`, or `none`.
        vision_dim, text_dim: widths after each tower.
        fusion_dim: width in which photo and note meet.
        num_attention_heads: of any number up to `fusion_dim`; a head is `fusion_dim // heads` wide.
        num_attention_layers: fusion layers.
        gradient_checkpointing: less memory for about a third more time.
        preset: cross-attention, qwen-vl, vadapter, flava or florence-2 (`plantset models` lists their parts).
        connector, fusion, classifier, captioner, text_pooling: see `ModelConfig`.
        num_queries: image tokens of the connectors resampler and vadapter.
        hierarchy: answer the crop first, then the disease given the crop; needs `class_names`.
        class_names: class ids in index order, such as `tomato--late-blight`.
        class_texts: each class's name as the captioner writes it; by default the class id's words.
        vocabulary: the captioner's; the classifier "names" needs it, and `class_names`. Of the captioner "prefix",
            the text model's own (`caption_choice.language_model_vocabulary`), with which the presets qwen-vl and
            vadapter choose it.
        language: of the prompt under which class names are scored.
        pretrained: False starts from random weights.
        base: a released vision-language checkpoint, by its Hugging Face name or folder, whose towers are taken instead
            (`towers_of`): CLIP, SigLIP, SigLIP 2, DINOv2, DINOv3, FLAVA or Florence-2.
        vision_weights: a local file of weights for the backbone.
        image_size: side of the square input in pixels; by default the weights' own.
        note_length, text_length: tokens of a note and of a description.
        freeze_vision, freeze_stages, freeze_text: what stays as it is.
        text_lora_rank: of adapters that learn beside the frozen weights of the text tower's attention; 0 for none.
        vocabulary_size: of the captioner, where no `vocabulary` is given; 0 builds none.

    Raises:
        ConfigError: an unknown name, or numbers or parts that do not fit together.
        CheckpointError: weights that are missing or damaged.
    """
    if preset not in PRESETS:
        raise ConfigError(tr(f"unknown preset {preset}", f"préréglage inconnu : {preset}"), " | ".join(PRESETS))
    if captioner == "prefix" or isinstance(vocabulary, LanguageModelVocabulary):
        captioner = choose_captioner(preset, captioner, text_model)
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
            "connector": connector,
            "num_queries": num_queries,
            "fusion": fusion,
            "classifier": classifier,
            "captioner": captioner,
            "text_pooling": text_pooling,
        },
    )
    vocabulary_size = len(vocabulary) if vocabulary is not None else vocabulary_size
    if class_names:
        _check_names("class_names", class_names, num_classes)
    config = with_crops(config, class_names) if hierarchy else config
    if config.classifier == "names" and vocabulary is not None:
        texts = class_texts or [class_text(name) for name in class_names]
        config = with_names(config, texts, vocabulary, language)
    check_model_config(config)
    check_parts(config, vocabulary_size)
    vision_backbone, text_model = towers_of(base, vision_backbone, text_model)
    check_adapters(text_lora_rank, has_text=text_model != NO_TEXT_MODEL, freeze_text=freeze_text)
    check_vocabulary(config, vocabulary)
    if config.captioner == "prefix" and isinstance(vocabulary, LanguageModelVocabulary):
        config = dataclasses.replace(config, caption_prompts=vocabulary.num_prompts)
    vision = build_vision_encoder(
        vision_backbone,
        pretrained=pretrained,
        weights_path=Path(vision_weights) if vision_weights is not None else None,
        image_size_px=image_size,
    )
    writes = config.captioner == "prefix" and vocabulary_size > 0
    takes_notes = text_model != NO_TEXT_MODEL
    text = build_text_encoder(text_model, pretrained=pretrained, writes=writes) if takes_notes else None
    model = assemble(
        config,
        vision,
        text,
        vocabulary_size=vocabulary_size,
        freeze_vision=freeze_vision,
        freeze_stages=freeze_stages,
        freeze_text=freeze_text,
        text_lora_rank=text_lora_rank,
    )
    if gradient_checkpointing:
        model.set_gradient_checkpointing(True)
    return model


def assemble(
    config: ModelConfig,
    vision: VisionEncoder,
    text: TextEncoder | None,
    *,
    vocabulary_size: int,
    freeze_vision: bool = False,
    freeze_stages: int = 0,
    freeze_text: bool = True,
    text_lora_rank: int = 0,
) -> MultimodalModel:
    """Put a model together around two towers.

    Raises:
        ConfigError: a note, or image tokens and a description, longer than the text tower reads, stages that the vision
            tower does not have, or a text tower that takes no adapters.
    """
    if freeze_vision:
        vision.freeze()
    if text is not None:
        _check_note_length(text, config.note_length)
        if text_lora_rank:
            add_adapters(text, text_lora_rank)
        elif freeze_text:
            text.freeze()
    model = MultimodalModel(
        config,
        vision,
        text_width=text.width if text is not None else 0,
        vocabulary_size=vocabulary_size,
        frozen_stages=0 if freeze_vision else freeze_stages,
    )
    model.attach_text(text)
    if isinstance(text, LanguageModel) and isinstance(model.captioner, PrefixCaptioner):
        check_prefix(model, text, vocabulary_size)
        model.captioner.begin_at_the_scale_of_words()
    return model


def with_crops(config: ModelConfig, class_names: Sequence[str]) -> ModelConfig:
    """Return the config with a hierarchy: each class's crop stands before the two dashes of its id.

    Raises:
        ConfigError: the names are not given, or not as many as there are classes.
    """
    _check_names("class_names", class_names, config.num_classes)
    crops = [name.partition("--")[0] for name in class_names]
    order = sorted(set(crops))
    return dataclasses.replace(config, hierarchy=True, class_crops=tuple(map(order.index, crops)))


def with_names(
    config: ModelConfig, class_texts: Sequence[str], vocabulary: CaptionVocabulary, language: str
) -> ModelConfig:
    """Return the config with each class's name as the captioner's ids.

    Raises:
        ConfigError: the names are not given, not as many as there are classes, two alike, or too long.
    """
    _check_names("class_texts", class_texts, config.num_classes)
    name_ids = class_name_ids(vocabulary, class_texts, language)
    longest = max(map(len, name_ids))
    if longest > config.caption_length:
        raise out_of_range("text_length", config.caption_length, tr(f"at least {longest}", f"au moins {longest}"))
    return dataclasses.replace(config, class_name_ids=name_ids)


def _check_names(keyword: str, names: Sequence[str], num_classes: int) -> None:
    if len(set(names)) == num_classes == len(names):
        return
    raise ConfigError(
        tr(
            f"{keyword} has {len(set(names))} different names, and there are {num_classes} classes",
            f"{keyword} a {len(set(names))} noms différents, et il y a {num_classes} classes",
        ),
        tr("give the name of each class, in index order", "donnez le nom de chaque classe, dans l'ordre des indices"),
    )


def _check_note_length(text: TextEncoder, note_length: int) -> None:
    if text.max_tokens is not None and note_length > text.max_tokens:
        raise out_of_range("note_length", note_length, tr(f"at most {text.max_tokens}", f"au plus {text.max_tokens}"))


def count_parameters(model: MultimodalModel) -> tuple[int, int]:
    """Return (all, trainable) parameters, the attached text tower included."""
    parameters: list[Tensor] = list(model.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)
