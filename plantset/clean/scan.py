"""What there is: every file under a folder, with what its place says of its class and split."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from plantset.core.records import Split

_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_ESCAPED_BYTE = re.compile(rb"\\x[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One thing that was found, whether or not it turns out to be a photo.

    Attributes:
        path: where to open it.
        source_path: POSIX, relative to the source folder; bytes that are no UTF-8 are written `\\xff`.
        label: the class, None where nothing says it.
        split: the split that the user's folders or table give.
        user_group: what the user's table says belongs together.
        refusal: (reason, detail) of what is known without opening it.
    """

    path: Path
    source_path: str
    label: str | None
    split: Split | None = None
    user_group: str | None = None
    style: str | None = None
    source: str | None = None
    refusal: tuple[str, str] | None = None


def scan_folder(data_dir: Path) -> list[FoundFile]:
    """Return every file under `data_dir`, sorted by `source_path`.

    The label is the name of the folder that directly holds the photo; a folder named train, val, valid, validation
    or test above it is the split; what else lies between is the `source`. A folder link that leads back into the
    source is one rejected line, not a loop.
    """
    root = data_dir.resolve()
    files = [place_file(data_dir, path, refusal) for path, refusal in _walk(data_dir, root, {root})]
    return sorted(files, key=lambda file: file.source_path)


def split_of(name: str) -> Split | None:
    """Return the split that a folder or a table cell names, in any case ("Valid", "validation"), else None."""
    return _SPLIT_NAMES.get(name.strip().casefold())


def printable(name: str) -> str:
    r"""Return the name as valid Unicode, so that it can be written as JSON; two names never become one.

    Bytes that are no UTF-8 are written `\xe9`. Backslashes are doubled in such a name, and in one that already holds
    those four characters.
    """
    if os.name == "nt":  # there a name is UTF-16, and the only oddity a lone surrogate
        return name.encode("utf-8", "backslashreplace").decode("utf-8")
    encoded = os.fsencode(name)
    try:
        encoded.decode("utf-8")
        odd = _ESCAPED_BYTE.search(encoded) is not None
    except UnicodeDecodeError:
        odd = True
    return encoded.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace") if odd else name


def _walk(folder: Path, root: Path, entered: set[Path]) -> Iterator[tuple[Path, tuple[str, str] | None]]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield folder, ("unreadable", error.strerror or type(error).__name__)
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path, root, entered)
        elif not entry.is_symlink():
            yield path, None if entry.is_file(follow_symlinks=False) else ("not-an-image", "a device or a pipe")
        else:
            yield from _follow(path, root, entered)


def _follow(link: Path, root: Path, entered: set[Path]) -> Iterator[tuple[Path, tuple[str, str] | None]]:
    try:
        mode = link.stat().st_mode
    except (OSError, RuntimeError) as error:  # a link to nowhere, or links in a ring
        yield link, ("broken-link", getattr(error, "strerror", None) or type(error).__name__)
        return
    if not stat.S_ISDIR(mode):
        yield link, None if stat.S_ISREG(mode) else ("not-an-image", "a device or a pipe")
        return
    target = link.resolve()
    if target.is_relative_to(root) or target in entered or root.is_relative_to(target):
        yield link, ("folder-link", "leads to a folder that is read in its own place")
        return
    entered.add(target)
    yield from _walk(link, root, entered)


def place_file(data_dir: Path, path: Path, refusal: tuple[str, str] | None = None) -> FoundFile:
    """Return the file with what its place under `data_dir` says of its class, split and source."""
    relative = path.relative_to(data_dir)
    folders = [printable(part) for part in relative.parts[:-1]]
    split, between = None, folders[:-1]
    for index, folder in enumerate(between):
        if split_of(folder):
            split = split_of(folder)
            between = between[:index] + between[index + 1 :]
            break
    alone_in_split = len(folders) == 1 and split_of(folders[0]) is not None
    label = folders[-1] if folders and not alone_in_split else None
    return FoundFile(
        path=path,
        source_path=printable(PurePath(relative).as_posix()),
        label=label,
        split=split,
        source="/".join(between) or None,
        refusal=refusal,
    )
