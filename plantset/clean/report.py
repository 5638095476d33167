"""What a cleaning run says to the person who started it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plantset.core.language import tr
from plantset.core.records import SPLITS, Split
from plantset.core.storage import url_of

_SHOWN = 5


@dataclass(frozen=True)
class CleanReport:
    """The outcome of `clean`; found = kept + all of `rejected`.

    Attributes:
        rejected: reason -> how many files.
        classes: label -> split -> how many photos, labels sorted.
        groups: how many groups the kept photos form.
        near_copy_pairs: pairs of near copies of unequal bytes.
        issues: name of a check -> how many kept photos fail it.
        label_conflicts: source paths that are copies of each other under different labels, one tuple a group.
        leaks: groups that the given splits spread over several; `leaks_left` of them still are.
        class_twins: labels that are probably one class, written in two ways.
        nested: some folders lie between the split and the class.
        splits_kept: photos that keep the split of an earlier manifest in the same place.
        reused: files that an earlier run had already done.
        corrected: what a person decided -> how many photos; "idle": of photos that are rejected anyway.
        new_labels: labels that only a person's decision gives.
    """

    manifest: Path
    images_dir: Path
    page: Path
    found: int
    kept: int
    rejected: Mapping[str, int]
    classes: Mapping[str, Mapping[Split, int]]
    groups: int
    near_copy_pairs: int
    issues: Mapping[str, int]
    label_conflicts: tuple[tuple[str, ...], ...]
    leaks: int
    leaks_left: int
    class_twins: tuple[tuple[str, ...], ...]
    nested: bool
    reused: int
    splits_kept: int = 0
    corrected: Mapping[str, int] = field(default_factory=dict)
    new_labels: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return the result in the message language, the doubtful first."""
        lines = [
            tr(
                f"{self.kept} photos kept of {self.found} files, {len(self.classes)} classes, {self.groups} groups",
                f"{self.kept} photos gardées sur {self.found} fichiers, {len(self.classes)} classes, "
                f"{self.groups} groupes",
            ),
            "  " + ", ".join(f"{split} {self._count(split)}" for split in SPLITS if self._count(split)),
        ]
        if self.rejected:
            lines.append(tr("  rejected: ", "  rejetés : ") + _counted(self.rejected))
        if self.issues:
            lines.append(tr("  kept, but flagged: ", "  gardées, mais signalées : ") + _counted(self.issues))
        if self.near_copy_pairs:
            lines.append(
                tr(
                    f"  pairs of near copies, each kept in one split: {self.near_copy_pairs}",
                    f"  paires de quasi-copies, chacune gardée dans un seul partage : {self.near_copy_pairs}",
                )
            )
        lines += [*self._correction_lines(), *self._conflict_lines(), *self._leak_lines(), *self._class_lines()]
        if self.reused:
            lines.append(
                tr(
                    f"  {self.reused} files had been done before and were not read again",
                    f"  {self.reused} fichiers étaient déjà faits et n'ont pas été relus",
                )
            )
        if self.splits_kept:
            lines.append(
                tr(
                    f"  {self.splits_kept} photos keep the split of the earlier manifest; --new-splits draws afresh",
                    f"  {self.splits_kept} photos gardent le partage du manifeste précédent ; --new-splits le refait",
                )
            )
        lines.append(tr(f"manifest: {url_of(self.manifest)}", f"manifeste : {url_of(self.manifest)}"))
        lines.append(tr(f"images:   {url_of(self.images_dir)}", f"images :    {url_of(self.images_dir)}"))
        lines.append(tr(f"report:   {url_of(self.page)}", f"rapport :   {url_of(self.page)}"))
        return "\n".join(lines)

    @property
    def exit_code(self) -> int:
        """Return 0: rejecting broken files is what cleaning is for."""
        return 0

    def _count(self, split: Split) -> int:
        return sum(counts.get(split, 0) for counts in self.classes.values())

    def _correction_lines(self) -> list[str]:
        lines = []
        if self.corrected:
            lines.append(
                tr("  decided by a person: ", "  décidé par une personne : ")
                + ", ".join(
                    f"{title} {self.corrected[code]}"
                    for code, title in (
                        ("relabel", tr("relabelled", "renommées")),
                        ("reject", tr("rejected", "écartées")),
                        ("keep", tr("kept as they are", "gardées telles quelles")),
                        ("idle", tr("rejected for another reason anyway", "de toute façon rejetées pour autre chose")),
                    )
                    if self.corrected.get(code)
                )
            )
        if self.new_labels:
            lines.append(
                tr(
                    "  classes that no folder has, only a decision: ",
                    "  classes d'aucun dossier, venues des décisions : ",
                )
                + ", ".join(self.new_labels)
            )
        return lines

    def _conflict_lines(self) -> list[str]:
        if not self.label_conflicts:
            return []
        head = tr(
            f"  copies under different labels, probably label errors: {len(self.label_conflicts)} groups",
            f"  copies sous des étiquettes différentes, sans doute des erreurs : {len(self.label_conflicts)} groupes",
        )
        return [head, *_listed(" = ".join(paths) for paths in self.label_conflicts)]

    def _leak_lines(self) -> list[str]:
        lines = []
        mended = self.leaks - self.leaks_left
        if mended:
            lines.append(
                tr(
                    f"  leaks mended: {mended} groups stood in two splits and now stand in one",
                    f"  fuites réparées : {mended} groupes étaient dans deux partages et sont réunis",
                )
            )
        if self.leaks_left:
            lines.append(
                tr(
                    f"  LEAK: {self.leaks_left} groups of copies stand in two splits, so scores would be too good; "
                    "run again with --fix-leaks",
                    f"  FUITE : {self.leaks_left} groupes de copies sont dans deux partages, les scores seraient trop "
                    "bons ; relancez avec --fix-leaks",
                )
            )
        return lines

    def _class_lines(self) -> list[str]:
        lines = [
            tr("  the same class twice? ", "  deux fois la même classe ? ") + " / ".join(f'"{name}"' for name in twins)
            for twins in self.class_twins
        ]
        if self.nested:
            lines.append(
                tr(
                    "  the class is the folder that holds the photo; the folders above it are kept as its source",
                    "  la classe est le dossier qui contient la photo ; ceux au-dessus sont gardés comme source",
                )
            )
        for split in SPLITS:
            absent = [label for label, counts in self.classes.items() if not counts.get(split)]
            if absent and self._count(split):
                lines.append(
                    tr(
                        f"  {len(absent)} classes have no photo in {split}: ",
                        f"  {len(absent)} classes n'ont aucune photo dans {split} : ",
                    )
                    + ", ".join(absent[:_SHOWN])
                    + (", …" if len(absent) > _SHOWN else "")
                )
        return lines


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _listed(items: Iterable[str]) -> list[str]:
    shown = [item.replace("\n", "\\n") for item in items]  # a name with a line break stays one line
    more = [f"    … {len(shown) - _SHOWN}"] if len(shown) > _SHOWN else []
    return [*(f"    {item}" for item in shown[:_SHOWN]), *more]
