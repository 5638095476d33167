"""Released vision-language checkpoints as a base: their vision tower behind the same face as a timm backbone.

CLIP, SigLIP, SigLIP 2, DINOv2, DINOv3 and FLAVA by the classes of `transformers`; the photos are resized and
normalised as the checkpoint's own image processor says. Text towers and decoders of these checkpoints are not taken.

Dimensions: B photos, C channels, N tokens, P prefix tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from plantset.core.errors import CheckpointError, ConfigError
from plantset.core.language import tr
from plantset.core.preprocess import Interpolation, PreprocessConfig
from plantset.encoders.hub import hub_answers, unreachable
from plantset.encoders.vision import VisionEncoder

PREFIX = "released:"
_PIL_BILINEAR = 2
# model_type of the checkpoint -> (class of its vision tower, attribute of the config that describes that tower)
_TOWERS: Mapping[str, tuple[str, str | None]] = {
    "clip": ("CLIPVisionModel", "vision_config"),
    "clip_vision_model": ("CLIPVisionModel", None),
    "siglip": ("SiglipVisionModel", "vision_config"),
    "siglip_vision_model": ("SiglipVisionModel", None),
    "dinov2": ("Dinov2Model", None),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", None),
    "dinov3_vit": ("DINOv3ViTModel", None),
    "flava": ("FlavaModel", None),  # its image tower's own class does not find its weights in the whole model's file
    "flava_image_model": ("FlavaImageModel", None),
}
_WITHOUT_CLASS_TOKEN = ("siglip_vision_model",)


class ReleasedTower(nn.Module):
    """A `transformers` vision tower with the attributes by which `VisionEncoder` knows a timm model.

    Args:
        tower: gives `last_hidden_state` (B, P + N, C) of normalised photos.
    """

    def __init__(self, tower: Any) -> None:
        super().__init__()
        if getattr(tower, "pooler", None) is not None:
            tower.pooler = None  # tokens are what is used
        for module in tower.modules():
            if isinstance(getattr(module, "mask_token", None), nn.Parameter):
                module.mask_token = None  # of masked pre-training: it would be a parameter without a gradient
        self.tower = tower
        self.num_features = int(tower.config.hidden_size)
        self.num_prefix_tokens = _prefix_tokens(tower.config)
        self._trained_px = int(tower.config.image_size)

    def forward_features(self, pixels_BCHW: Tensor) -> Tensor:
        """Return the last states (B, P + N, C), positions interpolated at another size than trained."""
        options: dict[str, Any] = {}
        if self.tower.config.model_type not in _POSITIONS_FIT_ANY_SIZE and pixels_BCHW.shape[-1] != self._trained_px:
            options["interpolate_pos_encoding"] = True
        states: Tensor = self.tower(pixel_values=pixels_BCHW, **options).last_hidden_state
        return states

    def set_grad_checkpointing(self, enabled: bool = True) -> None:
        """Trade time for memory."""
        if enabled:
            self.tower.gradient_checkpointing_enable()
        else:
            self.tower.gradient_checkpointing_disable()


_POSITIONS_FIT_ANY_SIZE = ("dinov2", "dinov2_with_registers", "dinov3_vit")


def load_released(name: str, *, pretrained: bool = True, image_size_px: int | None = None) -> VisionEncoder:
    """Build the vision tower of a released checkpoint, with its weights strictly loaded.

    Args:
        name: `released:` and a Hugging Face name, or a folder that `save_pretrained` wrote.
        pretrained: False draws random weights; the config is still read from the same place.
        image_size_px: side of the photos instead of the checkpoint's own.

    Raises:
        ConfigError: the hub cannot be reached, or the checkpoint is of a kind whose tower is not known here.
        CheckpointError: weights are missing in it.
    """
    source = name.removeprefix(PREFIX)
    config, settings = _read(source)
    tower_class, tower_config = _tower_of(source, config)
    if pretrained:
        tower, report = tower_class.from_pretrained(source, config=tower_config, output_loading_info=True)
        # poolers and heads are not used; of a whole FLAVA only the image tower is
        unused = ("pooler", "head", "text_model.", "multimodal_model.", "projection", "logit_scale")
        missing = sorted(key for key in report["missing_keys"] if not any(part in key for part in unused))
        if missing:
            raise _incomplete(source, missing)
    else:
        tower = tower_class(tower_config)
    tower = getattr(tower, "image_model", tower)
    preprocess = _preprocess(settings, image_size_px or int(tower.config.image_size))
    return _encoder(tower.float(), name, preprocess)


def build_released_from(spec: Mapping[str, Any], preprocess: PreprocessConfig) -> VisionEncoder:
    """Rebuild the tower that `released_spec` described, with random weights; needs no network and no folder."""
    import transformers

    tower_class = getattr(transformers, _TOWERS[spec["architecture"]][0])
    known = tower_class.config_class.from_dict(dict(spec["config"]))
    return _encoder(tower_class(known), spec["name"], preprocess)


def released_config(encoder: VisionEncoder) -> dict[str, Any] | None:
    """Return the tower's config as JSON-able values; None for a timm model."""
    if not isinstance(encoder.model, ReleasedTower):
        return None
    values: dict[str, Any] = json.loads(encoder.model.tower.config.to_json_string(use_diff=False))
    return values


def _encoder(tower: Any, name: str, preprocess: PreprocessConfig) -> VisionEncoder:
    return VisionEncoder(
        ReleasedTower(tower),
        name=name,
        preprocess=preprocess,
        architecture=tower.config.model_type,
        fingerprint=None,
    )


def _read(source: str) -> tuple[Any, Mapping[str, Any]]:
    """Return the checkpoint's config and its image processor's settings."""
    import transformers
    from transformers.utils import cached_file

    if not Path(source).is_dir() and not hub_answers():
        raise _offline(source)
    try:
        config = transformers.AutoConfig.from_pretrained(source)
        file = cached_file(source, "preprocessor_config.json")
    except (OSError, ValueError) as error:
        raise ConfigError(
            tr(f"cannot read the checkpoint {source}: {error}", f"impossible de lire le modèle {source} : {error}"),
            tr(
                "give the folder that save_pretrained wrote (config.json, model.safetensors, preprocessor_config.json)",
                "donnez le dossier écrit par save_pretrained (config.json, model.safetensors,"
                " preprocessor_config.json)",
            ),
        ) from error
    return config, json.loads(Path(str(file)).read_text(encoding="utf-8"))


def _tower_of(source: str, config: Any) -> tuple[Any, Any]:
    import transformers

    if config.model_type not in _TOWERS:
        known = ", ".join(sorted({kind.partition("_")[0] for kind in _TOWERS}))
        raise ConfigError(
            tr(
                f"{source} is a {config.model_type}, whose vision tower is not known",
                f"{source} est un {config.model_type}, dont la tour de vision n'est pas connue",
            ),
            tr(f"choose one of: {known}", f"choisissez parmi : {known}"),
        )
    class_name, part = _TOWERS[config.model_type]
    return getattr(transformers, class_name), config if part is None else getattr(config, part)


def _prefix_tokens(config: Any) -> int:
    if config.model_type in _WITHOUT_CLASS_TOKEN:
        return 0
    return 1 + int(getattr(config, "num_register_tokens", 0) or 0)


def _preprocess(settings: Mapping[str, Any], size_px: int) -> PreprocessConfig:
    interpolation: Interpolation = "bilinear" if settings.get("resample") == _PIL_BILINEAR else "bicubic"
    resized, cropped = _side(settings.get("size")), _side(settings.get("crop_size"))
    crops = bool(settings.get("do_center_crop")) and resized and cropped
    red, green, blue = settings["image_mean"]
    red_std, green_std, blue_std = settings["image_std"]
    return PreprocessConfig(
        image_size_px=size_px,
        crop_ratio=cropped / resized if crops else 1.0,
        interpolation=interpolation,
        mean=(red, green, blue),
        std=(red_std, green_std, blue_std),
    )


def _side(size: Any) -> int:
    """Return the side that an image processor's size means, 0 where it names none."""
    if isinstance(size, Mapping):
        return int(size.get("shortest_edge") or size.get("height") or 0)
    return int(size or 0)


def _offline(source: str) -> ConfigError:
    return unreachable(
        source,
        tr(
            f"give a local folder that save_pretrained wrote: {PREFIX}/path/to/folder",
            f"donnez un dossier local écrit par save_pretrained : {PREFIX}/chemin/du/dossier",
        ),
        tr("start from random weights: --no-pretrained", "partez de poids aléatoires : --no-pretrained"),
    )


def _incomplete(source: str, missing: list[str]) -> CheckpointError:
    return CheckpointError(
        tr(f"weights are missing in {source}: {missing[0]}", f"il manque des poids dans {source} : {missing[0]}"),
        tr("download it again", "téléchargez-le à nouveau"),
    )
