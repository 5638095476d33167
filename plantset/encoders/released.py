"""Released vision-language checkpoints as a base: their vision tower behind the same face as a timm backbone.

CLIP, SigLIP, SigLIP 2, DINOv2, DINOv3, FLAVA and Florence-2 by the classes of `transformers`; the photos are resized
and normalised as the checkpoint's own image processor says. Text towers are in `released_text`; decoders are not taken.

Of Florence-2 (arXiv 2311.06242) the DaViT is taken. Its projection, which adds learned positions and a token of the
mean to the tokens, is replaced by our connector.

Dimensions: B photos, C channels, N tokens, P prefix tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.core.preprocess import Interpolation, PreprocessConfig
from plantset.encoders.released_files import PREFIX, Part, Released, load_part, read_processor, read_released
from plantset.encoders.text import set_checkpointing
from plantset.encoders.vision import VisionEncoder

_PIL_BILINEAR = 2
# model_type of the checkpoint, or of its vision tower alone -> that tower
_TOWERS: Mapping[str, Part] = {
    "clip": Part("CLIPVisionModel", "vision_config"),
    "clip_vision_model": Part("CLIPVisionModel"),
    "siglip": Part("SiglipVisionModel", "vision_config"),
    "siglip_vision_model": Part("SiglipVisionModel"),
    "dinov2": Part("Dinov2Model"),
    "dinov2_with_registers": Part("Dinov2WithRegistersModel"),
    "dinov3_vit": Part("DINOv3ViTModel"),
    "flava": Part(
        "FlavaModel", path="image_model"
    ),  # its own class does not find its weights in the whole model's file
    "flava_image_model": Part("FlavaImageModel"),
    "florence2": Part("Florence2Model", path="vision_tower"),
    "florence_vision": Part("Florence2VisionBackbone"),
}
_WITHOUT_CLASS_TOKEN = ("siglip_vision_model", "florence_vision")
_POSITIONS_FIT_ANY_SIZE = ("dinov2", "dinov2_with_registers", "dinov3_vit", "florence_vision")


class ReleasedTower(nn.Module):
    """A `transformers` vision tower with the attributes by which `VisionEncoder` knows a timm model.

    Args:
        tower: gives `last_hidden_state` (B, P + N, C) of normalised photos, or (B, C, H, W) if it is a DaViT.
    """

    def __init__(self, tower: Any) -> None:
        super().__init__()
        if getattr(tower, "pooler", None) is not None:
            tower.pooler = None  # tokens are what is used
        for module in tower.modules():
            if isinstance(getattr(module, "mask_token", None), nn.Parameter):
                module.mask_token = None  # of masked pre-training: it would be a parameter without a gradient
        self.tower = tower
        self.num_features = int(_own(tower.config, "hidden_size") or tower.config.embed_dim[-1])
        self.num_prefix_tokens = _prefix_tokens(tower.config)
        self._trained_px = int(_own(tower.config, "image_size") or 0)

    def forward_features(self, pixels_BCHW: Tensor) -> Tensor:
        """Return the last states, positions interpolated at another size than trained."""
        options: dict[str, Any] = {}
        if self.tower.config.model_type not in _POSITIONS_FIT_ANY_SIZE and pixels_BCHW.shape[-1] != self._trained_px:
            options["interpolate_pos_encoding"] = True
        states: Tensor = self.tower(pixels_BCHW, **options).last_hidden_state
        return states

    def set_grad_checkpointing(self, enabled: bool = True) -> None:
        """Trade time for memory.

        Raises:
            ConfigError: this tower cannot.
        """
        set_checkpointing(self.tower, self.tower.config.model_type, enabled=enabled)


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
    released = read_released(name.removeprefix(PREFIX))
    part, settings = _tower_of(released), read_processor(released.source)
    tower = load_part(released, part, pretrained=pretrained)
    own_px = _own(tower.config, "image_size") or _side(settings.get("crop_size")) or _side(settings.get("size"))
    return _encoder(tower, name, _preprocess(settings, image_size_px or int(own_px)))


def build_released_from(spec: Mapping[str, Any], preprocess: PreprocessConfig) -> VisionEncoder:
    """Rebuild the tower that `released_spec` described, with random weights; needs no network and no folder."""
    import transformers

    tower_class = getattr(transformers, _TOWERS[spec["architecture"]].loaded_by)
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


def _tower_of(released: Released) -> Part:
    kind = released.config.model_type
    if kind not in _TOWERS:
        known = ", ".join(sorted({name.partition("_")[0] for name in _TOWERS} - {"florence"}))
        raise ConfigError(
            tr(
                f"{released.source} is a {kind}, whose vision tower is not known",
                f"{released.source} est un {kind}, dont la tour de vision n'est pas connue",
            ),
            tr(f"choose one of: {known}", f"choisissez parmi : {known}"),
        )
    return _TOWERS[kind]


def _own(config: Any, name: str) -> Any:
    return getattr(config, name, None)


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
