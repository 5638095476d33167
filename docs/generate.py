"""Writes docs/commands.*.md from the flags, docs/metrics.md and docs/answers.md from the types of what is written.

`--check` only compares.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

from plantset.cli import VERBS, WANTS, load_object
from plantset.core.files import write_text
from plantset.core.flags import Flag, read_flags
from plantset.core.language import LANGUAGES, Language, set_message_language, tr
from plantset.core.usage import default_text, flag_spelling
from plantset.evaluation.results import METRICS_SCHEMA_VERSION, EvaluationResults
from plantset.inference.answer import CSV_COLUMNS, SCHEMA_VERSION
from plantset.inference.predictor import ModelVersion, Prediction
from plantset.inference.quality import PhotoQuality

FOLDER = Path(__file__).resolve().parent
SCRIPTS = {
    "clean": "data_cleaner.py",
    "map": "text_mapper.py",
    "train": "train.py",
    "evaluate": "evaluate.py",
    "infer": "infer.py",
    "scale-tpu": "scaler_tpu.py",
}


def main(words: list[str]) -> int:
    """Write the pages, or with `--check` say which one is not what the code says now."""
    pages = {f"commands.{language}.md": command_page(language) for language in LANGUAGES}
    pages["metrics.md"] = metrics_page()
    pages["answers.md"] = answers_page()
    stale = []
    for name, page in pages.items():
        path = FOLDER / name
        if words == ["--check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != page:
                stale.append(path.name)
        else:
            write_text(path, page)
    if stale:
        print(f"error: docs/{', docs/'.join(stale)}: not what the code says\nfix:   make docs", file=sys.stderr)
    return 2 if stale else 0


def command_page(language: Language) -> str:
    """Return the reference of every verb in one language."""
    set_message_language(language)
    lines = [
        tr("# The commands", "# Les commandes"),
        "",
        tr(
            "This page is written from the flags themselves (`make docs`) and checked by `make check`.",
            "Cette page est écrite à partir des options elles-mêmes (`make docs`) et vérifiée par `make check`.",
        ),
        tr(
            "Every verb also takes `--recipe FILE.toml` (settings kept in a file, one `name = value` a line; a typed "
            "flag wins), `--lang fr|en` (language of messages and reports) and `--help`.",
            "Chaque verbe accepte aussi `--recipe FICHIER.toml` (des réglages gardés dans un fichier, un "
            "`nom = valeur` par ligne ; une option tapée l'emporte), `--lang fr|en` (langue des messages et des "
            "rapports) et `--help`.",
        ),
        tr(
            "A verb returns 0 when all went well, 2 when a flag or a file is wrong, 3 when some inputs failed and the "
            "rest was done.",
            "Un verbe rend 0 si tout va bien, 2 si une option ou un fichier est faux, 3 si une partie des entrées a "
            "échoué et que le reste a été fait.",
        ),
    ]
    for want_en, want_fr, names in WANTS:
        lines += ["", f"## {tr(want_en, want_fr)}"]
        for name in names:
            lines += ["", *_verb_lines(name)]
    set_message_language(None)
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Return what each key of metrics.json means: the types of the results, with their docstrings."""
    lines = [
        "# metrics.json",
        "",
        "What `plantset evaluate` writes, key by key; this page is written from the code (`make docs`).",
        f"`schema_version` is {METRICS_SCHEMA_VERSION}: it rises when a key goes or changes its meaning.",
        "An `Estimate` is a value with its 95 % interval; `null` means that there was nothing to measure.",
    ]
    return "\n".join([*lines, *_type_tables(_result_types(EvaluationResults, []))]) + "\n"


def answers_page() -> str:
    """Return what each key of the files of `plantset infer --output` means."""
    lines = [
        "# The answers of plantset infer",
        "",
        "What `plantset infer --output FILE` writes; this page is written from the code (`make docs`).",
        f"`schema_version` is {SCHEMA_VERSION}: it rises when a key goes or changes its meaning.",
        "",
        "`.json` is a list of objects, `.jsonl` one object a line, `.csv` a table of one line a photo. A photo that "
        "cannot be read has `image` and `error` alone; the command then returns 3 (0: all answered; 2: nothing could "
        "be asked, or the only photo is unreadable).",
        "",
        "An object has `image` (the path as it was found), the keys of `Prediction` below, `model` (a `ModelVersion`), "
        "`schema_version` and `plantset_version` (of the program that asked). In place of `description`, "
        "`description_language` and `description_names` it has one `description`: null, or {`text`, `language`, "
        "`generated`: true, `contradicts`: whether it names another class than the first candidate, `names`: which}.",
        "",
        "The table has: " + ", ".join(f"`{name}`" for name in CSV_COLUMNS) + ". The candidates are cut to two; several "
        "values in a cell stand between `|`; what there is none of is an empty cell.",
        "",
        "| `confidence` | probability of the first candidate |",
        "|---|---|",
        "| `almost certain` | 0.95 or more |",
        "| `likely` | 0.8 or more |",
        "| `possible` | 0.5 or more |",
        "| `doubtful` | less |",
        "| `none` | the photo shows none of the classes, whatever the probability |",
    ]
    kinds = [*_result_types(Prediction, []), ModelVersion, PhotoQuality]
    return "\n".join([*lines, *_type_tables(kinds)]) + "\n"


def _type_tables(kinds: list[type[Any]]) -> list[str]:
    lines: list[str] = []
    for kind in kinds:
        hints = get_type_hints(kind)
        lines += [
            "",
            f"## {kind.__name__}",
            "",
            "```",
            inspect.getdoc(kind) or "",
            "```",
            "",
            "| key | type |",
            "|---|---|",
        ]
        lines += [f"| `{spec.name}` | `{_type_text(hints[spec.name])}` |" for spec in dataclasses.fields(kind)]
    return lines


def _result_types(kind: Any, seen: list[type]) -> list[type]:
    """Return a dataclass and every one that its fields can hold, outermost first."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind not in seen:
            seen.append(kind)
            for hint in get_type_hints(kind).values():
                _result_types(hint, seen)
        return seen
    for inner in get_args(kind):
        _result_types(inner, seen)
    return seen


def _type_text(hint: Any) -> str:
    return (hint.__name__ if isinstance(hint, type) and not get_args(hint) else _bare(str(hint))).replace("|", "\\|")


def _bare(text: str) -> str:
    """Drop module names: `plantset.evaluation.intervals.Estimate | None` is `Estimate | None`."""
    return re.sub(r"\b[\w.]+\.(?=\w)", "", text).replace("NoneType", "None")


def _verb_lines(name: str) -> list[str]:
    verb = VERBS[name]
    flags = read_flags(load_object(verb.config))
    words = f"plantset {name} {(verb.positional or '').upper()}".strip()
    script = tr(f" Also `python {SCRIPTS[name]}`.", f" Ou `python {SCRIPTS[name]}`.") if name in SCRIPTS else ""
    text = tr(verb.en, verb.fr)
    lines = [f"### `{words}`", "", f"{text[0].upper()}{text[1:]}.{script}"]
    for section in dict.fromkeys(flag.section for flag in flags):
        if section is not None:
            title = tr(*section)
            lines += ["", f"#### {title[0].upper()}{title[1:]}"]
        lines += [
            "",
            tr("| flag | default | what it does |", "| option | par défaut | ce qu'elle fait |"),
            "|---|---|---|",
        ]
        lines += [_row(flag) for flag in flags if flag.section == section]
    return lines


def _row(flag: Flag) -> str:
    default = tr("must be given", "à donner") if flag.required else default_text(flag)
    cells = [f"`{flag_spelling(flag)}`", f"`{default}`" if default and not flag.required else default]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in [*cells, tr(flag.help_en, flag.help_fr)]) + " |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
