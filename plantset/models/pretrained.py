"""A trained model as a folder that others can read: `config.json` and `model.safetensors`, loaded by `from_pretrained`.

`config.json` holds all that a checkpoint says beside its weights: architecture, preprocessing, classes, vocabulary,
calibration.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from plantset.core.errors import CheckpointError
from plantset.core.files import atomic_path, read_json, write_json
from plantset.core.language import tr
from plantset.models.load import LoadedModel
from plantset.runtime.checkpoint import Checkpoint, load_checkpoint
from plantset.runtime.devices import DeviceName, find_device

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"


def save_pretrained(checkpoint_path: Path, folder: Path) -> None:
    """Write a checkpoint's model as a folder; the optimizer's state and the like stay behind.

    Raises:
        CheckpointError: the checkpoint is absent or damaged.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    tensors = {
        name: tensor.clone().contiguous()
        for name, tensor in checkpoint.tensors.items()
        if name.startswith(("model.", "text."))
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_json(folder / CONFIG_FILE, {"model_type": "plantset", **checkpoint.meta})


def from_pretrained(folder: str | Path, device: DeviceName = "cpu") -> LoadedModel:
    """Load what `save_pretrained` wrote, in evaluation mode.

    Raises:
        CheckpointError: a file is absent, damaged or of another program.
    """
    place = Path(folder)
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        if not (place / file).is_file():
            raise _not_ours(place, tr(f"it lacks {file}", f"il y manque {file}"))
    meta = read_json(place / CONFIG_FILE)
    if not isinstance(meta, dict) or meta.pop("model_type", None) != "plantset":
        raise _not_ours(place, tr("its config.json is of another program", "son config.json est d'un autre programme"))
    try:
        tensors = load_file(place / WEIGHTS_FILE)
    except SafetensorError as error:
        raise _not_ours(place, tr(f"{WEIGHTS_FILE} is damaged", f"{WEIGHTS_FILE} est abîmé")) from error
    return LoadedModel(Checkpoint(meta, tensors), find_device(device))


def _not_ours(folder: Path, why: str) -> CheckpointError:
    return CheckpointError(
        tr(f"no trained model in {folder}: {why}", f"pas de modèle entraîné dans {folder} : {why}"),
        tr("write the folder again with save_pretrained", "écrivez à nouveau le dossier avec save_pretrained"),
    )
