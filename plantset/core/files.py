"""Files that are whole or absent: atomic writes, content hashes, JSON."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plantset.core.errors import DataError
from plantset.core.language import tr

_HASH_BLOCK_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LEAD_BYTES = 80  # by which values are told apart at first
_MAX_SIMILAR = 8  # that begin alike; where each row has a value of its own, comparing must not cost more than parsing
_MAX_KNOWN = 8_192  # beginnings that are kept: texts of classes are fewer, and those of single photos never come again
_STAND_IN_VALUE = -987654321
_STAND_IN = b"%d" % _STAND_IN_VALUE
_DECODER = json.JSONDecoder()
_PAIR = re.compile(r'(?:, )?("[^"\\]*"): ')
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
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", errors=_ODD_NAMES, newline="\n") as out:
        for row in rows:
            out.write(encode(row) + "\n")
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


def read_json_lines(path: Path, *, repeated: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for each line that is not blank; the file is streamed, not held.

    Args:
        repeated: keys whose values are often the same together, such as the texts of a class. From the first of them
            on, a run of them that stood in an earlier row is compared, not parsed, and the rows share its values.

    Raises:
        DataError: the file is absent, or a line is not a JSON object; file and line named.
    """
    parse = _RepeatedRun(repeated).parse if repeated else _parse
    for number, place, line in _lines(path):
        try:
            row = parse(line)
        except json.JSONDecodeError as error:
            raise _bad_line(path, number, error.msg) from error
        except UnicodeDecodeError as error:
            raise _not_utf8(path, error, place) from error
        if not isinstance(row, dict):
            raise _bad_line(path, number, f"{type(row).__name__}, expected an object")
        yield number, row


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield (number from 1, place of its first byte, line) of each line that is not blank; no byte-order mark."""
    place = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line[3:] if number == 1 and line.startswith(_BYTE_ORDER_MARK) else line
                if not text.isspace() and text:
                    yield number, place + len(line) - len(text), text
                place += len(line)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise _unreadable(path, error) from error


def _parse(line: bytes) -> Any:
    return json.loads(line.decode())  # `loads` would guess the encoding of bytes


class _RepeatedRun:
    """Parse lines of which many hold the same run of keys and values: it is compared, not parsed again."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = frozenset(keys)
        self._first = keys[0]
        self._lead = f"{json.dumps(keys[0])}: ".encode()
        self._known: dict[bytes, list[tuple[bytes, dict[str, Any]]]] = {}

    def parse(self, line: bytes) -> Any:
        """Return what `json.loads` does, but for the order of the keys.

        Raises:
            JSONDecodeError, UnicodeDecodeError: as `json.loads` and `decode` raise them.
        """
        start = line.find(self._lead)
        if start < 0:
            return _parse(line)
        lead = line[start : start + _LEAD_BYTES]
        similar = self._known.get(lead, [])
        for text, run in similar:
            if line.startswith(text, start):
                row = _parse(line[:start] + self._lead + _STAND_IN + line[start + len(text) :])
                if isinstance(row, dict) and row.get(self._first) == _STAND_IN_VALUE:  # not a key of an inner object
                    row.update(run)
                    return row
        row = _parse(line)
        if isinstance(row, dict) and len(similar) < _MAX_SIMILAR and (similar or len(self._known) < _MAX_KNOWN):
            run_text, run = self._run_from(line[start:].decode())
            if run and run.items() <= row.items():
                self._known.setdefault(lead, []).append((run_text.encode(), run))
                row.update(run)  # the very objects that later rows will have
        return row

    def _run_from(self, tail: str) -> tuple[str, dict[str, Any]]:
        """Return the run of wanted keys that `tail` begins with, as text and parsed."""
        run: dict[str, Any] = {}
        end = 0
        while found := _PAIR.match(tail, end):
            key = json.loads(found[1])
            if key not in self._keys or key in run:
                break
            run[key], end = _DECODER.raw_decode(tail, found.end())
        return tail[:end], run


def read_text(path: Path) -> str:
    """Read a UTF-8 file, without its byte-order mark; absent, a folder or not UTF-8 is a `DataError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error


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


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(
        tr(f"cannot read {path}: {error.strerror}", f"impossible de lire {path} : {error.strerror}"),
        tr("check the path and its permissions", "vérifiez le chemin et ses droits d'accès"),
    )


def _not_utf8(path: Path, error: UnicodeDecodeError, line_start: int = 0) -> DataError:
    place, byte = line_start + error.start, error.object[error.start]
    return DataError(
        tr(f"{path} is not UTF-8 (byte {place} is 0x{byte:02x})",
           f"{path} n'est pas en UTF-8 (octet {place} : 0x{byte:02x})"),
        tr(
            f"save it as UTF-8, for example: iconv -f WINDOWS-1252 -t UTF-8 {path.name}",
            f"enregistrez-le en UTF-8, par exemple : iconv -f WINDOWS-1252 -t UTF-8 {path.name}",
        ),
    )  # fmt: skip


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
