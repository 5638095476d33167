"""What a model answered about photos of a manifest: read from `evaluate`'s predictions or `infer`'s JSON lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from plantset.core.errors import DataError
from plantset.core.files import read_json_lines, sha256_file
from plantset.core.language import tr
from plantset.core.records import Record
from plantset.models.decision import Decision

_DECISIONS = get_args(Decision)


@dataclass(frozen=True, slots=True)
class PhotoAnswer:
    """One photo with what the model said of it, the most probable class first.

    Attributes:
        decision: one of `models.decision.Decision`.
    """

    record: Record
    candidates: tuple[tuple[str, float], ...]
    decision: str

    @property
    def predicted(self) -> str:
        """The most probable class."""
        return self.candidates[0][0]

    @property
    def probability(self) -> float:
        """The probability of the most probable class."""
        return self.candidates[0][1]

    @property
    def label_prob(self) -> float:
        """The probability of the photo's label; 0 where it is not among the candidates."""
        return dict(self.candidates).get(self.record.class_id, 0.0)


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers, and how many lines are about no photo of the manifest (unreadable ones included)."""

    photos: tuple[PhotoAnswer, ...]
    num_left_out: int


def read_answers(paths: Sequence[Path], records: Sequence[Record], manifest: Path, images_dir: Path) -> Answers:
    """Read every line of the files.

    A line of `infer` is found in the manifest by its place under the images folder, else by the bytes of its file.

    Raises:
        DataError: a line is of neither verb, a photo is answered twice, `evaluate` scored another manifest, the
            manifest lacks what a correction needs, or no line is about a photo of it.
    """
    finder = _Finder(records, images_dir)
    found: dict[str, PhotoAnswer] = {}
    left_out = 0
    for path in paths:
        for number, row in read_json_lines(path):
            record = _evaluated(path, number, row, finder, manifest) if "top5" in row else _inferred(row, finder)
            if record is None:
                left_out += 1
                continue
            if record.image_path in found:
                raise _twice(path, number, record)
            _check_record(record, manifest)
            found[record.image_path] = _answer(path, number, row, record)
    if not found:
        raise DataError(
            tr(
                f"no line of {', '.join(map(str, paths))} is about a photo of {manifest}",
                f"aucune ligne de {', '.join(map(str, paths))} ne porte sur une photo de {manifest}",
            ),
            tr("give the manifest that holds these photos: --jsonl-file", "donnez leur manifeste : --jsonl-file"),
        )
    return Answers(tuple(found.values()), left_out)


class _Finder:
    """Finds the record of a photo."""

    def __init__(self, records: Sequence[Record], images_dir: Path) -> None:
        self.by_path = {record.image_path: record for record in records}
        self._by_content: dict[str, list[Record]] = defaultdict(list)
        self._images_dir = images_dir.resolve()
        for record in records:
            if record.sha256:
                self._by_content[record.sha256].append(record)

    def find(self, photo: Path) -> Record | None:
        place = photo.resolve()
        if place.is_relative_to(self._images_dir):
            return self.by_path.get(place.relative_to(self._images_dir).as_posix())
        if not place.is_file():
            return None
        same = self._by_content.get(sha256_file(place), [])
        named = [record for record in same if record.source_path and place.as_posix().endswith(record.source_path)]
        return named[0] if named else same[0] if len(same) == 1 else None


def _evaluated(path: Path, number: int, row: Mapping[str, Any], finder: _Finder, manifest: Path) -> Record:
    record = finder.by_path.get(row.get("image_path", ""))
    if record is not None and record.class_id == row.get("class_id"):
        return record
    why = (
        tr("is not in", "n'est pas dans")
        if record is None
        else tr(f"is called {record.class_id} in", f"s'appelle {record.class_id} dans")
    )
    raise DataError(
        tr(
            f"{path} line {number}: {row.get('image_path')} ({row.get('class_id')}) {why} {manifest}",
            f"{path} ligne {number} : {row.get('image_path')} ({row.get('class_id')}) {why} {manifest}",
        ),
        tr(
            "give the manifest that was evaluated (--jsonl-file), or evaluate again",
            "donnez le manifeste évalué (--jsonl-file), ou évaluez de nouveau",
        ),
    )


def _inferred(row: Mapping[str, Any], finder: _Finder) -> Record | None:
    return finder.find(Path(row["image"])) if "candidates" in row and isinstance(row.get("image"), str) else None


def _answer(path: Path, number: int, row: Mapping[str, Any], record: Record) -> PhotoAnswer:
    listed = row.get("top5") or row.get("candidates")
    try:
        candidates = tuple((str(item["class_id"]), float(item["probability"])) for item in listed or ())
        decision = str(row["decision"])
    except (KeyError, TypeError, ValueError) as error:
        raise _bad_line(path, number) from error
    if not candidates or decision not in _DECISIONS:
        raise _bad_line(path, number)
    return PhotoAnswer(record, tuple(sorted(candidates, key=lambda item: -item[1])), decision)


def _check_record(record: Record, manifest: Path) -> None:
    if record.sha256 and record.source_path:
        return
    raise DataError(
        tr(
            f"{manifest} does not say where {record.image_path} comes from (source_path, sha256)",
            f"{manifest} ne dit pas d'où vient {record.image_path} (source_path, sha256)",
        ),
        tr(
            "corrections are for what plantset clean reads: make the manifest with plantset clean and plantset map",
            "les corrections servent à plantset clean : faites le manifeste avec plantset clean et plantset map",
        ),
    )


def _bad_line(path: Path, number: int) -> DataError:
    return DataError(
        tr(
            f"{path} line {number} is no answer of plantset evaluate or infer",
            f"{path} ligne {number} n'est pas une réponse de plantset evaluate ou infer",
        ),
        tr(
            "needed: predictions.jsonl of plantset evaluate, or plantset infer --output answers.jsonl on photos of the "
            "manifest",
            "il faut le predictions.jsonl de plantset evaluate, ou plantset infer --output reponses.jsonl sur des "
            "photos du manifeste",
        ),
    )


def _twice(path: Path, number: int, record: Record) -> DataError:
    return DataError(
        tr(
            f"{path} line {number}: a second answer about {record.image_path}",
            f"{path} ligne {number} : une seconde réponse sur {record.image_path}",
        ),
        tr("give each split once, from one model", "donnez chaque lot une fois, d'un seul modèle"),
    )
