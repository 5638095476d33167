"""Files here or in an object store (`s3://`, `gs://`, any that fsspec knows), behind the few calls that stages need.

A place is a `Path` everywhere. A `Path` folds the two slashes of a URL into one (`s3:/bucket/photos`), and nothing
else: `url_of` gives them back, so `parent`, `/` and `with_name` work on both kinds of place.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from plantset.core.errors import ConfigError, DataError
from plantset.core.files import atomic_path, write_bytes
from plantset.core.language import tr

_REMOTE = re.compile(r"^([a-z][a-z0-9+]+):/+")  # two letters or more: C:/photos is a folder of Windows
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}


@dataclass(frozen=True, slots=True)
class FileStatus:
    """How long a file is and when it was last written: equal means that nothing changed."""

    size: int
    mtime_ns: int


def is_remote(path: Path) -> bool:
    """Return whether the path is a URL that lost a slash."""
    return _REMOTE.match(path.as_posix()) is not None


def url_of(path: Path) -> str:
    """Return the URL of a remote place, the path of a local one."""
    return _REMOTE.sub(r"\1://", path.as_posix()) if is_remote(path) else str(path)


def absolute(path: Path) -> Path:
    """Return the local path resolved; a remote one is absolute as it is."""
    return path if is_remote(path) else path.resolve()


def read_stored(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: it is absent or may not be read.
        DataError: the store doesn't answer: nothing is wrong with the file, so it must not be judged.
    """
    if not is_remote(path):
        with path.open("rb", buffering=0) as file:  # a buffer would only be in the way of reading all at once
            return file.readall()
    store = _store(path)
    try:
        return bytes(store.cat_file(url_of(path)))
    except _network_errors(path) as error:
        raise _no_answer(path, error) from error


def read_ranges(places: Sequence[tuple[Path, int, int]]) -> list[bytes]:
    """Return parts of files of one store, (path, first byte, size) each, asked for all at once.

    Raises:
        OSError: a file is absent or may not be read.
        DataError: the store doesn't answer.
    """
    paths, starts, sizes = zip(*places, strict=True)
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    try:
        found = _store(paths[0]).cat_ranges([url_of(path) for path in paths], list(starts), ends, on_error="raise")
    except _network_errors(paths[0]) as error:
        raise _no_answer(paths[0], error) from error
    return [bytes(data) for data in found]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a local path to write to; on success the file is moved to `path`, here or in a store, at once and whole.

    Raises:
        DataError: the store doesn't answer.
    """
    if not is_remote(path):
        with atomic_path(path) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / path.name
        yield local
        _forget(path)
        try:
            _store(path).put_file(str(local), url_of(path))
        except _network_errors(path) as error:
            raise _no_answer(path, error) from error


def open_stored(path: Path) -> Any:
    """Open a file to read parts of it; it closes at the end of a `with`."""
    return _store(path).open(url_of(path), "rb") if is_remote(path) else path.open("rb")


def write_stored(path: Path, content: bytes) -> None:
    """Write a whole file, here or in a store: nobody sees a part of it.

    Raises:
        OSError: it may not be written.
        DataError: the store doesn't answer.
    """
    if not is_remote(path):
        write_bytes(path, content)
        return
    _forget(path)
    try:
        _store(path).pipe_file(url_of(path), content)
    except _network_errors(path) as error:
        raise _no_answer(path, error) from error


def status_of(path: Path) -> FileStatus:
    """Return size and time of a file; after `list_stored`, a store is not asked again.

    Raises:
        OSError: it is absent or may not be read.
    """
    if not is_remote(path):
        status = path.stat()
        return FileStatus(status.st_size, status.st_mtime_ns)
    url = url_of(path)
    known = _listed(url).get(url)
    return known or _status(_store(path).info(url))


def list_stored(folder: Path) -> Iterator[Path]:
    """Yield every file under a remote folder, listed anew, in the order of the paths.

    The listing (one request for a thousand files) also tells sizes and times: `status_of` then asks no more.
    """
    store, url = _store(folder), url_of(folder)
    scheme = url.partition("://")[0]
    store.invalidate_cache()
    try:
        found = store.find(url, detail=True)
    except _network_errors(folder) as error:
        raise _no_answer(folder, error) from error
    known = _listed(url)
    for gone in [other for other in known if other.startswith(url + "/")]:
        del known[gone]
    for name in sorted(found):
        path = Path(f"{scheme}:/{name.lstrip('/')}")
        known[url_of(path)] = _status(found[name])
        yield path


def remove_stored(path: Path) -> None:
    """Remove a file if it is there."""
    if not is_remote(path):
        path.unlink(missing_ok=True)
        return
    _forget(path)
    store = _store(path)
    if store.exists(url_of(path)):
        store.rm_file(url_of(path))


@cache
def _listings(_scheme: str) -> dict[str, FileStatus]:
    return {}


def _listed(url: str) -> dict[str, FileStatus]:
    """Return what the last listings said, URL -> status: as fsspec's own cache, which `find` doesn't fill."""
    return _listings(url.partition("://")[0])


def _forget(path: Path) -> None:
    _listed(url_of(path)).pop(url_of(path), None)


def _status(info: Mapping[str, Any]) -> FileStatus:
    """Read size and time from what fsspec tells: each store has its own name for the time."""
    written = next((info[key] for key in ("LastModified", "updated", "mtime", "created") if info.get(key)), 0)
    if isinstance(written, str):
        written = datetime.fromisoformat(written)
    seconds = written.timestamp() if isinstance(written, datetime) else float(written)
    return FileStatus(int(info["size"]), round(seconds * 1e9))


@cache
def _open_store(scheme: str) -> Any:
    try:
        import fsspec

        return fsspec.filesystem(scheme)
    except ImportError as error:
        package = _PACKAGES.get(scheme, f"fsspec[{scheme}]")
        raise ConfigError(
            tr(f"{scheme}:// needs {package}", f"{scheme}:// a besoin de {package}"), f"pip install {package}"
        ) from error
    except ValueError as error:
        raise ConfigError(
            tr(f"{scheme}:// is no known store", f"{scheme}:// n'est pas un stockage connu"),
            tr("use s3://, gs:// or a local folder", "utilisez s3://, gs:// ou un dossier local"),
        ) from error


def _store(path: Path) -> Any:
    return _open_store(url_of(path).partition("://")[0])


def _network_errors(path: Path) -> tuple[type[Exception], ...]:
    """Name what a store raises when it can't be reached; its own retries are over by then."""
    if not url_of(path).startswith("s3://"):
        return (ConnectionError, TimeoutError)
    from botocore.exceptions import BotoCoreError

    return (BotoCoreError, ConnectionError, TimeoutError)


def _no_answer(path: Path, error: Exception) -> DataError:
    return DataError(
        tr(
            f"{url_of(path)}: the store does not answer: {error}",
            f"{url_of(path)} : le stockage ne répond pas : {error}",
        ),
        tr(
            "check the network and the credentials, then run again: only the rest is done",
            "vérifiez le réseau et les identifiants, puis relancez : seul le reste sera fait",
        ),
    )
