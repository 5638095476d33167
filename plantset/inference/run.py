"""`plantset infer`: photos from disk, answers in words, and as JSON, JSON lines or CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from plantset.core.bounds import check_at_least, check_num_classes
from plantset.core.errors import ConfigError, DataError
from plantset.core.files import write_bytes
from plantset.core.language import tr
from plantset.core.log import progress
from plantset.core.photo import PhotoError
from plantset.inference.answer import OUTPUT_SUFFIXES, Answer, write_answers
from plantset.inference.config import InferConfig
from plantset.inference.explain import draw_heat, encode_png
from plantset.inference.predictor import Prediction, Predictor, SeenPhoto, load_predictor
from plantset.inference.words import answer_lines
from plantset.models.relevance import explain_photos

_PHOTO_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic"}
_GLOB_SIGNS = frozenset("*?[")


@dataclass(frozen=True)
class InferReport:
    """The answers, in the order of the files."""

    answers: tuple[Answer, ...]
    output: Path | None

    def summary(self) -> str:
        """Return a block a photo: candidates, description, card."""
        blocks = ["\n".join(answer_lines(answer)) for answer in self.answers]
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
    predictor = load_predictor(
        config.checkpoint, config.device, config.catalogue, catalogue_override=config.catalogue_override
    )
    check_num_classes(config.num_classes, predictor.model.class_names)
    _check_against(config.explain_against, predictor.model.class_names)
    if config.image.is_file():
        predictor.read(config.image)  # a single broken photo is an error, not an answer
    answers: list[Answer] = []
    title = tr("photos", "photos")
    total = -(-len(paths) // config.batch_size)
    for chunk in progress(_chunks(paths, config.batch_size), title=title, total=total, unit="batch"):
        answers += _answer(predictor, chunk, config)
    if config.output is not None:
        write_answers(config.output, answers)
    return InferReport(tuple(answers), config.output)


def find_photos(path: Path) -> list[Path]:
    """Return the photo itself, or every photo under the folder or that the pattern names, sorted.

    Args:
        path: a photo, a folder, or a pattern such as `field/**/*.jpg`; a file of that very name goes first.

    Raises:
        DataError: nothing is there, or it has no photo.
    """
    if path.is_file():
        return [path]
    pattern = not path.is_dir() and not _GLOB_SIGNS.isdisjoint(str(path))
    if not path.is_dir() and not pattern:
        raise DataError(
            tr(f"there is no photo or folder at {path}", f"il n'y a ni photo ni dossier à {path}"),
            tr("check the path", "vérifiez le chemin"),
        )
    root = Path(path.anchor)
    places = root.glob(str(path.relative_to(root))) if pattern else path.rglob("*")
    found = sorted(place for place in places if place.suffix.lower() in _PHOTO_SUFFIXES and place.is_file())
    if not found:
        raise DataError(
            tr(f"no photo under {path}", f"aucune photo sous {path}"),
            tr(
                f"photos end in {', '.join(sorted(_PHOTO_SUFFIXES))}",
                f"les photos finissent par {', '.join(sorted(_PHOTO_SUFFIXES))}",
            ),
        )
    return found


def _chunks(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), size):
        yield paths[start : start + size]


def _answer(predictor: Predictor, paths: Sequence[Path], config: InferConfig) -> list[Answer]:
    seen: dict[Path, SeenPhoto] = {}
    errors: dict[Path, str] = {}
    for path in paths:
        try:
            seen[path] = predictor.look(path)
        except PhotoError as error:
            errors[path] = error.problem
    predictions: dict[Path, Prediction] = {}
    if seen:
        answered = predictor.predict_seen(
            list(seen.values()),
            config.text,
            language=config.language,
            top_k=config.top_k,
            describe=config.generate_description,
            tta=config.tta,
        )
        predictions = dict(zip(seen, answered, strict=True))
        if config.explain is not None:
            _explain(predictor, seen, answered, config)
    return [Answer(path, predictions.get(path), errors.get(path), predictor.version) for path in paths]


def _explain(
    predictor: Predictor, seen: Mapping[Path, SeenPhoto], answered: Sequence[Prediction], config: InferConfig
) -> None:
    """Write each photo's heat map under its own name: `a/leaf.jpg` becomes `FOLDER/a/leaf.jpg.png`."""
    assert config.explain is not None
    base = _fixed_part(config.image)
    names = predictor.model.class_names
    firsts = torch.tensor([names.index(prediction.candidates[0].class_id) for prediction in answered])
    against = None if config.explain_against is None else torch.full_like(firsts, names.index(config.explain_against))
    pixels_BHWC = torch.from_numpy(np.stack([photo.view for photo in seen.values()]))
    maps = explain_photos(predictor.model, pixels_BHWC, firsts, against)
    for (path, photo), heat in zip(seen.items(), maps, strict=True):
        name = path.relative_to(base)
        write_bytes(config.explain / f"{name}.png", encode_png(draw_heat(photo.view, heat)))


def _fixed_part(image: Path) -> Path:
    """Return the folder below which photos are told apart: the folder itself, or what of a pattern has no signs."""
    if image.is_dir():
        return image
    return next((place for place in image.parents if _GLOB_SIGNS.isdisjoint(str(place))), Path())


def _check(config: InferConfig) -> None:
    check_at_least([("--top-k", config.top_k, 1), ("--batch-size", config.batch_size, 1)])
    if config.output is not None and config.output.suffix not in OUTPUT_SUFFIXES:
        raise ConfigError(
            tr(
                f"--output {config.output} is neither .json, .jsonl nor .csv",
                f"--output {config.output} n'est ni .json, ni .jsonl, ni .csv",
            ),
            tr("name it answers.json, answers.jsonl or answers.csv", "nommez-le reponses.json, .jsonl ou .csv"),
        )
    if config.explain_against is not None and config.explain is None:
        raise ConfigError(
            tr("--explain-against is given without --explain", "--explain-against est donné sans --explain"),
            tr("say where the maps go: --explain maps/", "dites où mettre les cartes : --explain cartes/"),
        )


def _check_against(class_id: str | None, class_names: Sequence[str]) -> None:
    if class_id is not None and class_id not in class_names:
        raise ConfigError(
            tr(f"--explain-against {class_id}: no such class", f"--explain-against {class_id} : classe inconnue"),
            tr(f"the model knows: {', '.join(class_names)}", f"le modèle connaît : {', '.join(class_names)}"),
        )
