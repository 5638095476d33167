"""Named starting points: which parts, how wide, how deep. Every value can be overridden by its own flag."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

from plantset.models.config import ModelConfig

Preset = Literal["cross-attention"]
PRESETS: tuple[Preset, ...] = get_args(Preset)

_OVERRIDES: dict[Preset, dict[str, Any]] = {"cross-attention": {}}


def preset_config(preset: Preset, num_classes: int, overrides: Mapping[str, Any]) -> ModelConfig:
    """Return the preset's model with the values that are not None in `overrides`."""
    chosen = {name: value for name, value in overrides.items() if value is not None}
    return dataclasses.replace(ModelConfig(num_classes), **_OVERRIDES[preset], **chosen)
