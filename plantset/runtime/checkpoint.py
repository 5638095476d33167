"""Checkpoints: tensors and JSON, written whole or not at all, checked when read.

A file is what `torch.save` makes of {"format", "meta": JSON text, "tensors": {name: tensor}, "digest"}; it is read
with `weights_only=True`, so that a checkpoint from a stranger runs no code.

The digest finds what happens to files: torn, bits flipped, a part exchanged. It is a 128-bit XXH3, which costs a tenth
of SHA-256; as it lies in the file itself, neither would hold off someone who changes the file and computes it anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import Tensor
from torch.utils.serialization import config as serialization

from plantset.core.errors import CheckpointError
from plantset.core.files import atomic_path
from plantset.core.language import tr

FORMAT = "plantset-checkpoint-2"
_FORMAT_OF_SHA256 = "plantset-checkpoint-1"
# what torch's reader raises where one byte or another of a file is changed (each byte of a small one was tried)
_UNREADABLE = (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, LookupError, TypeError)
_MEMORY_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint holds: `meta` is JSON-able, `tensors` has flat dotted names.

    Attributes:
        digest: of its content, as the file that was read states it; empty before it was written.
    """

    meta: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    digest: str = ""

    def section(self, name: str) -> dict[str, Tensor]:
        """Return the tensors named `name.…`, without that prefix."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): tensor for key, tensor in self.tensors.items() if key.startswith(prefix)}


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: a kill or a full disk leaves the previous file as it was.

    Raises:
        CheckpointError: the folder cannot be written or the disk is full.
    """
    if any(tensor.device.type == "xla" for tensor in checkpoint.tensors.values()):
        from plantset.runtime.xla import settle

        settle()
    tensors = {name: _packed(tensor) for name, tensor in checkpoint.tensors.items()}
    meta = json.dumps(checkpoint.meta, ensure_ascii=False, sort_keys=True, allow_nan=False)
    content = {"format": FORMAT, "meta": meta, "tensors": tensors, "digest": _digest(meta, tensors)}
    try:
        # the archive's own CRC-32 would cost more than the digest, and torch does not look at it when it loads
        without_crc = serialization.patch("save.compute_crc32", False)  # type: ignore[attr-defined]
        with atomic_path(path) as temporary, temporary.open("wb") as file, without_crc:
            torch.save(content, file)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch covers the file's own error with one of its archive
        reason = error.__context__ if isinstance(error.__context__, OSError) else error
        said = reason.strerror if isinstance(reason, OSError) else reason
        raise CheckpointError(
            tr(f"cannot write {path}: {said}", f"impossible d'écrire {path} : {said}"),
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
    except _UNREADABLE as error:
        raise _damaged(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if not isinstance(content, dict) or content.get("format") not in (FORMAT, _FORMAT_OF_SHA256):
        raise CheckpointError(
            tr(f"{path} is not a plantset checkpoint", f"{path} n'est pas un point de contrôle de plantset"),
            tr("give a file that plantset train wrote", "donnez un fichier écrit par plantset train"),
        )
    if not _has_parts(content):
        raise _damaged(path, tr("a part of it is missing", "une partie manque"))
    digest = _digest if content["format"] == FORMAT else _sha256
    if digest(content["meta"], content["tensors"]) != content["digest"]:
        raise _damaged(path, tr("its checksum does not match", "sa somme de contrôle ne correspond pas"))
    return Checkpoint(json.loads(content["meta"]), content["tensors"], content["digest"])


def sha256_tensor(tensor: Tensor) -> str:
    """Return the SHA-256 of the tensor's values in their logical order as 64 hex digits."""
    return hashlib.sha256(_bytes_of(tensor.detach().cpu().contiguous())).hexdigest()


def _packed(tensor: Tensor) -> Tensor:
    """Return the tensor on the CPU without gaps, as it lies where that can be: `torch.save` writes a whole storage."""
    held = tensor.detach().cpu()
    if not _is_dense(held):
        held = held.contiguous()
    is_view = held.untyped_storage().nbytes() != held.numel() * held.element_size()
    return held.clone() if is_view else held


def _is_dense(tensor: Tensor) -> bool:
    order = _MEMORY_FORMATS.get(tensor.ndim)
    return tensor.is_contiguous() or (order is not None and tensor.is_contiguous(memory_format=order))


def _has_parts(content: Mapping[str, Any]) -> bool:
    """Return whether all parts are there and of their type; a tensor with gaps was not written by us."""
    tensors = content.get("tensors")
    return (
        isinstance(content.get("meta"), str)
        and isinstance(content.get("digest"), str)
        and isinstance(tensors, dict)
        and all(isinstance(name, str) and isinstance(held, Tensor) for name, held in tensors.items())
        and all(_is_dense(held) for held in tensors.values())
    )


def _digest(meta: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the XXH3 over the meta text and every tensor's name, type, shape, strides and bytes as they lie."""
    digest = xxhash.xxh3_128(meta.encode("utf-8"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|{tensor.stride()}|".encode())
        digest.update(_bytes_of(tensor))
    return digest.hexdigest()


def _sha256(meta: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the digest of the earlier format."""
    digest = hashlib.sha256(meta.encode("utf-8"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(_bytes_of(tensor.contiguous()))
    return digest.hexdigest()


def _bytes_of(tensor: Tensor) -> memoryview:
    """Return the bytes of a CPU tensor without gaps, in the order in which they lie."""
    return tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).numpy().data


def _sync_folder(folder: Path) -> None:
    """Let the new name survive a power cut too, where a folder can be synced (not on Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        tr(f"{path} is damaged: {why}", f"{path} est endommagé : {why}"),
        tr(
            "use another checkpoint of that run, or train again",
            "utilisez un autre point de contrôle de cet entraînement, ou recommencez",
        ),
    )
