"""The words of a command line, sorted and checked in the user's language before the flag library sees them."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from plantset.core.errors import ConfigError
from plantset.core.language import tr

_TRUE, _FALSE = ("true", "yes", "1", "oui", "vrai"), ("false", "no", "0", "non", "faux")


class Section(NamedTuple):
    """A heading of `--help`: a config may name its own as `section`, which stands over the fields of that class."""

    en: str
    fr: str


@dataclass(frozen=True, slots=True)
class Flag:
    """One field of a config as people type it.

    Attributes:
        field_name: `target_size`; the flag is `--target-size`.
        item: the type of one value: bool, int, float, str, Path, or a Literal.
        count: how many values follow; None for any number (`tuple[str, ...]`).
        optional: whether `none` may be given.
        required: whether the config has no default for it.
        default: the config's default; None where there is none.
        help_en, help_fr: what it does.
        alias: another flag for the same field, with its dashes.
        section: the heading that it stands under; None for the common one.
    """

    field_name: str
    item: Any
    count: int | None
    optional: bool
    required: bool
    default: Any
    help_en: str
    help_fr: str
    alias: str | None
    section: Section | None

    @property
    def name(self) -> str:
        """Return the flag with its dashes."""
        return "--" + self.field_name.replace("_", "-")

    @property
    def negation(self) -> str | None:
        """Return `--no-…` for an on-off flag."""
        return "--no-" + self.field_name.replace("_", "-") if self.item is bool else None

    @property
    def choices(self) -> tuple[str, ...]:
        """Return the values that a Literal allows, as typed; empty for every other type."""
        return tuple(map(str, typing.get_args(self.item))) if typing.get_origin(self.item) is Literal else ()

    @property
    def many(self) -> bool:
        """Return whether the field is a tuple."""
        return self.count != 1


def read_flags(config_type: type[Any]) -> tuple[Flag, ...]:
    """Return the flags of a config, in the order of its fields.

    Raises:
        TypeError: a field has a type that no flag can have (our mistake, not the user's).
    """
    hints = typing.get_type_hints(config_type)
    sections = {
        name: vars(kind).get("section")
        for kind in reversed(config_type.__mro__)
        for name in vars(kind).get("__annotations__", {})
    }
    return tuple(_flag(field, hints[field.name], sections[field.name]) for field in dataclasses.fields(config_type))


def split_arguments(
    flags: Sequence[Flag], arguments: Sequence[str], *, positional: str | None = None
) -> dict[str, tuple[str, ...]]:
    """Sort the words of a command line: field name -> the words given for it, checked.

    An on-off flag gives ("True",) or ("False",). `none` for an optional field gives ("None",).

    Args:
        positional: the field that a word without a flag stands for.

    Raises:
        ConfigError: an unknown or repeated flag, a word that belongs to no flag, a value that does not fit.
    """
    by_name = flag_names(flags)
    given: dict[str, tuple[str, ...]] = {}
    words = list(arguments)
    values: tuple[str, ...]
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            flag = _positional_flag(flags, positional, given, word)
            values = (word, *_take_values(flag, words)) if flag.many else (word,)
        else:
            name, equals, inline = _undashed(word).partition("=")
            if name not in by_name:
                raise _unknown_flag(name, by_name)
            flag = by_name[name]
            values = (inline,) if equals else _take_values(flag, words)
            values = _switch(flag, name, values) if flag.item is bool else values
        if flag.field_name in given:
            raise ConfigError(
                tr(f"{flag.name} is given twice", f"{flag.name} est donné deux fois"), tr("keep one", "gardez-en un")
            )
        given[flag.field_name] = _checked(flag, values)
    return given


def flag_names(flags: Sequence[Flag]) -> dict[str, Flag]:
    """Return every word that names a flag (`--no-…` twins and aliases included) -> its flag."""
    names: dict[str, Flag] = {}
    for flag in flags:
        names[flag.name] = flag
        if flag.negation:
            names[flag.negation] = flag
        if flag.alias:
            names[flag.alias] = flag
    return names


def recipe_value(flag: Flag, value: Any, *, where: str) -> Any:
    """Return a TOML value as the field's own type.

    Raises:
        ConfigError: the value does not fit; `where` names the file.
    """
    if not flag.many:
        return _recipe_item(flag, value, where)
    if not isinstance(value, list) or flag.count not in (None, len(value)):
        raise _misfit(f"{where}: {flag.field_name}", value, _expected(flag))
    return tuple(_recipe_item(flag, item, where) for item in value)


def suggestion(word: str, known: Mapping[str, Any] | Sequence[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word that is nearest to a mistyped one, or None."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return near[0] if near else None


def _flag(field: dataclasses.Field[Any], annotation: Any, section: Section | None) -> Flag:
    parts = [annotation]
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        parts = [part for part in typing.get_args(annotation) if part is not types.NoneType]
    item = parts[0]
    count: int | None = 1
    if typing.get_origin(item) is tuple:
        inner = typing.get_args(item)
        item, count = inner[0], None if inner[-1] is Ellipsis else len(inner)
    known = item in (bool, int, float, str, Path) or typing.get_origin(item) is Literal
    if len(parts) != 1 or not known or (item is bool and count != 1):
        raise TypeError(f"{field.name}: no flag can have the type {annotation}")
    required = field.default is dataclasses.MISSING
    return Flag(
        field_name=field.name,
        item=item,
        count=count,
        optional=parts != [annotation],
        required=required,
        default=None if required else field.default,
        help_en=field.metadata["en"],
        help_fr=field.metadata["fr"],
        alias=field.metadata.get("alias"),
        section=section,
    )


def _undashed(word: str) -> str:
    """Accept `--data_dir` for `--data-dir`, as argparse scripts often did."""
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


def _positional_flag(flags: Sequence[Flag], positional: str | None, given: Mapping[str, Any], word: str) -> Flag:
    for flag in flags:
        if flag.field_name == positional and positional not in given:
            return flag
    raise ConfigError(
        tr(f"'{word}' belongs to no flag", f"« {word} » ne se rattache à aucune option"),
        tr(
            "write --flag value, and quote a value that has spaces",
            "écrivez --option valeur, et mettez entre guillemets une valeur qui contient des espaces",
        ),
    )


def _take_values(flag: Flag, words: list[str]) -> tuple[str, ...]:
    """Take the words that follow a flag: as many as it wants, up to the next flag."""
    if flag.item is bool:
        return (words.pop(0),) if words and words[0].lower() in ("true", "false") else ()
    taken: list[str] = []
    while words and not words[0].startswith("--") and (flag.count is None or len(taken) < flag.count):
        taken.append(words.pop(0))
    return tuple(taken)


def _switch(flag: Flag, name: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return ("True",) or ("False",) for `--x`, `--no-x`, `--x=false` and `--x false`."""
    turned_on = name != flag.negation
    if not values:
        return (str(turned_on),)
    if flag.optional and values[0].lower() == "none":
        return ("None",)
    if values[0].lower() not in _TRUE + _FALSE:
        raise _misfit(name, values[0], f"{flag.name}, {flag.negation}")
    return (str((values[0].lower() in _TRUE) == turned_on),)


def _checked(flag: Flag, values: tuple[str, ...]) -> tuple[str, ...]:
    if flag.item is bool:
        return values
    if flag.optional and len(values) == 1 and values[0].lower() == "none":
        return ("None",)
    if not values and flag.count == 1:
        raise ConfigError(
            tr(f"{flag.name} needs a value", f"{flag.name} attend une valeur"), tr("give ", "donnez ") + _expected(flag)
        )
    if flag.count not in (None, len(values)):
        raise _misfit(flag.name, " ".join(values), _expected(flag))
    for value in values:
        _check_item(flag, value)
    return values


def _check_item(flag: Flag, value: str) -> None:
    if flag.choices:
        if value not in flag.choices:
            raise _not_a_choice(flag, value)
        return
    try:
        fits = flag.item not in (int, float) or math.isfinite(flag.item(value))
    except ValueError:
        fits = False
    if not fits:
        raise _misfit(flag.name, value, _expected(flag))


def _not_a_choice(flag: Flag, value: str) -> ConfigError:
    near = suggestion(value, flag.choices)
    meant = tr(f"did you mean {near}? ", f"vouliez-vous dire {near} ? ") if near else ""
    choices = ", ".join(flag.choices)
    return ConfigError(
        tr(f"{flag.name} {value} is not a choice", f"{flag.name} {value} n'est pas un choix possible"),
        meant + tr(f"choices: {choices}", f"choix : {choices}"),
    )


def _unknown_flag(name: str, known: Mapping[str, Flag]) -> ConfigError:
    near = suggestion(name, known, cutoff=0.5)
    everything = tr("all flags with their meaning: --help", "toutes les options et leur sens : --help")
    meant = tr(f"did you mean {near}? ", f"vouliez-vous dire {near} ? ") if near else ""
    return ConfigError(
        tr(f"unknown flag {name}", f"option inconnue {name}"), meant + everything[0].upper() + everything[1:]
    )


def _misfit(name: str, value: Any, expected: str) -> ConfigError:
    return ConfigError(
        tr(f"{name} is '{value}'", f"{name} vaut « {value} »"), tr(f"expected: {expected}", f"attendu : {expected}")
    )


def _expected(flag: Flag) -> str:
    names = {
        int: (tr("a whole number", "un nombre entier"), tr("whole numbers", "nombres entiers")),
        float: (tr("a number", "un nombre"), tr("numbers", "nombres")),
        Path: (tr("a path", "un chemin"), tr("paths", "chemins")),
        bool: (tr("true or false", "true ou false"), ""),
    }
    one, several = names.get(flag.item, (tr("a text", "un texte"), tr("texts", "textes")))
    if flag.choices:
        one = several = tr("one of ", "au choix ") + ", ".join(flag.choices)
    if flag.count == 1:
        return one
    return several if flag.count is None else f"{flag.count} {several}"


def _recipe_item(flag: Flag, value: Any, where: str) -> Any:
    if flag.item is float and type(value) is int:
        return float(value)
    if flag.item is Path and isinstance(value, str):
        return Path(value)
    fits = value in typing.get_args(flag.item) if flag.choices else type(value) is flag.item
    if not fits:
        raise _misfit(f"{where}: {flag.field_name}", value, _expected(flag))
    return value
