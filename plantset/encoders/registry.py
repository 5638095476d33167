"""A name becomes a tower: packaged weights, timm, Hugging Face, or what a checkpoint remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from plantset.core.errors import CheckpointError, ConfigError
from plantset.core.language import tr
from plantset.core.preprocess import PreprocessConfig
from plantset.encoders import (
    hugging_face,
    packaged_e5,
    packaged_efficientnet,
    packaged_smollm2,
    released,
    released_text,
)
from plantset.encoders.language import LanguageModel, not_a_decoder
from plantset.encoders.lora import add_adapters
from plantset.encoders.packaged_efficientnet import PackagedNetwork
from plantset.encoders.packages import PackagedFile
from plantset.encoders.released_files import PREFIX
from plantset.encoders.text import NoteTokenizer, TextEncoder
from plantset.encoders.vision import VisionEncoder, preprocess_of

PACKAGED_VISION = "timm-packaged:tf_efficientnet_lite0"
PACKAGED_VISION_LARGER = "timm-packaged:tf_efficientnet_lite2"
PACKAGED_TEXT = "packaged:multilingual-e5-small"
PACKAGED_LANGUAGE = "packaged:smollm2-135m"

_NETWORKS: Mapping[str, PackagedNetwork] = {
    PACKAGED_VISION: packaged_efficientnet.LITE0,
    PACKAGED_VISION_LARGER: packaged_efficientnet.LITE2,
}
_PACKAGED: Mapping[str, PackagedFile] = {
    **{name: network.weights for name, network in _NETWORKS.items()},
    PACKAGED_TEXT: packaged_e5.WEIGHTS,
    PACKAGED_LANGUAGE: packaged_smollm2.WEIGHTS,
}
_PACKAGED_TEXTS = (PACKAGED_TEXT, PACKAGED_LANGUAGE)


def build_vision_encoder(
    name: str, *, pretrained: bool = True, weights_path: Path | None = None, image_size_px: int | None = None
) -> VisionEncoder:
    """Build a vision tower.

    Args:
        name: `timm-packaged:tf_efficientnet_lite0` (installed with Plantset), `timm-packaged:tf_efficientnet_lite2`
            (extra `offline`), any timm name such as `resnet50`, or `released:` and a Hugging Face name or folder
            (`encoders.released`).
        pretrained: False draws random weights and needs no network.
        weights_path: a local file of weights of the same architecture, used instead of the hub's.
        image_size_px: side of the photos instead of the weights' own; a transformer's positions are interpolated.

    Raises:
        ConfigError: unknown name, weights that cannot be had, or a size that the backbone does not take.
        CheckpointError: the packaged weights or the file are missing, damaged or of another network.
    """
    if name.startswith(PREFIX):
        if weights_path is not None:
            raise _weights_with_released(name)
        return released.load_released(name, pretrained=pretrained, image_size_px=image_size_px)
    from plantset.encoders import timm_models  # timm takes seconds to import, and texts do not need it

    packaged = _NETWORKS[name] if _check_prefix(name, "timm-packaged:", tuple(_NETWORKS)) else None
    architecture = packaged.architecture if packaged is not None else name
    fingerprint = None
    if pretrained and weights_path is None and packaged is None:
        model = timm_models.create_pretrained(architecture, image_size_px=image_size_px)
    else:
        model = timm_models.create_backbone(architecture, image_size_px=image_size_px)
    if pretrained and weights_path is not None:
        timm_models.load_file(model, weights_path)
    elif pretrained and packaged is not None:
        packaged_efficientnet.load_packaged_efficientnet(model, packaged)
        fingerprint = packaged_fingerprint(name)
    preprocess = preprocess_of(model, image_size_px)
    return VisionEncoder(model, name=name, preprocess=preprocess, architecture=architecture, fingerprint=fingerprint)


def build_text_encoder(name: str, *, pretrained: bool = True, writes: bool = False) -> TextEncoder:
    """Build a text tower.

    Args:
        name: `packaged:multilingual-e5-small` (installed with Plantset), `packaged:smollm2-135m`, a Hugging Face name,
            or a folder that `save_pretrained` wrote; or `released:` and the same, for the text tower of a
            vision-language checkpoint.
        pretrained: False draws random weights; config and tokenizer are still read from the same place.
        writes: return a `LanguageModel`, which keeps its head.

    Raises:
        ConfigError: unknown name, unreachable hub, a model that gives no token states, or one that is to write and is
            not decoder-only.
        CheckpointError: the weights are missing, damaged or incomplete.
    """
    if name.startswith(PREFIX):
        if writes:
            raise not_a_decoder(name)
        return released_text.load_released_text(name, pretrained=pretrained)
    if _check_prefix(name, "packaged:", _PACKAGED_TEXTS):
        return _packaged_text(name, load_weights=pretrained, writes=writes)
    model, tokenizer = hugging_face.load_text_model(name, pretrained=pretrained, writes=writes)
    return _text_encoder(model, tokenizer, name, writes=writes)


def is_decoder_only(name: str) -> bool:
    """Tell whether a text model of this name is decoder-only, without its weights; raises as `build_text_encoder`."""
    if _check_prefix(name, "packaged:", _PACKAGED_TEXTS):
        return name == PACKAGED_LANGUAGE
    return not name.startswith(PREFIX) and hugging_face.is_decoder_only(name)


def read_language_tokenizer(name: str) -> NoteTokenizer:
    """Return the tokenizer of a decoder-only text model, without its weights.

    Raises:
        ConfigError, CheckpointError: as `build_text_encoder` for a model that is to write.
    """
    if not is_decoder_only(name):
        raise not_a_decoder(name)
    if name == PACKAGED_LANGUAGE:
        return packaged_smollm2.smollm2_tokenizer(packaged_smollm2.open_smollm2())
    return hugging_face.read_tokenizer(name)


def packaged_fingerprint(name: str) -> str:
    """Return the identity (SHA-256) of the packaged weights of that name.

    Raises:
        ConfigError: no packaged weights have that name.
        CheckpointError: the package is not installed.
    """
    if name not in _PACKAGED:
        raise _unknown_packaged(name, ", ".join(_PACKAGED))
    return _PACKAGED[name].fingerprint()


def vision_architecture(encoder: VisionEncoder) -> dict[str, Any]:
    """Describe a vision tower without its weights, as JSON-able values; see `build_vision_encoder_from`."""
    spec: dict[str, Any] = {
        "name": encoder.name,
        "architecture": encoder.architecture,
        "preprocess": asdict(encoder.preprocess),
        "fingerprint": encoder.fingerprint,
    }
    config = released.released_config(encoder)
    return spec if config is None else spec | {"config": config}


def text_architecture(encoder: TextEncoder) -> dict[str, Any]:
    """Describe a text tower without its weights, as JSON-able values; see `build_text_encoder_from`.

    A packaged tower's vocabulary comes from its package again; all others carry their tokenizer along.
    """
    spec: dict[str, Any] = {"name": encoder.name, "fingerprint": encoder.fingerprint}
    if encoder.name not in _PACKAGED:
        spec |= {"config": encoder.model.config.to_dict(), "tokenizer": encoder.tokenizer.to_json()}
    spec |= {"lora_rank": encoder.lora_rank} if encoder.lora_rank else {}
    return spec | {"writes": True} if isinstance(encoder, LanguageModel) else spec


def build_vision_encoder_from(spec: Mapping[str, Any], *, load_packaged: bool = True) -> VisionEncoder:
    """Rebuild what `vision_architecture` described; needs no network.

    Args:
        spec: of `vision_architecture`.
        load_packaged: load the weights where they were the packaged ones; False where the caller loads all weights.

    Raises:
        CheckpointError: the packaged weights are gone or other than they were.
    """
    from plantset.encoders import timm_models

    values = dict(spec["preprocess"])
    preprocess = PreprocessConfig(**values | {"mean": tuple(values["mean"]), "std": tuple(values["std"])})
    if "config" in spec:
        return released.build_released_from(spec, preprocess)
    model = timm_models.create_backbone(spec["architecture"], image_size_px=preprocess.image_size_px)
    fingerprint = spec["fingerprint"] if load_packaged else None
    if fingerprint is not None:
        _check_fingerprint(spec["name"], fingerprint)
        packaged_efficientnet.load_packaged_efficientnet(model, _NETWORKS[spec["name"]])
    return VisionEncoder(
        model,
        name=spec["name"],
        preprocess=preprocess,
        architecture=spec["architecture"],
        fingerprint=fingerprint,
    )


def build_text_encoder_from(spec: Mapping[str, Any], *, load_packaged: bool = True) -> TextEncoder:
    """Rebuild what `text_architecture` described; needs no network and no folder.

    Args:
        spec: of `text_architecture`.
        load_packaged: load the weights where they were the packaged ones; False where the caller loads all weights.

    Raises:
        CheckpointError: the packaged weights are gone or other than they were.
        ConfigError: it has adapters, and `peft` is not installed.
    """
    encoder = _rebuild_text(spec, load_packaged=load_packaged)
    rank = spec.get("lora_rank", 0)
    return add_adapters(encoder, rank) if rank else encoder


def _rebuild_text(spec: Mapping[str, Any], *, load_packaged: bool) -> TextEncoder:
    name, writes = spec["name"], spec.get("writes", False)
    if name in _PACKAGED:
        load_weights = load_packaged and spec["fingerprint"] is not None
        if load_weights:
            _check_fingerprint(name, spec["fingerprint"])
        return _packaged_text(name, load_weights=load_weights, writes=writes)
    if name.startswith(PREFIX):
        return released_text.build_released_text_from(spec)
    model = hugging_face.model_from_config(dict(spec["config"]), writes=writes)
    return _text_encoder(model, NoteTokenizer.from_json(spec["tokenizer"]), name, writes=writes)


def _packaged_text(name: str, *, load_weights: bool, writes: bool) -> TextEncoder:
    if name == PACKAGED_LANGUAGE:
        return _packaged_language(name, load_weights=load_weights, writes=writes)
    if writes:
        raise not_a_decoder(name)
    file = packaged_e5.open_e5()
    model = packaged_e5.build_e5(file) if load_weights else hugging_face.model_from_config(packaged_e5.e5_config(file))
    fingerprint = packaged_fingerprint(name) if load_weights else None
    return TextEncoder(model, packaged_e5.e5_tokenizer(file), name=name, causal=False, fingerprint=fingerprint)


def _packaged_language(name: str, *, load_weights: bool, writes: bool) -> TextEncoder:
    file = packaged_smollm2.open_smollm2()
    if load_weights:
        causal: Any = packaged_smollm2.build_smollm2(file)
        model = causal if writes else causal.base_model
    else:
        model = hugging_face.model_from_config(packaged_smollm2.smollm2_config(file), writes=writes)
    fingerprint = packaged_fingerprint(name) if load_weights else None
    return _text_encoder(model, packaged_smollm2.smollm2_tokenizer(file), name, writes=writes, fingerprint=fingerprint)


def _text_encoder(
    model: nn.Module, tokenizer: NoteTokenizer, name: str, *, writes: bool, fingerprint: str | None = None
) -> TextEncoder:
    if writes:
        return LanguageModel(model, tokenizer, name=name, fingerprint=fingerprint)
    causal = hugging_face.is_causal(model.config)
    return TextEncoder(model, tokenizer, name=name, causal=causal, fingerprint=fingerprint)


def _check_prefix(name: str, prefix: str, known: tuple[str, ...]) -> bool:
    if not name.startswith(prefix):
        return False
    if name not in known:
        raise _unknown_packaged(name, ", ".join(known))
    return True


def _check_fingerprint(name: str, expected: str) -> None:
    if packaged_fingerprint(name) == expected:
        return
    package = _PACKAGED[name].package
    raise CheckpointError(
        tr(
            f"the checkpoint was trained on other weights than the installed package {package} holds",
            f"le modèle a été entraîné sur d'autres poids que ceux du paquet {package} installé",
        ),
        tr(
            f"install the version of {package} that was used for training (constraints.txt pins it)",
            f"installez la version de {package} de l'entraînement (constraints.txt la fixe)",
        ),
    )


def _unknown_packaged(name: str, known: str) -> ConfigError:
    return ConfigError(
        tr(f"no packaged weights are called {name!r}", f"aucuns poids installés ne s'appellent {name!r}"),
        tr(f"there is: {known}", f"il y a : {known}"),
    )


def _weights_with_released(name: str) -> ConfigError:
    return ConfigError(
        tr(f"{name} has weights of its own", f"{name} a ses propres poids"),
        tr("leave --vision-weights out", "ne donnez pas --vision-weights"),
    )
