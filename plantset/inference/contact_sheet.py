"""`plantset explain`: photos beside what in them spoke for the model's answer, on one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from plantset.core.bounds import check_at_least
from plantset.core.errors import ConfigError
from plantset.core.files import write_text
from plantset.core.language import message_language, tr
from plantset.core.log import progress
from plantset.core.page import Sentence, data_address, percent, render_page
from plantset.core.photo import PhotoError, decode_photo, encode_jpeg, shrink
from plantset.data.geometry import Pixels
from plantset.inference.config import ExplainConfig
from plantset.inference.predictor import Prediction, Predictor, load_predictor
from plantset.inference.run import find_photos
from plantset.knowledge.class_titles import title_of
from plantset.models.relevance import explain_photos

_TEMPLATE = Path(__file__).with_name("contact_sheet.html.j2")
_PICTURE_PX = 224
_PICTURE_QUALITY = 76
_GREY_LIGHT = 0.6  # how light the photo stays under the heat
_EPSILON = 1e-12
_SHOWN_PARTS = 3  # of a path; the whole of it is in the tooltip


@dataclass(frozen=True, slots=True)
class ExplainedPhoto:
    """One photo of the sheet.

    Attributes:
        photo, heat: JPEG, the second with the map shining over the greyed photo.
        half_area: the smallest share of the photo that holds half of the map: 0.5 is an even map; None where nothing
            in the photo spoke for the class.
    """

    path: Path
    photo: bytes
    heat: bytes
    title: str
    probability: float
    decision: str
    half_area: float | None


@dataclass(frozen=True)
class ExplainReport:
    """Which photos were explained, and why others were not."""

    output: Path
    num_photos: int
    num_found: int
    errors: tuple[tuple[Path, str], ...]

    def summary(self) -> str:
        """Return how many photos are on the page, and which could not be read."""
        lines = [
            tr(
                f"{self.num_photos} photos explained, of {self.num_found} found",
                f"{self.num_photos} photos expliquées, sur {self.num_found} trouvées",
            )
        ]
        lines += [tr(f"  error: {path}: {why}", f"  erreur : {path} : {why}") for path, why in self.errors]
        lines.append(tr("page: ", "page : ") + str(self.output))
        return "\n".join(lines)

    @property
    def exit_code(self) -> int:
        """Return 3 when some photos could not be read, 0 otherwise."""
        return 3 if self.errors else 0


def explain(config: ExplainConfig) -> ExplainReport:
    """Write the page; a photo that cannot be read is named on it, and the rest goes on.

    Raises:
        ConfigError: no photo was given, or a number is out of range.
        CheckpointError: the model cannot be loaded.
        DataError: there is no photo at a path.
    """
    check_at_least([("--limit", config.limit, 1), ("--batch-size", config.batch_size, 1)])
    if not config.photos:
        raise ConfigError(
            tr("there is no photo to explain", "il n'y a pas de photo à expliquer"),
            "plantset explain photos/ --checkpoint checkpoints/best_model.pth",
        )
    found = list(dict.fromkeys(path for place in config.photos for path in find_photos(place)))
    chosen = _evenly(found, config.limit)
    predictor = load_predictor(config.checkpoint, config.device)
    explained: list[ExplainedPhoto] = []
    errors: list[tuple[Path, str]] = []
    chunks = [chosen[start : start + config.batch_size] for start in range(0, len(chosen), config.batch_size)]
    for chunk in progress(chunks, title=tr("photos", "photos"), total=len(chunks), unit="batch"):
        pixels: dict[Path, Pixels] = {}
        for path in chunk:
            try:
                pixels[path] = decode_photo(path).pixels
            except PhotoError as error:
                errors.append((path, error.problem))
        if pixels:
            explained += _explain(predictor, pixels)
    report = ExplainReport(config.output, len(explained), len(found), tuple(errors))
    write_text(config.output, render_sheet(explained, report, config.checkpoint))
    return report


def render_sheet(photos: Sequence[ExplainedPhoto], report: ExplainReport, checkpoint: Path) -> str:
    """Return the page, in the language of messages; what a map can and can't tell stands before the photos."""
    values = {
        "photos": photos,
        "errors": report.errors,
        "checkpoint": checkpoint,
        "address": lambda jpeg: data_address(jpeg, "jpeg"),
        "decision_text": _decision_text,
        "short": lambda path: Path(*path.parts[-_SHOWN_PARTS:]),
    }
    return render_page(_TEMPLATE, _verdict(photos, report), values)


def half_area(heat_HW: NDArray[np.float64]) -> float | None:
    """Return the smallest share of the pixels that holds half of the heat; None for a map that is even."""
    if float(heat_HW.max() - heat_HW.min()) <= 1e-6 * float(heat_HW.max()):
        return None
    hottest = np.sort(heat_HW, axis=None)[::-1].cumsum()
    return float((np.searchsorted(hottest, hottest[-1] / 2) + 1) / heat_HW.size)


def _evenly(paths: Sequence[Path], limit: int) -> list[Path]:
    """Return at most `limit` paths: the first of a folder would often be of one class."""
    if len(paths) <= limit:
        return list(paths)
    return [paths[index] for index in np.linspace(0, len(paths) - 1, limit).round().astype(int).tolist()]


def _explain(predictor: Predictor, pixels: dict[Path, Pixels]) -> Iterator[ExplainedPhoto]:
    views = [predictor.read(photo) for photo in pixels.values()]
    predictions = predictor.predict_views(views, top_k=1)
    names = predictor.model.class_names
    firsts = torch.tensor([names.index(prediction.candidates[0].class_id) for prediction in predictions])
    heats = explain_photos(predictor.model, torch.from_numpy(np.stack(views)), firsts)
    titles = [title_of(info, message_language()) for info in predictor.classes]
    for (path, photo), prediction, first, heat in zip(pixels.items(), predictions, firsts, heats, strict=True):
        yield _explained(path, photo, prediction, titles[int(first)], heat)


def _explained(
    path: Path, photo: Pixels, prediction: Prediction, title: str, heat_HW: NDArray[np.float64]
) -> ExplainedPhoto:
    """Lay the map over the photo in its own shape: the model sees it squashed to a square."""
    small = shrink(photo, _PICTURE_PX)
    height, width = small.shape[:2]
    heat = np.asarray(cv2.resize(heat_HW, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float64)
    area = half_area(heat_HW)
    drawn = _light_up(small, np.zeros_like(heat) if area is None else heat)
    return ExplainedPhoto(
        path=path,
        photo=encode_jpeg(small, _PICTURE_QUALITY),
        heat=encode_jpeg(drawn, _PICTURE_QUALITY),
        title=title,
        probability=prediction.candidates[0].probability,
        decision=prediction.decision,
        half_area=area,
    )


def _light_up(photo_HWC: Pixels, heat_HW: NDArray[np.float64]) -> Pixels:
    """Return the photo dark and grey, with the heat shining in colour: at this size a heat over the photo is lost."""
    level = heat_HW / max(float(heat_HW.max()), _EPSILON)
    colours = cv2.applyColorMap((255 * level).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    grey = _GREY_LIGHT * photo_HWC.mean(axis=2, keepdims=True)
    share = np.sqrt(level)[:, :, None]  # what is lukewarm shows too
    return np.asarray((grey * (1 - share) + colours * share).round(), dtype=np.uint8)


def _decision_text(decision: str) -> str:
    return {
        "answer": "",
        "unsure": tr("not sure", "pas sûr"),
        "unknown": tr("like none of the learned classes", "ne ressemble à aucune classe apprise"),
        "not a leaf": tr("not a leaf", "pas une feuille"),
    }[decision]


def _verdict(photos: Sequence[ExplainedPhoto], report: ExplainReport) -> list[Sentence]:
    found = [
        Sentence(
            "main",
            tr(
                f"{len(photos)} photos beside what spoke for the model's answer. Use it to catch a model that looks "
                "beside the leaf; not as proof that it is right.",
                f"{len(photos)} photos à côté de ce qui a parlé pour la réponse du modèle. Servez-vous-en pour "
                "surprendre un modèle qui regarde à côté de la feuille ; pas comme preuve qu'il a raison.",
            ),
        ),
        Sentence(
            "warning",
            tr(
                "Part of each map comes from the picture, not from what was learned: with random weights behind the "
                "vision network the maps still put 3.6 times as much on lesions as an even map would; the learned "
                "ones 5.0 times (64 made-up leaves with known lesions).",
                "Une part de chaque carte vient de l'image, non de l'apprentissage : avec des poids au hasard derrière "
                "le réseau de vision, les cartes mettent encore 3,6 fois plus sur les lésions qu'une carte uniforme ; "
                "les cartes apprises, 5,0 fois (64 feuilles simulées aux lésions connues).",
            ),
        ),
    ]
    if report.num_found > len(photos) + len(report.errors):
        shown = len(photos) + len(report.errors)
        found.append(
            Sentence(
                "plain",
                tr(
                    f"{shown} of {report.num_found} photos were taken, evenly; --limit {report.num_found} takes all.",
                    f"{shown} photos sur {report.num_found} ont été prises, régulièrement ; --limit {report.num_found} "
                    "les prend toutes.",
                ),
            )
        )
    if photos:
        sure = sum(photo.decision == "answer" for photo in photos)
        share = percent(sure / len(photos), 0)
        found.append(
            Sentence(
                "plain", tr(f"The model answers {share} of them.", f"Le modèle répond pour {share} d'entre elles.")
            )
        )
    return found
