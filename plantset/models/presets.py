"""Named starting points, each from its paper: which parts, which losses, what learns when.

Every value can be overridden by its own flag. What a preset takes from its paper, and what it leaves, stands with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from plantset.models.config import ClassifierName, ModelConfig, PresetName

PRESETS: tuple[PresetName, ...] = get_args(PresetName)
Part = Literal["vision", "text", "connector", "fusion", "heads", "captioner"]
PARTS: tuple[Part, ...] = get_args(Part)
__all__ = [
    "PARTS",
    "PRESETS",
    "ObjectiveWeights",
    "Part",
    "Preset",
    "PresetName",
    "Stage",
    "find_preset",
    "preset_config",
    "preset_weights",
]
_ALL: frozenset[Part] = frozenset(PARTS)


@dataclass(frozen=True, slots=True)
class ObjectiveWeights:
    """The weight of each loss in the sum that is minimised; a loss of weight 0 is not computed.

    Attributes:
        classification: cross-entropy of the class logits; 0 where the class is a text that the captioner writes.
        caption: the description, word by word.
        contrastive: the photo against the bank of descriptions.
        matching: "this note is about this photo".
        note_only: the class from the note alone; its name, where the class is a text.
        masked_image: masked image tokens, predicted from the others (FLAVA's MIM).
        masked_text: masked note words, predicted from the others (FLAVA's MLM).
        masked_multimodal: both, on fused tokens of matching pairs (FLAVA's MMM).
        class_name: the class's name, word by word, after the prompt <CLASSIFY>.
        image_text: the batch's photos against the batch's notes, both ways (CLIP's loss, label-aware).
        hard_matching: "this note is not about this photo", for the batch's best fitting note about another class.
    """

    classification: float = 1.0
    caption: float = 0.25
    contrastive: float = 0.2
    matching: float = 0.05
    note_only: float = 0.2
    masked_image: float = 0.0
    masked_text: float = 0.0
    masked_multimodal: float = 0.0
    class_name: float = 0.0
    image_text: float = 0.0
    hard_matching: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of the training during which only some parts learn.

    Attributes:
        share_of_epochs: of the whole training; the shares of a preset's stages add up to 1.
        trains: the parts that learn; a part that the user froze stays frozen.
    """

    name: str
    share_of_epochs: float
    trains: frozenset[Part]


@dataclass(frozen=True, slots=True)
class Preset:
    """A named starting point.

    Attributes:
        model: values of `ModelConfig` that differ from its defaults.
        weights: of the losses.
        stages: in order.
        writes_with_text_model: a decoder-only text model is the captioner, too (`models.prefix`).
        paper: where the idea comes from; empty for our own.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    weights: ObjectiveWeights = ObjectiveWeights()
    stages: tuple[Stage, ...] = (Stage("all", 1.0, _ALL),)
    writes_with_text_model: bool = False
    paper: str = ""


# Qwen-VL's own first stage trains the tower and the adapter under a frozen language model. Here fusion, heads and
# captioner begin at random, so that nothing could be learnt under them: they learn from the start, and what is spared
# is the pretrained tower. Its last stage, with the tower frozen again, is the paper's.
_QWEN_VL_STAGES = (
    Stage("align", 0.25, _ALL - {"vision", "text"}),
    Stage("together", 0.5, _ALL),
    Stage("tune", 0.25, _ALL - {"vision"}),
)
# VAdapter first trains the small language model as a decoder on a frozen tower, then the adapter under a large frozen
# language model. We have no large one: the second stage lets the towers learn, too.
_VADAPTER_STAGES = (Stage("adapter", 0.5, _ALL - {"vision", "text"}), Stage("together", 0.5, _ALL))

# Ours, in none of the papers: the captioner sees which classes the classifier sees, so that they do not contradict each
# other. Florence-2 has no classifier: name and description are written by one decoder.
_EVIDENCE: Mapping[str, Any] = {"caption_evidence": True}

_PRESETS: dict[PresetName, Preset] = {
    "cross-attention": Preset(_EVIDENCE),
    "qwen-vl": Preset(
        {"connector": "resampler", **_EVIDENCE},
        stages=_QWEN_VL_STAGES,
        writes_with_text_model=True,
        paper="arXiv 2308.12966",
    ),
    "vadapter": Preset(
        {"connector": "vadapter", **_EVIDENCE},
        stages=_VADAPTER_STAGES,
        writes_with_text_model=True,
        paper="arXiv 2402.10896",
    ),
    "flava": Preset(
        {"fusion": "flava", "masking": True, **_EVIDENCE},
        ObjectiveWeights(matching=0.1, masked_image=0.1, masked_text=0.1, masked_multimodal=0.1),
        paper="arXiv 2112.04482",
    ),
    "florence-2": Preset(
        {"fusion": "flava", "classifier": "names", "description": False, "matching": False},
        ObjectiveWeights(classification=0.0, contrastive=0.0, matching=0.0, class_name=1.0),
        paper="arXiv 2311.06242",
    ),
}


def find_preset(name: PresetName) -> Preset:
    """Return the preset of that name."""
    return _PRESETS[name]


def preset_config(preset: PresetName, num_classes: int, overrides: Mapping[str, Any]) -> ModelConfig:
    """Return the preset's model with the values that are not None in `overrides`."""
    given = _given(overrides)
    if given.get("classifier") == "names":  # it reads no pooled features, which these heads would need
        given = {"description": False, "matching": False, **given}
    return dataclasses.replace(ModelConfig(num_classes), **{**_PRESETS[preset].model, **given})


def preset_weights(
    preset: PresetName, overrides: Mapping[str, float | None], classifier: ClassifierName | None = None
) -> ObjectiveWeights:
    """Return the preset's weights of the losses with the values that are not None in `overrides`.

    Args:
        classifier: that was chosen instead of the preset's: a class is learnt by its name or by its logits, not both.
    """
    weights = dataclasses.replace(_PRESETS[preset].weights, **_given(overrides))
    kind = classifier or preset_config(preset, 2, {}).classifier
    answer = max(weights.classification, weights.class_name)
    if kind == "names":
        return dataclasses.replace(weights, classification=0.0, class_name=answer)
    return dataclasses.replace(weights, classification=answer, class_name=0.0)


def _given(overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in overrides.items() if value is not None}
