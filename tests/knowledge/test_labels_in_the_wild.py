"""Names of real photo folders, each read by a person and judged; "-" is a name that a person could not know either."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from plantset.knowledge.matching import Matcher

_HERE = Path(__file__).parent


def _table(name: str) -> list[tuple[str, str]]:
    with (_HERE / name).open(encoding="utf-8", newline="") as file:
        return [(row["label"], row["disease_id"]) for row in csv.DictReader(file, delimiter="\t")]


@pytest.mark.parametrize(("label", "expected"), _table("classes_seen.tsv"))
def test_a_real_users_folder_finds_its_disease_or_is_refused(matcher: Matcher, label: str, expected: str) -> None:
    match = matcher.match(label)

    assert (match.disease_id or "-") == expected


@pytest.mark.parametrize(("label", "expected"), _table("canonical.tsv"))
def test_a_canonical_name_of_the_photo_set_finds_its_disease(matcher: Matcher, label: str, expected: str) -> None:
    match = matcher.match(label)

    assert (match.disease_id or "-") == expected


def test_every_folder_name_of_the_photo_set_is_right_with_its_crop_and_never_wrong_without(
    matcher: Matcher, plantdata_dir: Path
) -> None:
    expected = dict(_table("canonical.tsv"))
    with (plantdata_dir / "manifest.csv").open(encoding="utf-8", newline="") as file:
        folders = {(row["source"], row["class"], row["canonical"]) for row in csv.DictReader(file)}

    with_crop = 0
    wrong = []
    for _, folder, canonical in sorted(folders):
        crop_id = matcher.find_crop(canonical.split("|")[0])
        given = matcher.match(folder, crop_id).disease_id
        bare = matcher.match(folder).disease_id
        with_crop += _holds(matcher, given, canonical, expected) if given else expected[canonical] == "-"
        wrong += [folder for found in (given, bare) if found and not _holds(matcher, found, canonical, expected)]

    assert wrong == []
    assert with_crop / len(folders) >= 0.98


def _holds(matcher: Matcher, found: str, canonical: str, expected: dict[str, str]) -> bool:
    """Right is the canonical identity, or the same cause without crop; of an ambiguous one, only what has no crop."""
    if found == expected[canonical]:
        return True
    if canonical.startswith("ambiguous|"):
        return found.startswith("any--")
    crop_id = matcher.find_crop(canonical.split("|")[0])
    # A bare name may say less than the canonical name does, never something else.
    general = matcher.match(canonical.split("|")[1]).disease_id
    return found.startswith("any--") and (crop_id is None or general == found)
