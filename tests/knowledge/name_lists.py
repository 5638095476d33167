"""The lists of names in this folder, and how an answer to one of their names is judged."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from plantset.knowledge.matching import Matcher
from plantset.knowledge.schema import Catalogue

REFUSE = "REFUSE"
HERE = Path(__file__).parent
Verdict = Literal["right", "wrong", "missed", "refused"]


@dataclass(frozen=True, slots=True)
class Name:
    """One name of a list: what a person would answer, as patterns of identities, or `REFUSE`.

    A list says what is true, not what the catalogue holds today: where none of the expected identities exists,
    refusing is right.
    """

    label: str
    crop: str
    expected: tuple[str, ...]
    why: str

    def judge(self, found: str | None, catalogue: Catalogue) -> Verdict:
        """Return "right" (found), "refused" (rightly), "missed" (wrongly refused) or "wrong"."""
        if found is not None:
            return "right" if any(fnmatchcase(found, pattern) for pattern in self.expected) else "wrong"
        exists = any(fnmatchcase(known, pattern) for known in catalogue.diseases for pattern in self.expected)
        return "missed" if exists and REFUSE not in self.expected else "refused"


def read_names(file_name: str) -> list[Name]:
    """Read a list of this folder: label, crop of the context, expected identities ("a or b"), why; "#" comments."""
    with (HERE / file_name).open(encoding="utf-8", newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Name(row["label"], row["crop"], tuple(row["expected"].split(" or ")), row["why"]) for row in rows]


def answer(matcher: Matcher, name: Name) -> str | None:
    """Return what the matcher finds; a crop that the catalogue does not know stands before the label, as a folder."""
    if not name.crop:
        return matcher.match(name.label).disease_id
    crop_id = matcher.find_crop(name.crop)
    if crop_id is None:
        return matcher.match(f"{name.crop}___{name.label}").disease_id
    return matcher.match(name.label, crop_id).disease_id
