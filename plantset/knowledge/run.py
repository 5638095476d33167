"""The `map` stage: a clean manifest in, the same photos with class, disease and texts out."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from plantset.core.errors import ConfigError, DataError
from plantset.core.files import write_json, write_text
from plantset.core.language import tr
from plantset.core.options import command_line, write_resolved
from plantset.core.records import (
    CleanRecord,
    ManifestMeta,
    Match,
    Record,
    class_names,
    read_clean_records,
    read_meta,
    slugify,
    write_manifest,
)
from plantset.knowledge.adapters import read_user_file
from plantset.knowledge.catalogue import chosen_catalogue
from plantset.knowledge.catalogue_entries import is_language_tag
from plantset.knowledge.config import MapConfig
from plantset.knowledge.masking import without_crop_names
from plantset.knowledge.matching import LabelMatch, Matcher
from plantset.knowledge.page import LabelRow, render_map_page, report_page_path
from plantset.knowledge.photo_texts import apply_photo_text, read_photo_texts
from plantset.knowledge.probe import ProbeResult, probe_notes
from plantset.knowledge.render import language_of
from plantset.knowledge.report import MapReport
from plantset.knowledge.review import (
    DROP,
    KEEP,
    ReviewRow,
    read_decisions,
    remembered_decisions,
    review_path,
    write_review,
)
from plantset.knowledge.schema import Catalogue
from plantset.knowledge.texts import (
    ClassTexts,
    EntryIndex,
    EntryMatch,
    entry_class_texts,
    index_entries,
    known_class_texts,
    match_entries,
)
from plantset.knowledge.user_entry import UserFile

_CERTAIN_SCORE = 0.9  # below it a match is used, and shown for review


@dataclass(frozen=True, slots=True)
class _Class:
    """What one label became."""

    match: LabelMatch
    class_id: str
    texts: ClassTexts
    dropped: bool = False


def map_texts(config: MapConfig) -> MapReport:
    """Give every photo its class, its disease and its texts.

    Writes the manifest and its sidecar, `mapping_review.csv`, `NAME.report.html`, `NAME.probe.json` and
    `NAME.map_config.json`.

    Raises:
        DataError: an input cannot be read, or `strict` and a label is without a disease.
        ConfigError: `crop` is unknown.
    """
    _check_language(config.language)
    catalogue = chosen_catalogue(config.catalogue, override=config.catalogue_override)
    matcher = Matcher(catalogue)
    clean_records = read_clean_records(config.dataset_jsonl)
    crop_id = _crop(config.crop, matcher, catalogue)
    user_file = read_user_file(config.diseases_json, matcher.find_crop) if config.diseases_json else UserFile()
    entries = match_entries(user_file.entries, matcher)
    decisions = remembered_decisions(config.output_file, catalogue)
    if config.review:
        decisions |= read_decisions(config.review, catalogue)
    photo_texts = read_photo_texts(config.photo_texts) if config.photo_texts else {}

    photos = Counter(record.label for record in clean_records)
    found = _classes(photos, crop_id, matcher, catalogue, index_entries(entries), decisions, config)
    review = review_path(config.output_file)
    write_review(review, _review_rows(found, photos, decisions))
    refused = {label: photos[label] for label, known in found.items() if _is_open(known, decisions.get(label, ""))}
    if config.strict and refused:
        raise _strict_error(refused, review)

    records = [
        _record(record, found[record.label], config) for record in clean_records if not found[record.label].dropped
    ]
    if photo_texts:
        records = [apply_photo_text(record, photo_texts) for record in records]
    if not records:
        raise DataError(
            tr("no photo is left", "il ne reste aucune photo"),
            tr(f"decide in {review}, or use --keep-unmatched", f"décidez dans {review}, ou utilisez --keep-unmatched"),
        )
    probe = probe_notes(records, "en" if config.language == "en" else "fr")
    _write(config, records, probe)
    report = _report(config, clean_records, records, found, refused, entries, user_file, probe)
    rows = [_label_row(label, photos[label], known, label in refused) for label, known in sorted(found.items())]
    write_text(report.page_path, render_map_page(report, rows, records, catalogue, config.language))
    return report


def _check_language(tag: str) -> None:
    if not is_language_tag(tag):
        raise ConfigError(
            tr(f"--language {tag} is no language tag", f"--language {tag} n'est pas une balise de langue"),
            tr("fr, en, or another that your texts have: wo, pt-BR", "fr, en ou une autre de vos textes : wo, pt-BR"),
        )


def _crop(name: str | None, matcher: Matcher, catalogue: Catalogue) -> str | None:
    if name is None:
        return None
    crop_id = matcher.find_crop(name)
    if crop_id is None:
        raise ConfigError(
            tr(
                f"--crop {name}: the catalogue has no such crop",
                f"--crop {name} : cette culture n'est pas au catalogue",
            ),
            tr("known crops: ", "cultures connues : ") + ", ".join(sorted(catalogue.crops)),
        )
    return crop_id


def _classes(
    labels: Mapping[str, int],
    crop_id: str | None,
    matcher: Matcher,
    catalogue: Catalogue,
    index: EntryIndex,
    decisions: Mapping[str, str],
    config: MapConfig,
) -> dict[str, _Class]:
    symbols = {label for label in labels if label.strip() in catalogue.symbols}
    found: dict[str, _Class] = {}
    matches = {label: matcher.match(label, crop_id) for label in sorted(labels)}
    if config.embeddings:
        from plantset.knowledge.embeddings import propose_by_meaning  # torch takes seconds to import

        matches = propose_by_meaning(matches, catalogue)
    for label, match in matches.items():
        if match.how == "symbol" and len(symbols) < 2:
            # A folder "B" beside "A" and "C" is no boron: one symbol alone among the labels is not believed.
            match = LabelMatch(label, None, "lone-symbol", 0.0, ((match.disease_id or "", 0.5),))
        decision = decisions.get(label, "")
        if decision and decision != DROP:
            disease_id = None if decision == KEEP else decision
            match = LabelMatch(label, disease_id, "decision", 1.0)
        known = _class(match, index, catalogue, config, decision)
        if config.note_crop:
            terms = without_crop_names(known.texts.mask_terms, catalogue)
            known = replace(known, texts=replace(known.texts, mask_terms=terms))
        found[label] = known
    return found


def _class(match: LabelMatch, index: EntryIndex, catalogue: Catalogue, config: MapConfig, decision: str) -> _Class:
    entry = index.named(match.label) if match.disease_id is None and match.how != "healthy-without-crop" else None
    if entry and not decision and len(entry.disease_ids) == 1:
        match = LabelMatch(match.label, entry.disease_ids[0], "user-entry", 0.95)
    disease = catalogue.get(match.disease_id) if match.disease_id else None
    if disease:
        return _Class(
            match, disease.disease_id, known_class_texts(disease, index, catalogue, config.language), decision == DROP
        )
    texts = entry_class_texts(entry.entry) if entry else ClassTexts({}, {}, ())
    if entry and not decision:
        match = replace(match, how="user-entry", score=0.95)
    dropped = decision == DROP or (not config.keep_unmatched and not entry and decision != KEEP)
    return _Class(match, f"user--{slugify(match.label)}", texts, dropped)


def _is_open(known: _Class, decision: str) -> bool:
    return known.match.disease_id is None and not decision and known.match.how != "user-entry"


def _review_rows(
    found: Mapping[str, _Class], photos: Mapping[str, int], decisions: Mapping[str, str]
) -> list[ReviewRow]:
    rows = []
    for label, known in found.items():
        match, decision = known.match, decisions.get(label, "")
        if decision or match.disease_id is None or match.score < _CERTAIN_SCORE:
            found_id = match.disease_id or ""
            rows.append(ReviewRow(label, photos[label], found_id, match.how, match.score, match.candidates, decision))
    # What was decided for labels that are not in this manifest is kept for the next.
    absent = [label for label in decisions if label not in found]
    rows += [ReviewRow(label, 0, "", "decision", 1.0, (), decisions[label]) for label in absent]
    return sorted(rows, key=lambda row: (bool(row.decision), bool(row.found), -row.photos, row.label))


def _record(clean: CleanRecord, known: _Class, config: MapConfig) -> Record:
    texts = known.texts
    told = {tag: said.description for tag, said in texts.texts.items() if said.description}
    language = language_of(told, config.language)
    return Record(
        image_path=clean.image_path,
        label=clean.label,
        split=clean.split,
        text=told.get(language, ""),
        class_id=known.class_id,
        disease_id=known.match.disease_id,
        crop=texts.crop,
        disease=texts.disease,
        agent=texts.agent,
        kind=texts.kind,
        texts=texts.texts,
        text_source=texts.source,
        language=language,
        mask_terms=texts.mask_terms,
        match=Match(known.match.how, known.match.score),
        original_size=clean.original_size,
        size=clean.size,
        sha256=clean.sha256,
        phash=clean.phash,
        group=clean.group,
        source_path=clean.source_path,
        issues=clean.issues,
        style=clean.style,
        source=clean.source,
        taken_at=clean.taken_at,
        reviewed=clean.reviewed,
        label_before=clean.label_before,
    )


def _write(config: MapConfig, records: Sequence[Record], probe: ProbeResult | None) -> None:
    clean_meta = read_meta(config.dataset_jsonl)
    output = config.output_file
    stem = output.name.removesuffix(".jsonl")
    meta = ManifestMeta(
        images_dir=_images_dir(config.dataset_jsonl, clean_meta, output),
        classes=class_names(records),
        seed=clean_meta.seed if clean_meta else 0,
        command=command_line("map", config),
        counts={"photos": len(records), "classes": len(class_names(records))},
    )
    write_manifest(output, records, meta)
    write_resolved(output.with_name(f"{stem}.map_config.json"), config)
    probe_file = output.with_name(f"{stem}.probe.json")
    if probe:
        write_json(probe_file, probe.to_json())
    else:
        probe_file.unlink(missing_ok=True)


def _images_dir(clean_path: Path, meta: ManifestMeta | None, output: Path) -> str:
    """Return the clean images folder as seen from the new manifest's folder (absolute if on another drive)."""
    folder = (clean_path.parent / meta.images_dir if meta else clean_path.parent).resolve()
    try:
        return Path(os.path.relpath(folder, output.parent.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        return folder.as_posix()


def _label_row(label: str, photos: int, known: _Class, is_open: bool) -> LabelRow:
    match = known.match
    class_id = "" if known.dropped else known.class_id
    return LabelRow(label, photos, class_id, match.disease_id, match.how, match.score, match.candidates, is_open)


def _strict_error(refused: Mapping[str, int], review: Path) -> DataError:
    shown = ", ".join(list(refused)[:8]) + (" …" if len(refused) > 8 else "")
    return DataError(
        tr(
            f"{len(refused)} labels have no disease: {shown}",
            f"{len(refused)} étiquettes n'ont pas de maladie : {shown}",
        ),
        tr(f"decide in {review}, then: --review {review}", f"décidez dans {review}, puis : --review {review}"),
    )


def _report(
    config: MapConfig,
    clean_records: Sequence[CleanRecord],
    records: Sequence[Record],
    found: Mapping[str, _Class],
    refused: Mapping[str, int],
    entries: Sequence[EntryMatch],
    user_file: UserFile,
    probe: ProbeResult | None,
) -> MapReport:
    labels_of: dict[str, list[str]] = defaultdict(list)
    for label, known in found.items():
        if not known.dropped:
            labels_of[known.class_id].append(label)
    used = {known.match.disease_id for known in found.values()}
    used_names = {known.texts.disease for known in found.values() if known.match.disease_id is None}
    unused = [
        match.entry.name
        for match in entries
        if not used & set(match.disease_ids) and match.entry.name not in used_names
    ]
    return MapReport(
        output_path=config.output_file,
        review_path=review_path(config.output_file),
        page_path=report_page_path(config.output_file),
        photos=len(records),
        left_out=len(clean_records) - len(records),
        classes=len(class_names(records)),
        labels=len(found),
        matched=sum(known.match.disease_id is not None for known in found.values()),
        refused=dict(sorted(refused.items(), key=lambda item: -item[1])),
        merged={class_id: tuple(labels) for class_id, labels in sorted(labels_of.items()) if len(labels) > 1},
        unused_entries=tuple(dict.fromkeys(unused)),
        duplicate_entries=user_file.duplicates,
        unknown_fields=tuple(user_file.unknown_fields),
        probe=probe,
    )
