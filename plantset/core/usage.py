"""The `--help` page of a verb, in the language of messages."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path

from plantset.core.flags import Flag
from plantset.core.language import tr

_WIDEST = 100
_INDENT = " " * 8


def help_page(program: str, description: str, flags: Sequence[Flag], *, positional: str | None = None) -> str:
    """Return the whole page: how to call the verb, what it does, then each flag with its meaning and default."""
    required = [flag for flag in flags if flag.required]
    others = [flag for flag in flags if not flag.required]
    call = [program, *(f"{flag.name} {placeholder(flag)}" for flag in required if flag.field_name != positional)]
    if positional:
        call.insert(1, positional.upper())
    call.append(tr("[flags]", "[options]"))
    lines = [tr("usage: ", "utilisation : ") + " ".join(call), "", *_wrapped(description, "")]
    groups = [(tr("must be given", "à donner"), required)]
    for section in dict.fromkeys(flag.section for flag in others):
        title = tr("flags", "options") if section is None else tr(*section)
        groups.append((title, [flag for flag in others if flag.section == section]))
    for title, group in groups:
        if group:
            lines += ["", f"{title}{tr(':', ' :')}", *(line for flag in group for line in _flag_lines(flag))]
    return "\n".join([*lines, *_common_lines()])


def flag_spelling(flag: Flag) -> str:
    """Return how a flag is typed: `--epochs N`, `--amp, --no-amp`."""
    words = [f"{flag.name} {placeholder(flag)}".strip()]
    words += [name for name in (flag.negation, flag.alias) if name]
    return ", ".join(words)


def placeholder(flag: Flag) -> str:
    """Return what stands for a flag's value: `N`, `PATH`, `{fr,en}`; empty for an on-off flag."""
    if flag.item is bool:
        return ""
    names = {int: "N", float: "X", Path: tr("PATH", "CHEMIN")}
    one = "{" + ",".join(flag.choices) + "}" if flag.choices else names.get(flag.item, tr("TEXT", "TEXTE"))
    if flag.count is None:
        return f"{one} …"
    return " ".join([one] * flag.count)


def default_text(flag: Flag) -> str:
    """Return the default as typed on a command line; empty where nothing is chosen by default."""
    if flag.required or flag.default in (None, "", ()):
        return ""
    if isinstance(flag.default, bool):
        return flag.name if flag.default else flag.negation or ""
    return " ".join(map(str, flag.default)) if isinstance(flag.default, tuple) else str(flag.default)


def _flag_lines(flag: Flag) -> list[str]:
    default = default_text(flag)
    shown = tr(f"  (default: {default})", f"  (par défaut : {default})") if default else ""
    return [f"  {flag_spelling(flag)}{shown}", *_wrapped(tr(flag.help_en, flag.help_fr), _INDENT)]


def _common_lines() -> list[str]:
    return [
        "",
        tr("always there:", "toujours là :"),
        "  --recipe FILE.toml" if tr("en", "fr") == "en" else "  --recipe FICHIER.toml",
        *_wrapped(
            tr(
                "settings kept in a file, one `name = value` a line; a flag on the command line wins",
                "des réglages gardés dans un fichier, un `nom = valeur` par ligne ; une option tapée l'emporte",
            ),
            _INDENT,
        ),
        "  --lang {fr,en}",
        *_wrapped(
            tr(
                "language of messages and reports (default: that of the system)",
                "langue des messages et des rapports (par défaut : celle du système)",
            ),
            _INDENT,
        ),
        "  -h, --help",
        *_wrapped(tr("show this page", "afficher cette page"), _INDENT),
    ]


def _wrapped(text: str, indent: str) -> list[str]:
    width = max(40, min(_WIDEST, shutil.get_terminal_size().columns))
    # a line never starts with the second half of « word : »
    glued = re.sub(r" (?=[:;?!»])|(?<=«) ", "\N{NO-BREAK SPACE}", text)
    lines = textwrap.wrap(
        glued,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
