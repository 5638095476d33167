"""Frozen dataclasses of which a million fit into memory: what many have in common is held once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import itemgetter
from typing import Any, TypeVar

_ClassT = TypeVar("_ClassT", bound=type)
RecordT = TypeVar("RecordT")
_COMMON = "_common"


def shares_all_but(*own: str) -> Callable[[_ClassT], _ClassT]:
    """Return a decorator of a frozen dataclass: the fields `own` lie in each object, all others in one tuple.

    A field costs 8 bytes in each object, whether it holds anything or not. The photos of a class agree in most of
    theirs, so that objects may share the tuple of these (`maker_of`); an object by itself has a tuple of its own.
    To its users the class is the dataclass that it was: constructor, `fields`, `replace`, `asdict`, `==`, pickling.
    """

    def decorate(cls: _ClassT) -> _ClassT:
        names = [field.name for field in dataclasses.fields(cls)]
        common = [name for name in names if name not in own]
        space = {key: value for key, value in vars(cls).items() if key not in {*names, "__dict__", "__weakref__"}}
        space |= {name: _CommonField(at, last=at == len(common) - 1) for at, name in enumerate(common)}
        space |= {"__slots__": (*own, _COMMON), "__reduce__": _reduce, "__qualname__": cls.__qualname__}
        compact: Any = type(cls)(cls.__name__, cls.__bases__, space)
        return compact  # type: ignore[no-any-return]

    return decorate


def maker_of(kind: Callable[..., RecordT]) -> Callable[[dict[str, Any]], RecordT]:
    """Return what makes objects of their fields by name, as the constructor does; objects of one maker share.

    Two records share the tuple of their common fields where these are the same objects, not merely equal ones.
    """
    if not hasattr(kind, _COMMON):
        return lambda values: kind(**values)
    fields: Any = dataclasses.fields(kind)  # type: ignore[arg-type]  # a dataclass is more than its constructor
    defaults = {field.name: _default(field) for field in fields}
    common = [field.name for field in fields if isinstance(getattr(kind, field.name), _CommonField)]
    own = [name for name in defaults if name not in common]
    take_own, take_common = itemgetter(*own), itemgetter(*common)
    setters = [getattr(kind, name).__set__ for name in own]
    set_common = getattr(kind, _COMMON).__set__
    known: dict[tuple[int, ...], tuple[Any, ...]] = {}

    def make(values: dict[str, Any]) -> RecordT:
        record: RecordT = object.__new__(kind)  # type: ignore[arg-type]  # five times as fast as the constructor
        full = {**defaults, **values}
        for set_field, value in zip(setters, take_own(full), strict=True):
            set_field(record, value)
        parts = take_common(full)
        set_common(record, known.setdefault(tuple(map(id, parts)), parts))
        return record

    return make


def _default(field: Any) -> Any:
    """Return the field's default, one object for all; a field without one has its value whenever it is made."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


class _CommonField:
    """One place of the tuple; the constructor sets the fields in order, and the last one closes it."""

    __slots__ = ("_at", "_last")

    def __init__(self, at: int, *, last: bool) -> None:
        self._at = at
        self._last = last

    def __get__(self, record: Any, _owner: object = None) -> Any:
        return self if record is None else record._common[self._at]

    def __set__(self, record: Any, value: Any) -> None:
        if self._at == 0:
            object.__setattr__(record, _COMMON, [])
        record._common.append(value)
        if self._last:
            object.__setattr__(record, _COMMON, tuple(record._common))


def _reduce(record: Any) -> tuple[Any, ...]:
    return type(record), tuple(getattr(record, field.name) for field in dataclasses.fields(record))
