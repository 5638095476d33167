"""Reading a released checkpoint: its config, its image processor's settings, and the part of its weights that is used.

Florence-2 exists in two layouts: that of its authors (`microsoft/Florence-2-base`, whose code is not run), and that of
`transformers` (`florence-community/Florence-2-base`). Names of the first are read as those of the second, as the
conversion script of `transformers` has them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from plantset.core.errors import CheckpointError, ConfigError
from plantset.core.language import tr
from plantset.encoders.hub import hub_answers, unreachable

PREFIX = "released:"
_UNUSED = ("pooler", "head")  # of a part that is loaded by its own class: the tokens do not depend on them
_FLORENCE_VISION = (
    "depths",
    "patch_size",
    "patch_stride",
    "patch_padding",
    "patch_prenorm",
    "num_heads",
    "num_groups",
    "window_size",
    "drop_path_rate",
    "projection_dim",
)
_FLORENCE_NAMES = {
    r"(vision_tower\.convs\.\d+)\.proj\.": r"\1.conv.",
    r"\.fn\.dw\.": ".",
    r"spatial_block\.window_attn\.norm\.": "spatial_block.norm1.",
    r"channel_block\.channel_attn\.norm\.": "channel_block.norm1.",
    r"(window_attn|channel_attn)\.fn\.": r"\1.",
    r"\.ffn\.norm\.": ".norm2.",
    r"\.ffn\.fn\.net\.": ".ffn.",
    r"^language_model\.model\.": "language_model.",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Where a tower is found in a checkpoint.

    Attributes:
        loaded_by: class of `transformers` that finds its weights in the file.
        config: attribute of the checkpoint's config that describes that class; None for the config itself.
        path: of the tower inside what was loaded; empty for all of it.
    """

    loaded_by: str
    config: str | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """A checkpoint before any weight is loaded.

    Attributes:
        source: hub name or folder.
        config: of `transformers`.
        key_mapping: patterns of names in the file and what they are called here; None where they are the same.
    """

    source: str
    config: Any
    key_mapping: Mapping[str, str] | None = None


def read_released(source: str) -> Released:
    """Read a checkpoint's config.

    Args:
        source: hub name, or a folder that `save_pretrained` wrote.

    Raises:
        ConfigError: the hub cannot be reached, or there is no config that `transformers` knows.
    """
    import transformers

    if not Path(source).is_dir() and not hub_answers():
        raise _offline(source)
    try:
        values = json.loads(find_file(source, "config.json", required=True).read_text(encoding="utf-8"))
        if values.get("model_type") == "florence2" and "dim_embed" in values.get("vision_config", {}):
            return Released(source, _florence_config(values), _FLORENCE_NAMES)
        return Released(source, transformers.AutoConfig.from_pretrained(source))
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(source, error) from error


def read_processor(source: str) -> Mapping[str, Any]:
    """Read the settings of the checkpoint's image processor.

    Raises:
        ConfigError: there are none.
    """
    try:
        file = find_file(source, "preprocessor_config.json", required=True)
        settings: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error
    return settings


def find_file(source: str, name: str, *, required: bool = False) -> Path:
    """Return where a file of the checkpoint lies, downloaded if need be; a path that does not exist without it.

    Raises:
        OSError: it is required, and not there.
    """
    from transformers.utils import cached_file

    found = cached_file(
        source,
        name,
        _raise_exceptions_for_missing_entries=required,
        _raise_exceptions_for_connection_errors=required,
    )
    return Path(str(found)) if found is not None else Path(source) / name


def load_part(released: Released, part: Part, *, pretrained: bool) -> Any:
    """Return a tower of the checkpoint as `transformers` builds it, its weights strictly loaded, in float32.

    Args:
        pretrained: False draws random weights.

    Raises:
        CheckpointError: weights of this tower are missing in the file.
        ConfigError: there is no file of weights.
    """
    import transformers

    loaded_by = getattr(transformers, part.loaded_by)
    config = released.config if part.config is None else getattr(released.config, part.config)
    if not pretrained:
        return _at(loaded_by(config), part.path).float()
    try:
        model, report = loaded_by.from_pretrained(
            released.source,
            config=config,
            output_loading_info=True,
            **({"key_mapping": dict(released.key_mapping)} if released.key_mapping else {}),
        )
    except OSError as error:
        raise _unreadable(released.source, error) from error
    wanted = [key for key in report["missing_keys"] if key.startswith(part.path)]
    missing = sorted(wanted if part.path else [key for key in wanted if not any(name in key for name in _UNUSED)])
    missing = [key for key in missing if "pooler" not in key]
    if missing:
        raise _incomplete(released.source, missing)
    return _at(model, part.path).float()


def _at(model: Any, path: str) -> Any:
    return attrgetter(path)(model) if path else model


def _florence_config(values: Mapping[str, Any]) -> Any:
    from transformers import Florence2Config

    vision = values["vision_config"]
    return Florence2Config(
        vision_config={name: vision[name] for name in _FLORENCE_VISION} | {"embed_dim": vision["dim_embed"]},
        text_config={**values["text_config"], "model_type": "bart"},
    )


def _unreadable(source: str, error: Exception) -> ConfigError:
    return ConfigError(
        tr(f"cannot read the checkpoint {source}: {error}", f"impossible de lire le modèle {source} : {error}"),
        tr(
            "give the folder that save_pretrained wrote (config.json, model.safetensors, preprocessor_config.json)",
            "donnez le dossier écrit par save_pretrained (config.json, model.safetensors, preprocessor_config.json)",
        ),
    )


def _offline(source: str) -> ConfigError:
    return unreachable(
        source,
        tr(
            "give a local folder that save_pretrained wrote in its place:"
            f" --base /path/to/folder (or {PREFIX}/path/to/folder as --vision-backbone)",
            "donnez à sa place un dossier local écrit par save_pretrained :"
            f" --base /chemin/du/dossier (ou {PREFIX}/chemin/du/dossier comme --vision-backbone)",
        ),
    )


def _incomplete(source: str, missing: list[str]) -> CheckpointError:
    return CheckpointError(
        tr(f"weights are missing in {source}: {missing[0]}", f"il manque des poids dans {source} : {missing[0]}"),
        tr("download it again", "téléchargez-le à nouveau"),
    )
