"""What a model is made of: JSON-able, stored in the checkpoint, enough to build it again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from plantset.core.options import option

NO_TEXT_MODEL = "none"
PACKAGED_VISION = "timm-packaged:tf_efficientnet_lite0"
PACKAGED_TEXT = "packaged:multilingual-e5-small"

PresetName = Literal["cross-attention", "qwen-vl", "vadapter", "flava", "florence-2"]
ConnectorName = Literal["linear", "mlp", "resampler", "vadapter"]
FusionName = Literal["cross-attention", "flava", "none"]
ClassifierName = Literal["linear", "cosine", "names"]
CaptionerName = Literal["decoder", "prefix", "none"]
TextPooling = Literal["mean", "attention", "last"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Which parts stand between the towers and the answers, how wide and how deep.

    A field that an older checkpoint lacks has the default, which builds what that version built.

    Attributes:
        num_classes: outputs of the classifier.
        vision_dim: the vision tower's tokens are projected to this width first.
        text_dim: the text tower's tokens are projected to this width first.
        fusion_dim: width D in which image and note meet.
        num_attention_heads: heads of every attention; a head is fusion_dim // heads wide.
        num_attention_layers: fusion layers.
        note_length: tokens of a grower's note; a longer note is cut.
        caption_length: tokens of a description, prompt and end included.
        caption_layers: decoder layers; 0 builds no captioner.
        shared_dim: width of the space in which photos and descriptions are compared.
        dropout: in fusion, captioner and before the classifier.
        connector: from the vision tower's tokens to the image tokens (`models.connector`).
        num_queries: image tokens that the connectors with learned queries make; the others ignore it.
        adapter_layers: transformer layers of the vadapter connector's small language model.
        fusion: how image and note tokens meet (`models.fusion`).
        classifier: what turns features into logits: a linear layer, cosines, or the likelihood of each class's name.
        hierarchy: the crop first, then the disease given the crop.
        class_crops: index of each class's crop, for the hierarchy; empty without it.
        class_name_ids: each class's name as the captioner's ids, prompt and end included; empty unless the
            classifier is "names".
        captioner: a decoder of its own that cross-attends to the photo, the text model behind image tokens
            (`models.prefix`), or none.
        caption_prompts: tasks and languages that the prefix captioner has a prompt for; 0 with another one.
        caption_evidence: whether the captioner sees the pooled photo and the predicted classes beside image tokens.
        text_pooling: how note tokens become one vector.
        description: whether photos are compared with the bank of descriptions.
        matching: whether the model says if a note is about the photo.
        masking: whether it has the heads that predict hidden image and note tokens (`models.masking`).
    """

    num_classes: int
    vision_dim: int = 512
    text_dim: int = 256
    fusion_dim: int = 256
    num_attention_heads: int = 8
    num_attention_layers: int = 2
    note_length: int = 48
    caption_length: int = 128
    caption_layers: int = 2
    shared_dim: int = 256
    dropout: float = 0.1
    connector: ConnectorName = "linear"
    num_queries: int = 16
    adapter_layers: int = 2
    fusion: FusionName = "cross-attention"
    classifier: ClassifierName = "linear"
    hierarchy: bool = False
    class_crops: tuple[int, ...] = ()
    class_name_ids: tuple[tuple[int, ...], ...] = ()
    captioner: CaptionerName = "decoder"
    caption_prompts: int = 0
    caption_evidence: bool = False
    text_pooling: TextPooling = "mean"
    description: bool = True
    matching: bool = True
    masking: bool = False


def model_config_from_json(values: Mapping[str, Any]) -> ModelConfig:
    """Restore what `dataclasses.asdict` gave, after a round trip through JSON; older files lack newer fields.

    Raises:
        ValueError: a field is of a later version, whose model this one cannot build; its name is the message.
    """
    refuse_later_fields(ModelConfig, values)
    crops: Sequence[int] = values.get("class_crops", ())
    names: Sequence[Sequence[int]] = values.get("class_name_ids", ())
    return ModelConfig(**{**values, "class_crops": tuple(crops), "class_name_ids": tuple(map(tuple, names))})


def refuse_later_fields(kind: type, values: Mapping[str, Any]) -> None:
    """Refuse stored values of a dataclass that has fields this version does not know.

    Raises:
        ValueError: their names are the message.
    """
    unknown = values.keys() - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise ValueError(", ".join(sorted(unknown)))


@dataclass(frozen=True)
class ModelsConfig:
    """Show the presets and backbones there are, and what a model of them weighs and costs, without building it."""

    search: str | None = option(
        None,
        en="list the vision backbones whose name contains this word, with their sizes",
        fr="lister les réseaux de vision dont le nom contient ce mot, avec leurs tailles",
    )
    preset: PresetName | None = option(
        None,
        en="show this preset part by part (default: all, a line each)",
        fr="montrer ce préréglage partie par partie (défaut : tous, une ligne chacun)",
    )
    vision_backbone: str = option(
        PACKAGED_VISION, en="the vision backbone to measure with", fr="le réseau de vision avec lequel mesurer"
    )
    base: str | None = option(
        None,
        en="a released vision-language checkpoint to measure instead, by its Hugging Face name or its folder: CLIP,"
        " SigLIP 2, DINOv2, DINOv3, FLAVA, Florence-2 (docs/released.md)",
        fr="un modèle vision-langage publié à mesurer à la place, par son nom Hugging Face ou son dossier : CLIP,"
        " SigLIP 2, DINOv2, DINOv3, FLAVA, Florence-2 (docs/released.fr.md)",
    )
    text_model: str = option(
        PACKAGED_TEXT,
        en="the text model to measure with, or none",
        fr="le modèle de texte avec lequel mesurer, ou none",
    )
    num_classes: int = option(38, en="classes of the classifier", fr="classes du classifieur")
    image_size: int | None = option(
        None,
        en="side of the square input in pixels; by default what the weights were trained with",
        fr="côté de l'entrée carrée en pixels ; par défaut celui de l'entraînement des poids",
    )
    batch_size: int = option(32, en="photos in a training step", fr="photos par pas d'entraînement")
    freeze_vision: bool = option(
        False, en="with the whole vision tower kept as it is", fr="avec toute la tour de vision gardée telle quelle"
    )
    freeze_stages: int | None = option(
        None,
        en="with the first stages of the vision tower kept as they are (default: as `plantset train`)",
        fr="avec les premières étapes de la tour de vision gardées telles quelles (défaut : comme `plantset train`)",
    )
    freeze_text: bool = option(
        True, en="with the text tower kept as it is", fr="avec la tour de texte gardée telle quelle"
    )
    text_lora_rank: int = option(
        0,
        en="with adapters of this rank learning beside the text tower's frozen attention (0: none)",
        fr="avec des adaptateurs de ce rang qui apprennent à côté de l'attention gelée de la tour de texte (0 : aucun)",
    )
    device: Literal["auto", "cpu", "cuda", "tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e"] = option(
        "auto",
        en="the device whose memory to compare with; for a TPU one chip, which need not be there, and --batch-size is"
        " the photos of that chip",
        fr="l'appareil avec la mémoire duquel comparer ; pour un TPU une puce, qui n'a pas à être là, et --batch-size"
        " compte les photos de cette puce",
    )


def usual_frozen_stages(vision_backbone: str) -> int:
    """Return how many stages of a pretrained tower stay as they are unless asked otherwise.

    Of 1,057 real test photos 88.5 % are named right with three stages of the packaged backbone frozen; logistic
    regression on the frozen tower names 83.8 % (make real).
    """
    return 3 if vision_backbone == PACKAGED_VISION else 0
