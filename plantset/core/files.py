"""Files that are whole or absent: atomic writes, content hashes, JSON."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plantset.core.errors import DataError
from plantset.core.language import tr

_HASH_BLOCK_BYTES = 1 << 20
_ODD_NAMES = "backslashreplace"  # how lone surrogates are encoded


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed over `path`, else removed.

    A process killed at any moment leaves either the old file or the new one, never a part of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically, making the folders above it."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    r"""Write `text` to `path` as UTF-8 with unix line ends, atomically.

    The bytes of a file name that is no UTF-8, which Python holds as lone surrogates, are written `\udce9`: in JSON
    that is an escape, and reading gives the same name back.
    """
    write_bytes(path, text.encode("utf-8", _ODD_NAMES))


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented UTF-8 JSON, atomically; NaN is refused because JSON has none."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object a line, atomically, and return how many; rows are streamed, not held."""
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", errors=_ODD_NAMES, newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def read_json(path: Path) -> Any:
    """Read a UTF-8 JSON file (a byte-order mark is allowed).

    Raises:
        DataError: the file is absent, is not UTF-8 or is not JSON (line and column named).
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            tr(
                f"{path} is not valid JSON: line {error.lineno} column {error.colno}: {error.msg}",
                f"{path} n'est pas du JSON valide : ligne {error.lineno}, colonne {error.colno} : {error.msg}",
            ),
            tr("mend the file there, or make it anew", "corrigez le fichier à cet endroit, ou refaites-le"),
        ) from error


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for each line that is not blank.

    Raises:
        DataError: the file is absent, or a line is not a JSON object; file and line named.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise _bad_line(path, number, error.msg) from error
        if not isinstance(row, dict):
            raise _bad_line(path, number, f"{type(row).__name__}, expected an object")
        yield number, row


def read_text(path: Path) -> str:
    """Read a UTF-8 file, without its byte-order mark; absent, a folder or not UTF-8 is a `DataError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise DataError(
            tr(f"cannot read {path}: {error.strerror}", f"impossible de lire {path} : {error.strerror}"),
            tr("check the path and its permissions", "vérifiez le chemin et ses droits d'accès"),
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            tr(
                f"{path} is not UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x})",
                f"{path} n'est pas en UTF-8 (octet {error.start} : 0x{error.object[error.start]:02x})",
            ),
            tr(
                f"save it as UTF-8, for example: iconv -f WINDOWS-1252 -t UTF-8 {path.name}",
                f"enregistrez-le en UTF-8, par exemple : iconv -f WINDOWS-1252 -t UTF-8 {path.name}",
            ),
        ) from error


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file's bytes as 64 hex digits, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sha256_json(value: object) -> str:
    """Return the SHA-256 of the value's canonical JSON (sorted keys), for fingerprints of settings."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode("utf-8", _ODD_NAMES)).hexdigest()


def _bad_line(path: Path, number: int, why: str) -> DataError:
    return DataError(
        tr(
            f"{path} line {number} is not a JSON object: {why}",
            f"{path} ligne {number} n'est pas un objet JSON : {why}",
        ),
        tr("each line must be one JSON object", "chaque ligne doit être un objet JSON"),
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
