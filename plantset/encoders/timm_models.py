"""Vision backbones by their timm name: built, with weights from the hub or from a file."""

from __future__ import annotations

import difflib
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from timm.models import load_state_dict
from torch import Tensor, nn

from plantset.core.errors import CheckpointError, ConfigError
from plantset.core.language import tr
from plantset.encoders.hub import hub_answers, unreachable

PACKAGED_EXAMPLE = "timm-packaged:tf_efficientnet_lite0"
_SHOWN_KEYS = 3


def create_backbone(name: str, *, image_size_px: int | None) -> nn.Module:
    """Build a timm model with random weights and no classifier.

    Raises:
        ConfigError: timm has no such model; near matches are named.
    """
    check_known(name)
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, **_size_option(name, image_size_px))
    return model


def create_pretrained(name: str, *, image_size_px: int | None) -> nn.Module:
    """Build a timm model with the weights of the hub, strictly loaded, then drop its classifier.

    Raises:
        ConfigError: timm has no such model, it has no weights, or they cannot be had.
    """
    check_known(name)
    options = _size_option(name, image_size_px)
    if not hub_answers():
        options["pretrained_cfg_overlay"] = {"file": _cached_file(name)}
    try:
        # With its own number of classes timm loads strictly; without classes it would accept missing weights.
        model = timm.create_model(name, pretrained=True, **options)
    except OSError as error:
        raise _cannot_download(name) from error
    except RuntimeError as error:
        raise ConfigError(
            tr(f"cannot load the weights of {name}: {error}", f"impossible de charger les poids de {name} : {error}"),
            tr(
                "choose another tag of the backbone, or start from random weights: --no-pretrained",
                "choisissez une autre variante, ou partez de poids aléatoires : --no-pretrained",
            ),
        ) from error
    model.reset_classifier(0)
    return model  # type: ignore[no-any-return]


def load_file(model: nn.Module, path: Path) -> None:
    """Load a file of weights (.safetensors, .pth, .bin) of the same architecture strictly; its classifier is ignored.

    Positions of a transformer trained at another photo size are interpolated.

    Raises:
        CheckpointError: the file is absent, damaged, not only tensors, or of another architecture.
    """
    if not path.is_file():
        raise CheckpointError(
            tr(f"no file of weights at {path}", f"aucun fichier de poids à {path}"),
            tr("check --vision-weights", "vérifiez --vision-weights"),
        )
    try:
        state = load_state_dict(str(path))
        model.load_state_dict(_prepared(state, model), strict=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            tr(
                f"{path.name} does not fit the backbone: {_short(error)}",
                f"{path.name} ne convient pas au modèle de vision : {_short(error)}",
            ),
            tr(
                "give --vision-backbone the name of the network that was saved, or the file of this one",
                "donnez à --vision-backbone le nom du réseau enregistré, ou le fichier de celui-ci",
            ),
        ) from error


def check_known(name: str) -> None:
    """Refuse a name that timm does not have.

    Raises:
        ConfigError: with the nearest names.
    """
    if timm.is_model(name):
        return
    near = difflib.get_close_matches(name.lower(), timm.list_models(), n=3, cutoff=0.5)
    raise ConfigError(
        tr(f"unknown vision backbone: {name!r}", f"modèle de vision inconnu : {name!r}"),
        tr(
            f"did you mean {', '.join(near) or 'resnet50'}? Any timm name will do, or {PACKAGED_EXAMPLE}",
            f"vouliez-vous {', '.join(near) or 'resnet50'} ? Tout nom de timm convient, ou {PACKAGED_EXAMPLE}",
        ),
    )


def _size_option(name: str, image_size_px: int | None) -> dict[str, Any]:
    """Only a network of fixed input size (its positions depend on it) is told the size; others refuse to be told."""
    if image_size_px is None or not timm.get_pretrained_cfg(name).fixed_input_size:
        return {}
    return {"img_size": image_size_px}


def _cached_file(name: str) -> str:
    from huggingface_hub import try_to_load_from_cache

    weights = timm.get_pretrained_cfg(name)
    named = (weights.hf_hub_filename,) if weights.hf_hub_filename else ("model.safetensors", "pytorch_model.bin")
    for file in named if weights.hf_hub_id else ():
        found = try_to_load_from_cache(weights.hf_hub_id, file)
        if isinstance(found, str):
            return found
    raise _cannot_download(name)


def _cannot_download(name: str) -> ConfigError:
    return unreachable(
        name,
        tr(f"use the installed weights: {PACKAGED_EXAMPLE}", f"prenez les poids installés : {PACKAGED_EXAMPLE}"),
        tr("give a file of weights with --vision-weights", "donnez un fichier de poids avec --vision-weights"),
        tr("start from random weights: --no-pretrained", "partez de poids aléatoires : --no-pretrained"),
    )


def _prepared(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    converted = dict(convert(dict(state), model) if convert is not None else state)
    heads = model.pretrained_cfg.get("classifier") or ()  # type: ignore[operator, union-attr]
    dropped = tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))
    wanted = model.state_dict()
    return {key: value for key, value in converted.items() if key in wanted or not key.startswith(dropped or ("\0",))}


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(line[:200] for line in lines[: 1 + _SHOWN_KEYS])
