"""The report of a mapping as one HTML page: what was matched how, what is refused and why, what the notes give away."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from plantset.core.language import Language, message_language, tr
from plantset.core.page import Sentence, percent, render_page
from plantset.core.records import Record
from plantset.knowledge.notes import grower_notes
from plantset.knowledge.report import MapReport
from plantset.knowledge.schema import Catalogue

LEAKING = 0.35  # a note alone that names its class more often than this is read in place of the photo
_TEMPLATE = Path(__file__).with_name("report.html.j2")
_EXAMPLES = 6
_NOTES = 3
_CERTAIN = 0.9


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label and what became of it.

    Attributes:
        class_id: "" where its photos are left out.
        disease_id: None where it has no disease of the catalogue.
        how, score: of the match, or why it was refused and 0.
        candidates: (identity, likeness in 0..1) of a refused label, nearest first.
        is_open: somebody should decide.
    """

    label: str
    photos: int
    class_id: str
    disease_id: str | None
    how: str
    score: float
    candidates: tuple[tuple[str, float], ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class CropRow:
    """One crop: its classes and photos, and how many of its descriptions the user wrote."""

    crop: str
    classes: int
    photos: int
    own_texts: int


@dataclass(frozen=True, slots=True)
class Example:
    """One class: its description and a few of the notes that training makes for one of its photos."""

    class_id: str
    disease: str
    text: str
    source: str
    notes: tuple[str, ...]


def report_page_path(output_file: Path) -> Path:
    """Return `NAME.report.html` for `NAME.jsonl`."""
    return output_file.with_name(output_file.name.removesuffix(".jsonl") + ".report.html")


def render_map_page(
    report: MapReport, labels: Sequence[LabelRow], records: Sequence[Record], catalogue: Catalogue, language: str
) -> str:
    """Return the page, in the language of messages.

    Args:
        report: of the same run.
        labels: every label of the manifest.
        records: the photos with their texts.
        catalogue: names the crops.
        language: that the texts were asked in.
    """
    firsts = _first_of_each_class(records)
    lengths = sorted(len(record.text.split()) for record in firsts if record.text)
    values = {
        "report": report,
        "open_labels": [row for row in labels if row.is_open],
        "doubtful": [row for row in labels if row.disease_id and row.score < _CERTAIN],
        "certain": [row for row in labels if row.disease_id and row.score >= _CERTAIN],
        "own": [row for row in labels if not row.disease_id and not row.is_open],
        "ways": Counter(row.how for row in labels if row.disease_id).most_common(),
        "crops": _crops(records, catalogue),
        "lengths": (lengths[0], median(lengths), lengths[-1]) if lengths else None,
        "without_text": [record.label for record in firsts if not record.text],
        "examples": _examples(firsts),
        "leaking": LEAKING,
        "how_title": how_title,
    }
    return render_page(_TEMPLATE, list(_verdict(report, labels, firsts, language)), values)


def how_title(how: str) -> str:
    """Return the rule of a match, or the reason of a refusal, in words; a code without words is its own."""
    titles = {
        "exact": tr("its name", "son nom"),
        "symbol": tr("a chemical symbol", "un symbole chimique"),
        "abbreviation": tr("its initials", "ses initiales"),
        "agent": tr("the scientific name", "le nom scientifique"),
        "typo": tr("a spelling mended", "une orthographe corrigée"),
        "truncated": tr("a name cut short", "un nom coupé"),
        "decision": tr("your decision", "votre décision"),
        "user-entry": tr("an entry of your file", "une fiche de votre fichier"),
        "ambiguous": tr("it can mean several diseases", "il peut désigner plusieurs maladies"),
        "no-crop": tr("the crop is not said", "la culture n'est pas dite"),
        "crop-mismatch": tr("this crop does not have that disease", "cette culture n'a pas cette maladie"),
        "agent-conflict": tr("name and agent contradict each other", "le nom et l'agent se contredisent"),
        "healthy-without-crop": tr("healthy, but of which crop?", "sain, mais de quelle culture ?"),
        "lone-symbol": tr("a lone letter is no symbol", "une lettre seule n'est pas un symbole"),
        "unknown": tr("no such name is known", "aucun nom semblable n'est connu"),
        "embedding": tr("no such name; nearest in meaning", "aucun nom semblable ; les plus proches par le sens"),
    }
    return titles.get(how, how)


def _verdict(
    report: MapReport, labels: Sequence[LabelRow], firsts: Sequence[Record], language: str
) -> Iterator[Sentence]:
    yield Sentence(
        "main",
        tr(
            f"{report.matched} of {report.labels} labels found their disease: {report.photos} photos, "
            f"{report.classes} classes.",
            f"{report.matched} étiquettes sur {report.labels} ont trouvé leur maladie : {report.photos} photos, "
            f"{report.classes} classes.",
        ),
    )
    still_open = [row for row in labels if row.is_open]
    if still_open:
        photos = sum(row.photos for row in still_open)
        yield Sentence(
            "warning",
            tr(
                f"{len(still_open)} labels ({photos} photos) wait for your decision in {report.review_path.name}; "
                "until then they are classes without a text.",
                f"{len(still_open)} étiquettes ({photos} photos) attendent votre décision dans "
                f"{report.review_path.name} ; d'ici là, ce sont des classes sans texte.",
            ),
        )
    yield from _probe_verdict(report)
    missing = sum(not record.text for record in firsts)
    if missing:
        yield Sentence(
            "plain",
            tr(
                f"{missing} classes have no description: a model can name them, not describe them.",
                f"{missing} classes n'ont pas de description : un modèle saura les nommer, pas les décrire.",
            ),
        )
    other = Counter(record.language for record in firsts if record.text and record.language != language)
    if other:
        listed = ", ".join(f"{tag} {count}" for tag, count in other.most_common())
        yield Sentence(
            "warning",
            tr(
                f"Some classes have no text in {language} and are described in another language: {listed}.",
                f"Des classes n'ont pas de texte en {language} et sont décrites dans une autre langue : {listed}.",
            ),
        )
    if report.merged:
        yield Sentence(
            "plain",
            tr(
                f"{len(report.merged)} classes were made from several labels; the list is below.",
                f"{len(report.merged)} classes réunissent plusieurs étiquettes ; la liste est plus bas.",
            ),
        )


def _probe_verdict(report: MapReport) -> Iterator[Sentence]:
    probe = report.probe
    if probe is None:
        return
    rate, chance = percent(probe.accuracy, 0), percent(probe.chance)
    if probe.accuracy > LEAKING:
        yield Sentence(
            "alarm" if probe.classes >= 100 else "warning",
            tr(
                f"A note alone names its class {rate} of the time (chance {chance}): a model could read the notes in "
                "place of looking at the photo. The phrases that tell are listed below.",
                f"Une note seule nomme sa classe {rate} du temps (hasard {chance}) : un modèle pourrait lire les notes "
                "au lieu de regarder la photo. Les expressions qui trahissent sont listées plus bas.",
            ),
        )
    else:
        yield Sentence(
            "good",
            tr(
                f"A note alone names its class {rate} of the time (chance {chance}): notes help and give nothing away.",
                f"Une note seule nomme sa classe {rate} du temps (hasard {chance}) : les notes aident sans la trahir.",
            ),
        )


def _first_of_each_class(records: Sequence[Record]) -> list[Record]:
    firsts: dict[str, Record] = {}
    for record in records:
        firsts.setdefault(record.class_id, record)
    return [firsts[class_id] for class_id in sorted(firsts)]


def _crops(records: Sequence[Record], catalogue: Catalogue) -> list[CropRow]:
    photos: Counter[str] = Counter()
    classes: dict[str, dict[str, bool]] = defaultdict(dict)
    for record in records:
        crop = record.crop or ""
        photos[crop] += 1
        own = record.text_source.get(f"{record.language}.description") == "user"
        classes[crop][record.class_id] = own
    tag = message_language()
    names = {crop_id: crop.name[tag] for crop_id, crop in catalogue.crops.items()}
    rows = [
        CropRow(names.get(crop, crop), len(classes[crop]), count, sum(classes[crop].values()))
        for crop, count in photos.items()
    ]
    return sorted(rows, key=lambda row: (not row.crop, -row.photos, row.crop))


def _examples(firsts: Sequence[Record]) -> list[Example]:
    """Return classes spread over the whole set, each as training sees it."""
    told = [record for record in firsts if record.text]
    step = max(1, len(told) // _EXAMPLES)
    examples = []
    for record in told[::step][:_EXAMPLES]:
        language: Language = "en" if record.language == "en" else "fr"
        notes = grower_notes(record, language=language, count=_NOTES, seed=0)
        source = record.text_source.get(f"{record.language}.description", "catalogue")
        examples.append(Example(record.class_id, record.disease or record.label, record.text, source, notes))
    return examples
