"""The text tower of a released vision-language checkpoint, with its own tokenizer, behind the face of `TextEncoder`.

CLIP (causal, 77 tokens, English), SigLIP and SigLIP 2 of fixed resolution (64 tokens; 2 is multilingual), FLAVA (a
BERT, English) and Florence-2 (the encoder of its BART, English). DINOv2 and DINOv3 have none.

Departures: SigLIP was trained with its padding attended to, here padding is masked as everywhere. Florence-2's encoder
reads image tokens before the text, here the text alone: both meet in our fusion. Projections into the checkpoint's
shared space stay out; our own description head learns one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.encoders import hugging_face
from plantset.encoders.released_files import PREFIX, Part, Released, find_file, load_part, read_released
from plantset.encoders.text import NoteTokenizer, TextEncoder

# model_type of the checkpoint -> its text tower
_PARTS: Mapping[str, Part] = {
    "clip": Part("CLIPTextModel", "text_config"),
    "siglip": Part("SiglipTextModel", "text_config"),
    "flava": Part("FlavaModel", path="text_model"),  # its own class does not find its weights in the whole model's file
    "florence2": Part("Florence2Model", path="language_model.encoder"),
}
_CAUSAL = ("clip_text_model",)
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "vocab.txt")  # of which transformers makes a fast one


def has_text_tower(source: str) -> bool:
    """Tell whether a checkpoint has a text encoder that can read notes, and its tokenizer.

    Raises:
        ConfigError: the hub cannot be reached, or there is no config that `transformers` knows.
    """
    return _is_usable(read_released(source))


def load_released_text(name: str, *, pretrained: bool = True) -> TextEncoder:
    """Build the text tower of a released checkpoint, with its weights strictly loaded.

    Args:
        name: `released:` and a Hugging Face name, or a folder that `save_pretrained` wrote.
        pretrained: False draws random weights; config and tokenizer are still read.

    Raises:
        ConfigError: the hub cannot be reached, or the checkpoint has no text tower, or no tokenizer that fits it.
        CheckpointError: weights are missing in it.
    """
    released = read_released(name.removeprefix(PREFIX))
    if not _is_usable(released):
        raise _no_text_tower(released)
    tokenizer = hugging_face.load_tokenizer(released.source)
    model = load_part(released, _PARTS[released.config.model_type], pretrained=pretrained)
    return _encoder(model, tokenizer, name)


def build_released_text_from(spec: Mapping[str, Any]) -> TextEncoder:
    """Rebuild the tower that `registry.text_architecture` described, with random weights."""
    import transformers
    from transformers.models.bart.modeling_bart import BartEncoder

    classes = {
        "clip_text_model": transformers.CLIPTextModel,
        "siglip_text_model": transformers.SiglipTextModel,
        "flava_text_model": transformers.FlavaTextModel,
        "bart": BartEncoder,
    }
    values = dict(spec["config"])
    tower_class = classes[values["model_type"]]
    model = tower_class(tower_class.config_class.from_dict(values))
    return _encoder(model, NoteTokenizer.from_json(spec["tokenizer"]), spec["name"])


def _is_usable(released: Released) -> bool:
    has_tokenizer = any(find_file(released.source, file).is_file() for file in _TOKENIZER_FILES)
    return released.config.model_type in _PARTS and has_tokenizer


def _encoder(model: Any, tokenizer: NoteTokenizer, name: str) -> TextEncoder:
    hugging_face.check_tokenizer(name, tokenizer, model)
    if isinstance(getattr(model, "head", None), nn.Module):
        model.head = nn.Identity()  # SigLIP's, of its pooled state: a parameter without a gradient
    causal = model.config.model_type in _CAUSAL
    return TextEncoder(model, tokenizer, name=name, causal=causal, fingerprint=None)


def _no_text_tower(released: Released) -> ConfigError:
    known = ", ".join(_PARTS)
    return ConfigError(
        tr(
            f"{released.source} ({released.config.model_type}) has no text encoder with its tokenizer",
            f"{released.source} ({released.config.model_type}) n'a pas d'encodeur de texte avec son tokeniseur",
        ),
        tr(
            f"choose another --text-model; of released checkpoints: {known}, with tokenizer.json beside the weights",
            f"choisissez un autre --text-model ; parmi les modèles publiés : {known}, avec tokenizer.json à côté des"
            " poids",
        ),
    )
