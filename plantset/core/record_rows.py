"""JSON rows of one file to records of one kind, equal values kept once.

The photos of a class repeat its texts, about 6 kB a row: a million records fit into memory only because those are
shared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import marshal
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Generic

from plantset.core.compact import RecordT, maker_of
from plantset.core.errors import DataError
from plantset.core.language import tr

_SMALL_KEY_BYTES = 64
_MAX_SEEN = 8_192  # values of classes are fewer; those of single photos would only fill the memory


class FieldMismatchError(Exception):
    """A value is not what its field wants; `RowReader` says in which file, line and field."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    """What a field takes.

    Attributes:
        of_one_row: its texts are no other row's.
        known: what tells a value from others -> that value in the record's own type; fields of one annotation share it.
        seen: id of a JSON value -> (that value, held so that no other gets its id; what it became).
    """

    annotation: str
    of_one_row: bool
    known: dict[str | bytes, Any]
    seen: dict[int, tuple[Any, Any]] = dataclasses.field(default_factory=dict)


class RowReader(Generic[RecordT]):
    """Check the rows of one file and make records of them.

    Args:
        kind: a dataclass.
        convert: (annotation, JSON value) -> the value in the record's own type; raises `FieldMismatchError`.
        must_be_named: fields that may be null but not absent.
        of_one_row: fields whose texts no other row has: looking for an equal one would only cost time.
    """

    def __init__(
        self,
        path: Path,
        kind: Callable[..., RecordT],
        convert: Callable[[str, Any], Any],
        *,
        must_be_named: Collection[str] = (),
        of_one_row: Collection[str] = (),
    ) -> None:
        self._path = path
        self._make = maker_of(kind)
        self._convert = convert
        self._fields: dict[str, _Field] = {}
        known: dict[str, dict[str | bytes, Any]] = {}
        for spec in dataclasses.fields(kind):  # type: ignore[arg-type]  # a dataclass is more than its constructor
            annotation = str(spec.type).removesuffix(" | None")
            self._fields[spec.name] = _Field(annotation, spec.name in of_one_row, known.setdefault(annotation, {}))
        self._required = [
            spec.name
            for spec in dataclasses.fields(kind)  # type: ignore[arg-type]
            if spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        ]
        self._named = [name for name in must_be_named if name in self._fields]
        self._texts: dict[str, str] = {}

    def read(self, number: int, row: Mapping[str, Any]) -> RecordT:
        """Return the record of one row.

        Raises:
            DataError: a field is missing or of another type; file, line and field named.
        """
        values: dict[str, Any] = {}
        fields, texts = self._fields, self._texts
        for name, value in row.items():
            field = fields.get(name)
            if value is None or field is None:
                continue
            if type(value) is str and field.annotation == "str":  # most of them: worth no call
                values[name] = value if field.of_one_row else texts.setdefault(value, value)
                continue
            seen = field.seen.get(id(value))  # the very object of an earlier row, where those are shared
            if seen is not None:
                values[name] = seen[1]
                continue
            try:
                values[name] = self._shared(field, value)
            except FieldMismatchError as mismatch:
                raise self._error(number, name, str(mismatch)) from mismatch
        for name in self._required:
            if name not in values:
                raise self._error(number, name, tr("is missing", "est absent"))
        for name in self._named:
            if name not in row:
                raise self._error(number, name, tr("is missing", "est absent"))
        return self._make(values)

    def _shared(self, field: _Field, value: Any) -> Any:
        """Return the checked value in the record's own type, the same object for an equal value."""
        if type(value) is int:  # a place in shards is no other row's
            return self._convert(field.annotation, value)
        key = value if type(value) is str else _digest(value)
        if key not in field.known:
            field.known[key] = self._convert(field.annotation, self._with_shared_texts(value))
            if type(value) in (dict, list) and len(field.seen) < _MAX_SEEN:
                field.seen[id(value)] = value, field.known[key]
        return field.known[key]

    def _with_shared_texts(self, value: Any) -> Any:
        if type(value) is str:
            return self._texts.setdefault(value, value)
        if isinstance(value, list):
            return [self._with_shared_texts(item) for item in value]
        if isinstance(value, dict):
            return {sys.intern(name): self._with_shared_texts(item) for name, item in value.items()}
        return value

    def _error(self, number: int, field_name: str, why: str) -> DataError:
        return DataError(
            tr(
                f"{self._path} line {number}: '{field_name}' {why}",
                f"{self._path} ligne {number} : '{field_name}' {why}",
            ),
            tr(
                "mend that line, or make the file anew: plantset clean, then plantset map",
                "corrigez cette ligne, ou refaites le fichier : plantset clean, puis plantset map",
            ),
        )


def _digest(value: Any) -> bytes:
    """Return bytes that equal values have in common and others don't; short, whatever the value holds."""
    data = marshal.dumps(value, 2)  # this version writes no back references, by which equal values would differ
    return data if len(data) <= _SMALL_KEY_BYTES else hashlib.sha1(data, usedforsecurity=False).digest()
