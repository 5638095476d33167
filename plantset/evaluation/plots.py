"""Pictures of an evaluation, as PNG bytes. The object API of matplotlib, never pyplot: no global state, no display.

Colours: Okabe and Ito's palette and one-hue scales, both safe for the colour-blind. Classes stand by crop.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from plantset.core.language import tr
from plantset.evaluation.calibration import CalibrationScores, ReliabilityBin
from plantset.evaluation.classification import ClassificationScores
from plantset.evaluation.sets import SelectiveScores

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#8A8A8A"
_DPI = 110
_NUMBERED_CLASSES = 40  # up to here each cell has room for its count
_NO_CROP = "\uffff"  # classes without a crop stand last


def order_by_crop(class_names: Sequence[str], crops: Sequence[str | None]) -> list[int]:
    """Return class indices sorted by crop, then by name; classes of no one crop last."""
    return sorted(range(len(class_names)), key=lambda index: (crops[index] or _NO_CROP, class_names[index]))


def plot_confusions(
    counts_CC: NDArray[np.int64], class_names: Sequence[str], crops: Sequence[str | None]
) -> tuple[bytes, bytes]:
    """Draw the confusion matrix, each row as shares of its class; classes neither shown nor called are left out.

    The scale is a square root, so that one photo in twenty is seen, and the figure grows with the number of
    classes, so that every name can be read.

    Args:
        class_names: as people call them, in index order.

    Returns:
        The picture as PNG and as SVG.
    """
    seen = (counts_CC.sum(axis=0) + counts_CC.sum(axis=1)) > 0
    order = [index for index in order_by_crop(class_names, crops) if seen[index]]
    counts = counts_CC[np.ix_(order, order)]
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.zeros(counts.shape), where=support > 0)
    side = max(5.0, 0.17 * len(order))
    margin = 0.075 * max(len(class_names[index]) for index in order) + 0.5
    figure = Figure(figsize=(side + margin + 0.9, side + margin), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1), interpolation="nearest")
    names = [class_names[index] for index in order]
    size = 8 if len(order) <= _NUMBERED_CLASSES else 6.5
    axes.set_xticks(range(len(order)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(order)), names, fontsize=size)
    axes.tick_params(length=0, labeltop=len(order) > _NUMBERED_CLASSES)
    _separate_crops(axes, [crops[index] for index in order])
    if len(order) <= _NUMBERED_CLASSES:
        _write_counts(axes, counts, shares)
    axes.set_xlabel(tr("the model says", "le modèle dit"))
    axes.set_ylabel(tr("the photo shows", "la photo montre"))
    bar = figure.colorbar(image, ax=axes, fraction=0.02, pad=0.01, aspect=40)
    bar.set_label(tr("share of the photos of the class", "part des photos de la classe"))
    return _png(figure), _svg(figure)


def plot_reliability(before: CalibrationScores, after: CalibrationScores) -> bytes:
    """Draw how often the model is right against how sure it is, before and after temperature scaling."""
    figure = Figure(figsize=(5.6, 5.0), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--", label=tr("perfect", "parfait"))
    _draw_bins(axes, before.bins, _ORANGE, "s", tr("before temperature", "avant température"))
    _draw_bins(axes, after.bins, _BLUE, "o", tr("as the model answers", "tel que le modèle répond"))
    axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    axes.set_xlabel(tr("how sure the model is", "certitude annoncée"))
    axes.set_ylabel(tr("how often it is right", "part de bonnes réponses"))
    axes.legend(loc="upper left", frameon=False)
    axes.grid(color="#E5E5E5", linewidth=0.6)
    return _png(figure)


def plot_risk_coverage(scores: SelectiveScores) -> bytes:
    """Draw the share of wrong answers against the share of photos answered, surest first, and the chosen threshold."""
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([point.coverage for point in scores.curve], [point.risk for point in scores.curve], color=_BLUE)
    axes.axhline(scores.target_error, color=_GREY, linewidth=1, linestyle="--", label=tr("aimed at", "visé"))
    if scores.error is not None:
        axes.plot(scores.answered.value, scores.error.value, "o", color=_ORANGE, label=tr("this model", "ce modèle"))
    axes.set(xlim=(0, 1.02), ylim=(0, None))
    axes.set_xlabel(
        tr(
            "share of photos answered, surest first",
            "part des photos qui reçoivent une réponse, les plus sûres d'abord",
        )
    )
    axes.set_ylabel(tr("share of wrong answers", "part de réponses fausses"))
    axes.legend(loc="upper left", frameon=False)
    axes.grid(color="#E5E5E5", linewidth=0.6)
    return _png(figure)


def plot_class_f1(scores: ClassificationScores, titles: Mapping[str, str]) -> bytes:
    """Draw the F1 of each class that is present, worst at the top, with its number of photos."""
    present = [score for score in scores.per_class if score.f1 is not None]
    present.sort(key=lambda score: (score.f1, score.class_id), reverse=True)
    values = [score.f1 or 0.0 for score in present]
    figure = Figure(figsize=(7.5, max(2.5, 0.19 * len(present) + 0.8)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(present)), values, color=_BLUE, height=0.7)
    axes.axvline(scores.macro_f1.value, color=_ORANGE, linewidth=1.5, label=tr("mean (macro-F1)", "moyenne (macro-F1)"))
    labels = [f"{titles[score.class_id]}  (n = {score.support})" for score in present]
    axes.set_yticks(range(len(present)), labels, fontsize=7.5)
    axes.set(xlim=(0, 1), ylim=(-0.6, len(present) - 0.4), xlabel="F1")
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right", fontsize=8)
    return _png(figure)


def _separate_crops(axes: Any, crops: Sequence[str | None]) -> None:
    for at in range(1, len(crops)):
        if crops[at] != crops[at - 1]:
            axes.axhline(at - 0.5, color=_GREY, linewidth=0.6)
            axes.axvline(at - 0.5, color=_GREY, linewidth=0.6)


def _write_counts(axes: Any, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    for row, column in np.argwhere(counts):
        dark = math.sqrt(shares[row, column]) > 0.6
        axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=7, color="w" if dark else "k")


def _draw_bins(axes: Any, bins: Sequence[ReliabilityBin], color: str, marker: str, label: str) -> None:
    confidence = [bin_.confidence for bin_ in bins]
    accuracy = [bin_.accuracy for bin_ in bins]
    axes.plot(confidence, accuracy, color=color, marker=marker, markersize=5, linewidth=1.4, label=label)


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "plantset", "svg.fonttype": "none"}):  # same bytes, text stays text
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
