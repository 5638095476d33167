"""Checkpoints: tensors and JSON, written whole or not at all, checked when read.

A file is what `torch.save` makes of {"format", "meta": JSON text, "tensors": {name: tensor}, "digest"}; it is read
with `weights_only=True`, so that a checkpoint from a stranger runs no code.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plantset.core.errors import CheckpointError
from plantset.core.files import atomic_path
from plantset.core.language import tr

FORMAT = "plantset-checkpoint-1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds: `meta` is JSON-able, `tensors` has flat dotted names."""

    meta: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def section(self, name: str) -> dict[str, Tensor]:
        """Return the tensors named `name.…`, without that prefix."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): tensor for key, tensor in self.tensors.items() if key.startswith(prefix)}


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: a kill or a full disk leaves the previous file as it was.

    Raises:
        CheckpointError: the folder cannot be written or the disk is full.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    meta = json.dumps(checkpoint.meta, ensure_ascii=False, sort_keys=True, allow_nan=False)
    content = {"format": FORMAT, "meta": meta, "tensors": tensors, "digest": _digest(meta, tensors)}
    try:
        with atomic_path(path) as temporary:
            torch.save(content, temporary)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise CheckpointError(
            tr(f"cannot write {path}: {error}", f"impossible d'écrire {path} : {error}"),
            tr(
                "free some disk space or give another --checkpoint-dir; the previous checkpoint is untouched",
                "libérez de la place ou donnez un autre --checkpoint-dir ; le point de contrôle précédent est intact",
            ),
        ) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        CheckpointError: absent, torn, tampered with, or not a checkpoint of plantset.
    """
    if not path.is_file():
        raise CheckpointError(
            tr(f"no checkpoint at {path}", f"aucun point de contrôle à {path}"),
            tr("train one first: plantset train", "entraînez-en un d'abord : plantset train"),
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError) as error:
        raise _damaged(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(
            tr(f"{path} is not a plantset checkpoint", f"{path} n'est pas un point de contrôle de plantset"),
            tr("give a file that plantset train wrote", "donnez un fichier écrit par plantset train"),
        )
    if not {"meta", "tensors", "digest"} <= content.keys():
        raise _damaged(path, tr("a part of it is missing", "une partie manque"))
    if _digest(content["meta"], content["tensors"]) != content["digest"]:
        raise _damaged(path, tr("its checksum does not match", "sa somme de contrôle ne correspond pas"))
    return Checkpoint(json.loads(content["meta"]), content["tensors"])


def sha256_tensor(tensor: Tensor) -> str:
    """Return the SHA-256 of the tensor's bytes as 64 hex digits."""
    return hashlib.sha256(_bytes_of(tensor)).hexdigest()


def _digest(meta: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over the meta text and every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(meta.encode("utf-8"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(_bytes_of(tensor))
    return digest.hexdigest()


def _bytes_of(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        tr(f"{path} is damaged: {why}", f"{path} est endommagé : {why}"),
        tr(
            "use another checkpoint of that run, or train again",
            "utilisez un autre point de contrôle de cet entraînement, ou recommencez",
        ),
    )
