"""What a cleaning run found, in words: the result first, then what somebody should look at."""

from __future__ import annotations

from collections.abc import Iterator

from plantset.clean.audit import Audit
from plantset.clean.cues import Shortcut
from plantset.clean.report import CleanReport
from plantset.clean.titles import cue_title, issue_title
from plantset.core.language import tr
from plantset.core.page import Sentence, percent

_FEW_LEAVES = 10
_UNEVEN = 10
_SHOWN_SCOPES = 3


def write_verdict(report: CleanReport, audit: Audit) -> list[Sentence]:
    """Return the findings in the language of messages, the result first."""
    return [
        _result(report),
        *_conflicts(report),
        *_leaks(report),
        *_shortcuts(audit),
        *_twins(report),
        *_balance(audit),
        *_flags(report),
    ]


def _result(report: CleanReport) -> Sentence:
    refused = report.found - report.kept
    return Sentence(
        "main",
        tr(
            f"{report.found} files found: {report.kept} photos kept, {refused} files refused. "
            f"{len(report.classes)} classes, {report.groups} different leaves.",
            f"{report.found} fichiers trouvés : {report.kept} photos gardées, {refused} fichiers refusés. "
            f"{len(report.classes)} classes, {report.groups} feuilles différentes.",
        ),
    )


def _conflicts(report: CleanReport) -> Iterator[Sentence]:
    count = len(report.label_conflicts)
    if count:
        yield Sentence(
            "alarm",
            tr(
                f"Copies of one photo stand under different labels ({count} groups): at least one label "
                "of each is wrong. Look at these first.",
                f"Des copies d'une même photo portent des étiquettes différentes ({count} groupes) : l'une au moins "
                "est fausse. Commencez par là.",
            ),
        )


def _leaks(report: CleanReport) -> Iterator[Sentence]:
    if report.leaks_left:
        yield Sentence(
            "alarm",
            tr(
                f"{report.leaks_left} leaves stand in two splits: scores would be too good. "
                "Run again with --fix-leaks.",
                f"{report.leaks_left} feuilles sont dans deux partages : les scores seraient trop bons. "
                "Relancez avec --fix-leaks.",
            ),
        )
    else:
        yield Sentence(
            "good",
            tr(
                "No known leaf stands in two splits.",
                "Aucune feuille reconnue n'est dans deux partages.",
            ),
        )


def _shortcuts(audit: Audit) -> Iterator[Sentence]:
    for shortcut in audit.shortcuts:
        if not shortcut.scope and shortcut.cue == "border" and shortcut.tells:
            yield Sentence("warning", _shortcut(shortcut, tr("in the whole set", "sur l'ensemble")))
    told = [shortcut for shortcut in audit.shortcuts if shortcut.scope and shortcut.tells]
    for shortcut in sorted(told, key=lambda item: item.chance - item.accuracy)[:_SHOWN_SCOPES]:
        yield Sentence("warning", _shortcut(shortcut, tr(f"in {shortcut.scope}", f"dans {shortcut.scope}")))


def _shortcut(shortcut: Shortcut, where: str) -> str:
    cue, rate, chance = cue_title(shortcut.cue), percent(shortcut.accuracy, 0), percent(shortcut.chance, 0)
    return tr(
        f"Without looking at any leaf, {cue} names the class in {rate} of photos {where} (chance: {chance}). "
        "A score on them says less than it seems.",
        f"Sans regarder aucune feuille, on devine la classe de {rate} des photos {where} d'après {cue} "
        f"(hasard : {chance}). Un score y vaut moins qu'il n'y paraît.",
    )


def _twins(report: CleanReport) -> Iterator[Sentence]:
    for twins in report.class_twins:
        names = " / ".join(f"« {name} »" for name in twins)
        plain = " / ".join(f'"{name}"' for name in twins)
        yield Sentence(
            "warning",
            tr(
                f"Probably one class under several names: {plain}. Rename the folders, or keep them apart knowingly.",
                f"Sans doute une même classe sous plusieurs noms : {names}. Renommez les dossiers, ou gardez-les "
                "séparés en connaissance de cause.",
            ),
        )


def _balance(audit: Audit) -> Iterator[Sentence]:
    photos = [count.photos for count in audit.classes]
    few = sum(count.groups < _FEW_LEAVES for count in audit.classes)
    if few:
        yield Sentence(
            "warning",
            tr(
                f"{few} of {len(photos)} classes have fewer than {_FEW_LEAVES} different leaves: "
                "their scores will mean little.",
                f"{few} classes sur {len(photos)} ont moins de {_FEW_LEAVES} feuilles différentes : "
                "leurs scores voudront dire peu de chose.",
            ),
        )
    if photos and max(photos) >= _UNEVEN * min(photos):
        yield Sentence(
            "plain",
            tr(
                f"The largest class has {max(photos)} photos, the smallest {min(photos)}.",
                f"La plus grande classe a {max(photos)} photos, la plus petite {min(photos)}.",
            ),
        )


def _flags(report: CleanReport) -> Iterator[Sentence]:
    flagged = {issue: count for issue, count in report.issues.items() if issue != "label-conflict"}
    if flagged:
        commonest = sorted(flagged, key=lambda issue: (-flagged[issue], issue))[:4]
        listed = ", ".join(f"{issue_title(issue)} ({flagged[issue]})" for issue in commonest)
        yield Sentence("plain", tr(f"Kept, but worth a look: {listed}.", f"Gardées, mais à regarder : {listed}."))
