"""Photos and labels from a table instead of folders."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath

from plantset.clean.scan import FoundFile, split_of
from plantset.core.errors import ConfigError, DataError
from plantset.core.files import read_text
from plantset.core.language import tr


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Which column says what; None where the table doesn't say it."""

    image: str
    label: str
    group: str | None = None
    split: str | None = None
    style: str | None = None
    source: str | None = None


def scan_table(table_path: Path, root: Path, columns: TableColumns) -> list[FoundFile]:
    """Return one file for each path that the table names, sorted by `source_path`.

    A path that stands in the table with two labels is refused as `two-labels`: nobody can say which is right.

    Raises:
        ConfigError: a column is not in the table.
        DataError: the table cannot be read, has no row, or a split cell is none of train, val, test.
    """
    by_path: dict[str, FoundFile] = {}
    labels: dict[str, set[str]] = defaultdict(set)
    for number, row in _rows(table_path, columns):
        file = _found(table_path, number, row, root, columns)
        labels[file.source_path].add(file.label or "")
        if len(labels[file.source_path]) > 1:
            names = " / ".join(sorted(labels[file.source_path]))
            file = FoundFile(file.path, file.source_path, None, refusal=("two-labels", names))
        by_path[file.source_path] = file
    if not by_path:
        raise DataError(
            tr(f"{table_path} has no row", f"{table_path} n'a aucune ligne"),
            tr("the table needs one row per photo", "le tableau doit avoir une ligne par photo"),
        )
    return sorted(by_path.values(), key=lambda file: file.source_path)


def _rows(table_path: Path, columns: TableColumns) -> list[tuple[int, dict[str, str]]]:
    text = read_text(table_path)
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=delimiter)
    names = reader.fieldnames or []
    wanted = [columns.image, columns.label, columns.group, columns.split, columns.style, columns.source]
    missing = [name for name in wanted if name is not None and name not in names]
    if missing:
        raise ConfigError(
            tr(f"{table_path} has no column '{missing[0]}'", f"{table_path} n'a pas de colonne « {missing[0]} »"),
            tr(f"its columns: {', '.join(names)}", f"ses colonnes : {', '.join(names)}"),
        )
    return [(reader.line_num, {key: value or "" for key, value in row.items() if key is not None}) for row in reader]


def _found(table_path: Path, number: int, row: Mapping[str, str], root: Path, columns: TableColumns) -> FoundFile:
    written = row[columns.image].strip()
    relative = PurePosixPath(written if (root / written).exists() else written.replace("\\", "/"))
    refusal = None
    if not relative.parts or relative.is_absolute() or ".." in relative.parts:
        refusal = ("outside-source", f"row {number}")
    elif not (root / relative).is_file():
        refusal = ("missing-file", f"row {number}")
    split_cell = row[columns.split].strip() if columns.split else ""
    split = split_of(split_cell)
    if split_cell and split is None:
        raise DataError(
            tr(
                f"{table_path} line {number}: '{columns.split}' is \"{split_cell}\", expected train, val or test",
                f"{table_path} ligne {number} : « {columns.split} » vaut « {split_cell} » (attendu : train, val, test)",
            ),
            tr("correct the cell, or leave it empty", "corrigez la cellule, ou laissez-la vide"),
        )
    return FoundFile(
        path=root / relative,
        source_path=relative.as_posix() if relative.parts else f"row {number}",
        label=row[columns.label] or None,
        split=split,
        user_group=_cell(row, columns.group),
        style=_cell(row, columns.style),
        source=_cell(row, columns.source),
        refusal=refusal,
    )


def _cell(row: Mapping[str, str], column: str | None) -> str | None:
    return (row[column].strip() or None) if column else None
