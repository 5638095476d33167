"""`plantset infer`: photos from disk, answers as a table, JSON or JSON lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plantset import __version__
from plantset.core.bounds import check_at_least, check_num_classes
from plantset.core.errors import ConfigError, DataError
from plantset.core.files import write_bytes, write_json, write_json_lines
from plantset.core.language import tr
from plantset.core.log import progress
from plantset.core.photo import PhotoError
from plantset.data.geometry import Pixels
from plantset.inference.config import InferConfig
from plantset.inference.explain import draw_heat, encode_png
from plantset.inference.predictor import Candidate, Prediction, Predictor, load_predictor
from plantset.models.relevance import explain_photos

_PHOTO_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic"}
_SCHEMA_VERSION = 3  # 3: description says whether it contradicts the answer; 2: unknown, familiarity
_SHOWN_BEYOND = 5


@dataclass(frozen=True)
class Answer:
    """One file with its prediction, or with why it has none."""

    path: Path
    prediction: Prediction | None
    error: str | None = None


@dataclass(frozen=True)
class InferReport:
    """The answers, in the order of the files."""

    answers: tuple[Answer, ...]
    output: Path | None

    def summary(self) -> str:
        """Return a block a photo: candidates, description, card."""
        blocks = ["\n".join(_lines(answer)) for answer in self.answers]
        if self.output is not None:
            blocks.append(tr(f"written: {self.output}", f"écrit : {self.output}"))
        return "\n\n".join(blocks)

    @property
    def exit_code(self) -> int:
        """Return 3 when some files could not be read, 0 otherwise."""
        return 3 if any(answer.error for answer in self.answers) else 0


def infer(config: InferConfig) -> InferReport:
    """Answer for a photo or for every photo of a folder.

    A file that cannot be read gets an error of its own and the rest goes on; a single photo that cannot be read is
    the user's mistake.

    Raises:
        ConfigError: a wrong number or output name.
        CheckpointError: the model cannot be loaded.
        DataError: there is no photo, or the one photo cannot be read.
    """
    _check(config)
    paths = find_photos(config.image)
    predictor = load_predictor(config.checkpoint, config.device)
    check_num_classes(config.num_classes, predictor.model.class_names)
    if config.image.is_file():
        predictor.read(config.image)  # a single broken photo is an error, not an answer
    answers: list[Answer] = []
    title = tr("photos", "photos")
    total = -(-len(paths) // config.batch_size)
    for chunk in progress(_chunks(paths, config.batch_size), title=title, total=total, unit="batch"):
        answers += _answer(predictor, chunk, config)
    if config.output is not None:
        _write(config.output, answers)
    return InferReport(tuple(answers), config.output)


def find_photos(path: Path) -> list[Path]:
    """Return the photo itself, or every photo under the folder, sorted.

    Raises:
        DataError: nothing is there, or the folder has no photo.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(
            tr(f"there is no photo or folder at {path}", f"il n'y a ni photo ni dossier à {path}"),
            tr("check the path", "vérifiez le chemin"),
        )
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in _PHOTO_SUFFIXES and p.is_file())
    if not found:
        raise DataError(
            tr(f"no photo under {path}", f"aucune photo sous {path}"),
            tr(
                f"photos end in {', '.join(sorted(_PHOTO_SUFFIXES))}",
                f"les photos finissent par {', '.join(sorted(_PHOTO_SUFFIXES))}",
            ),
        )
    return found


def to_row(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON-able values."""
    row: dict[str, Any] = {"image": answer.path.as_posix()}
    if answer.prediction is None:
        return {**row, "error": answer.error}
    prediction = dataclasses.asdict(answer.prediction)
    if answer.prediction.description is not None:
        prediction["description"] = {
            "text": answer.prediction.description,
            "language": answer.prediction.description_language,
            "generated": True,
            "contradicts": bool(answer.prediction.description_names),
            "names": list(answer.prediction.description_names),
        }
    del prediction["description_language"], prediction["description_names"]
    return {**row, **prediction, "schema_version": _SCHEMA_VERSION, "plantset_version": __version__}


def _chunks(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), size):
        yield paths[start : start + size]


def _answer(predictor: Predictor, paths: Sequence[Path], config: InferConfig) -> list[Answer]:
    views: dict[Path, Pixels] = {}
    errors: dict[Path, str] = {}
    for path in paths:
        try:
            views[path] = predictor.read(path)
        except PhotoError as error:
            errors[path] = error.problem
    predictions: dict[Path, Prediction] = {}
    if views:
        answered = predictor.predict_views(
            list(views.values()),
            config.text,
            language=config.language,
            top_k=config.top_k,
            describe=config.generate_description,
            tta=config.tta,
        )
        predictions = dict(zip(views, answered, strict=True))
        if config.explain is not None:
            _explain(predictor, views, answered, config.explain, base=config.image)
    return [Answer(path, predictions.get(path), errors.get(path)) for path in paths]


def _explain(
    predictor: Predictor, views: Mapping[Path, Pixels], answered: Sequence[Prediction], folder: Path, *, base: Path
) -> None:
    """Write each photo's heat map under its own name: `a/leaf.jpg` becomes `FOLDER/a/leaf.jpg.png`."""
    names = predictor.model.class_names
    firsts = torch.tensor([names.index(prediction.candidates[0].class_id) for prediction in answered])
    pixels_BHWC = torch.from_numpy(np.stack(list(views.values())))
    for path, view, heat in zip(
        views, views.values(), explain_photos(predictor.model, pixels_BHWC, firsts), strict=True
    ):
        name = path.relative_to(base) if base.is_dir() else Path(path.name)
        write_bytes(folder / f"{name}.png", encode_png(draw_heat(view, heat)))


def _write(output: Path, answers: Sequence[Answer]) -> None:
    rows = [to_row(answer) for answer in answers]
    if output.suffix == ".jsonl":
        write_json_lines(output, rows)
    else:
        write_json(output, rows)


def _lines(answer: Answer) -> list[str]:
    if answer.prediction is None:
        return [f"{answer.path}", "  " + tr("error: ", "erreur : ") + str(answer.error)]
    prediction = answer.prediction
    lines = [tr(f"{answer.path}: ", f"{answer.path} : ") + _verdict(prediction)]
    in_set = {candidate.class_id for candidate in prediction.prediction_set}
    for candidate in prediction.candidates:
        mark = "*" if candidate.class_id in in_set and prediction.decision != "unknown" else " "
        lines.append(f" {mark}{100 * candidate.probability:5.1f} %  {_title(candidate)}  [{candidate.class_id}]")
    if prediction.decision != "unknown":
        lines.append(_set_line(prediction))
    if prediction.note is not None:
        lines += _note_lines(prediction)
    if prediction.description is not None:
        lines += [tr("  generated description:", "  description générée :"), f"    {prediction.description}"]
        lines += _contradiction_lines(prediction)
    if prediction.card is not None and prediction.decision != "unknown":
        lines += _card_lines(prediction)
    return lines


def _contradiction_lines(prediction: Prediction) -> list[str]:
    """Return the line that says so when the description is about another class than the answer."""
    if not prediction.description_names:
        return []
    named, first = ", ".join(prediction.description_names), prediction.candidates[0].class_id
    return [
        tr(
            f"  the description contradicts the answer: it names {named}, not {first}; do not rely on it",
            f"  la description contredit la réponse : elle nomme {named}, pas {first} ; ne vous y fiez pas",
        )
    ]


def _note_lines(prediction: Prediction) -> list[str]:
    note = prediction.note
    assert note is not None
    lines: list[str] = []
    if not note.used and not note.names_masked:
        lines.append(
            tr(
                "  the note was not read: this model was trained without notes",
                "  la note n'a pas été lue : ce modèle a été entraîné sans notes",
            )
        )
    if note.names_masked:
        lines.append(
            tr(
                f"  note: a disease name was masked; read: {note.used}",
                f"  note : un nom de maladie a été masqué ; lu : {note.used}",
            )
        )
    if note.changed_answer:
        lines.append(
            tr(
                f"  the note changed the answer; the photo alone says {note.first_without}",
                f"  la note a changé la réponse ; la photo seule dit {note.first_without}",
            )
        )
    return lines


def _card_lines(prediction: Prediction) -> list[str]:
    card = prediction.card
    assert card is not None
    sources = ", ".join(sorted(set(card.source.values()))) or tr("catalogue", "catalogue")
    lines = [tr(f"  card ({sources}):", f"  fiche ({sources}) :")]
    lines += [tr("    check: ", "    à vérifier : ") + sentence for sentence in card.symptoms]
    lines += [tr("    favoured by: ", "    favorisé par : ") + sentence for sentence in card.conditions]
    lines += [tr("    look-alike: ", "    ressemble à : ") + sentence for sentence in card.confused_with]
    lines += [tr("    do: ", "    à faire : ") + sentence for sentence in card.management]
    return lines


def _verdict(prediction: Prediction) -> str:
    first = _title(prediction.candidates[0])
    if prediction.decision == "unknown":
        return tr(
            f"unknown: none of the classes it learned (the nearest: {first})",
            f"inconnu : aucune des classes apprises (la plus proche : {first})",
        )
    if prediction.decision == "unsure":
        return tr(f"not sure; perhaps {first}", f"pas sûr ; peut-être {first}")
    return first


def _set_line(prediction: Prediction) -> str:
    """Return how many classes the starred set has, the ones beyond the shown candidates named too."""
    size = len(prediction.prediction_set)
    shown = {candidate.class_id for candidate in prediction.candidates}
    more = [_title(candidate) for candidate in prediction.prediction_set if candidate.class_id not in shown]
    beyond = f" (+ {', '.join(more[:_SHOWN_BEYOND])}{', …' if len(more) > _SHOWN_BEYOND else ''})" if more else ""
    return tr(
        f"  * holds the right class 9 times in 10: {size} {'class' if size == 1 else 'classes'}{beyond}",
        f"  * contient la bonne classe 9 fois sur 10 : {size} {'classe' if size == 1 else 'classes'}{beyond}",
    )


def _title(candidate: Candidate) -> str:
    if candidate.disease is None:
        return candidate.label
    return f"{candidate.disease} ({candidate.crop})" if candidate.crop else candidate.disease


def _check(config: InferConfig) -> None:
    check_at_least([("--top-k", config.top_k, 1), ("--batch-size", config.batch_size, 1)])
    if config.output is not None and config.output.suffix not in (".json", ".jsonl"):
        raise ConfigError(
            tr(
                f"--output {config.output} is neither .json nor .jsonl",
                f"--output {config.output} n'est ni .json ni .jsonl",
            ),
            tr("name it answers.json or answers.jsonl", "nommez-le reponses.json ou reponses.jsonl"),
        )
