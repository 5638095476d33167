"""What a model is made of: JSON-able, stored in the checkpoint, enough to build it again."""

from __future__ import annotations

from dataclasses import dataclass

NO_TEXT_MODEL = "none"
PACKAGED_VISION = "timm-packaged:tf_efficientnet_lite0"
PACKAGED_TEXT = "packaged:multilingual-e5-small"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Widths and depths of the parts between the towers and the answers.

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
