"""What `plantset map` tells a person when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plantset.core.language import tr
from plantset.knowledge.probe import ProbeResult

_SHOWN = 12


@dataclass(frozen=True)
class MapReport:
    """What was mapped, what was refused and where it all is.

    Attributes:
        refused: label -> photos, of those without a disease.
        merged: class id -> the labels that met in it, where there are several.
        unused_entries: entries of the user's file that no label uses, or that mean no known disease.
        unknown_fields: fields of the user's file that are kept but not used.
        probe: how well a note alone names its class; None where fewer than two classes have notes.
    """

    output_path: Path
    review_path: Path
    page_path: Path
    photos: int
    left_out: int
    classes: int
    labels: int
    matched: int
    refused: Mapping[str, int] = field(default_factory=dict)
    merged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unused_entries: tuple[str, ...] = ()
    duplicate_entries: tuple[str, ...] = ()
    unknown_fields: tuple[str, ...] = ()
    probe: ProbeResult | None = None

    @property
    def exit_code(self) -> int:
        """Return 0: what is uncertain is in the review table, and `--strict` is for who wants to stop."""
        return 0

    def summary(self) -> str:
        """Return the outcome in a few lines."""
        lines = [
            tr(
                f"{self.photos} photos, {self.classes} classes -> {self.output_path}",
                f"{self.photos} photos, {self.classes} classes -> {self.output_path}",
            ),
            tr(
                f"labels: {self.labels}, matched to a disease: {self.matched}, without one: {len(self.refused)}",
                f"étiquettes : {self.labels}, reliées à une maladie : {self.matched}, "
                f"sans maladie : {len(self.refused)}",
            ),
        ]
        if self.left_out:
            lines.append(tr(f"photos left out: {self.left_out}", f"photos laissées de côté : {self.left_out}"))
        lines += _listed(tr("without a disease", "sans maladie"), [f"{k} ({n})" for k, n in self.refused.items()])
        merged = [f"{class_id} ({' + '.join(labels)})" for class_id, labels in self.merged.items()]
        lines += _listed(tr("labels that met in one class", "étiquettes réunies en une classe"), merged)
        lines += _listed(
            tr("entries of your file that are not used", "fiches de votre fichier non utilisées"), self.unused_entries
        )
        lines += _listed(tr("entries that stand twice", "fiches en double"), self.duplicate_entries)
        lines += _listed(tr("fields kept but not used", "champs gardés mais non utilisés"), self.unknown_fields)
        if self.probe:
            lines.append(self.probe.sentence())
        lines.append(tr(f"to decide: {self.review_path}", f"à décider : {self.review_path}"))
        lines.append(tr(f"report:    {self.page_path}", f"rapport :  {self.page_path}"))
        return "\n".join(lines)


def _listed(title: str, items: tuple[str, ...] | list[str]) -> list[str]:
    if not items:
        return []
    more = (
        tr(f" … and {len(items) - _SHOWN} more", f" … et {len(items) - _SHOWN} de plus") if len(items) > _SHOWN else ""
    )
    colon = tr(":", " :")
    return [f"{title}{colon} " + "; ".join(items[:_SHOWN]) + more]
