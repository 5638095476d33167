"""`plantset clean`: from a folder of photos to the manifest, step by step."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import cv2
import PIL
import simplejpeg

from plantset.clean.audit import audit_path, audit_photos
from plantset.clean.config import CleanConfig
from plantset.clean.corrections import apply_corrections, decided_paths, read_books
from plantset.clean.journal import journal_path
from plantset.clean.naming import image_names
from plantset.clean.page import render_clean_page, report_page_path
from plantset.clean.rejection import names_to_reject, reject_failed, thresholds_of
from plantset.clean.remote import fetch_earlier, publish, scan_store, stage_for
from plantset.clean.report import CleanReport
from plantset.clean.resume import Workshop, do_photos, restore_images, tidy
from plantset.clean.scan import FoundFile, scan_folder
from plantset.clean.seen import memory_path
from plantset.clean.selection import (
    EXCLUDED,
    LABEL_CONFLICT,
    Candidate,
    drop_exact_copies,
    drop_near_copies,
    drop_rare_classes,
    flag_without_plant,
    group_candidates,
    is_excluded,
    name_copies,
    sort_out,
)
from plantset.clean.split import SplitPlan, assign_splits, find_leaks
from plantset.clean.table import TableColumns, scan_table
from plantset.clean.twins import class_twins
from plantset.core.errors import ConfigError, DataError
from plantset.core.files import sha256_json, write_text
from plantset.core.language import tr
from plantset.core.options import command_line, write_resolved
from plantset.core.photo import JPEG_QUALITY
from plantset.core.records import (
    CleanRecord,
    ManifestMeta,
    RejectedRecord,
    Split,
    default_images_dir,
    read_clean_records,
    rejected_path,
    write_manifest,
    write_rejected,
)
from plantset.core.storage import absolute, is_remote, url_of

_METHOD = 7  # raise it when facts or images of the same photo change, so that no old journal is reused


@dataclass(frozen=True, slots=True)
class _Selected:
    """The photos that stay, and what was seen on the way."""

    candidates: list[Candidate]
    rejected: list[RejectedRecord]
    near_copy_pairs: int
    leaks: int


def clean(config: CleanConfig) -> CleanReport:
    """Turn a photo folder (or a table of photos) into a manifest; every file found is kept or rejected with a reason.

    Run again after a kill, or on a changed folder, only what is new is done; the result is that of one whole run.

    Raises:
        ConfigError: flags that contradict each other, or an output inside the source folder.
        DataError: no photo is left, the table is wrong, or the output can't be written.
    """
    if not is_remote(config.output_file):
        return _clean(config, config)
    staged = stage_for(config.output_file)
    fetch_earlier(config.output_file, staged)
    images_dir = config.images_dir or default_images_dir(config.output_file)
    report = _clean(replace(config, output_file=staged, images_dir=images_dir), config)
    publish(staged, config.output_file)
    return replace(report, manifest=config.output_file, page=report_page_path(config.output_file))


def _clean(config: CleanConfig, asked: CleanConfig) -> CleanReport:
    """Do it; `asked` is what the user wrote, which names an output in a store by its own place."""
    root = _source_root(config)
    workshop = _workshop(config, root)
    _check_places(config, root, workshop.images_dir)
    books = read_books(config.corrections)
    files = _scan(config, root, decided_paths(books))
    image_paths = dict(zip((file.source_path for file in files), _image_names(files), strict=True))

    worked = do_photos([file for file in files if file.refusal is None], image_paths, workshop)
    candidates, rejected = sort_out(files, worked.outcomes, image_paths)
    if config.embeddings:
        candidates = flag_without_plant(candidates, memory_path(config.output_file))
    candidates, failed = reject_failed(candidates, names_to_reject(config.reject, embeddings=config.embeddings))
    corrected = apply_corrections(candidates, files, books, config.exclude_labels)
    rejected += [*failed, *corrected.rejected]
    previous = _previous_splits(config)
    selected = _select(config, corrected.candidates, rejected, previous)
    if not selected.candidates:
        raise _nothing_left(root, selected.rejected)
    restore_images([(item.file, item.image_path, item.facts) for item in selected.candidates], workshop)

    members = [candidate.split_member(previous) for candidate in selected.candidates]
    plan = SplitPlan(config.val_ratio, config.test_ratio, config.seed, config.fix_leaks)
    splits = assign_splits(members, plan)
    records = [
        _record(item, split, keep_time=config.keep_time)
        for item, split in zip(selected.candidates, splits, strict=True)
    ]
    report = replace(
        _report(config, selected, records, workshop.images_dir, reused=worked.reused),
        splits_kept=sum(member.previous is not None for member in members),
        corrected=corrected.counts,
        new_labels=corrected.new_labels,
    )
    _write(config, asked, records, selected.rejected, report)
    _write_page(config, selected, records, report)
    tidy(files, worked, {record.image_path for record in records}, workshop)
    return report


def _source_root(config: CleanConfig) -> Path:
    if config.labels_csv is not None:
        return config.data_dir or config.labels_csv.parent
    if config.data_dir is None:
        raise ConfigError(
            tr("there is no photo folder", "il n'y a pas de dossier de photos"),
            tr("--data-dir FOLDER, or --labels-csv TABLE.csv", "--data-dir DOSSIER, ou --labels-csv TABLEAU.csv"),
        )
    return config.data_dir


def _workshop(config: CleanConfig, root: Path) -> Workshop:
    images_dir = config.images_dir or default_images_dir(config.output_file)
    settings = {
        "method": _METHOD,
        "min_size": config.min_size,
        "target_size": config.target_size,
        "quality": JPEG_QUALITY,
        "thresholds": asdict(thresholds_of(config)),
        "root": url_of(absolute(root)),
        "images_dir": url_of(absolute(images_dir)),
        "versions": [simplejpeg.__version__, PIL.__version__, cv2.__version__],
    }
    return Workshop(
        journal=journal_path(config.output_file),
        images_dir=images_dir,
        settings=sha256_json(settings)[:16],
        min_size=config.min_size,
        target_size=config.target_size,
        num_workers=config.num_workers,
        engine=config.engine,
        daft_address=config.daft_address,
        thresholds=thresholds_of(config),
    )


def _check_places(config: CleanConfig, root: Path, images_dir: Path) -> None:
    """Refuse numbers out of range, a folder that isn't there, and outputs that would touch the source."""
    _check_numbers(config)
    names_to_reject(config.reject, embeddings=config.embeddings)
    _check_table_flags(config)
    if not is_remote(root) and not root.is_dir():
        raise ConfigError(
            tr(f"{root} is not a folder", f"{root} n'est pas un dossier"),
            tr("check --data-dir or --labels-csv", "vérifiez --data-dir ou --labels-csv"),
        )
    source = absolute(root)
    for output in (absolute(config.output_file), absolute(images_dir)):
        if output.is_relative_to(source) or source.is_relative_to(output):
            raise ConfigError(
                tr(
                    f"{output} and the source folder {source} lie inside one another; the source is never written to",
                    f"{output} et le dossier source {source} sont l'un dans l'autre ; la source n'est jamais modifiée",
                ),
                tr(
                    f"write beside it: --output-file {source.parent / 'dataset_clean.jsonl'}",
                    f"écrivez à côté : --output-file {source.parent / 'dataset_clean.jsonl'}",
                ),
            )
    try:
        if not is_remote(images_dir):
            images_dir.mkdir(parents=True, exist_ok=True)
        config.output_file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            tr(
                f"cannot make {error.filename}: {error.strerror}",
                f"impossible de créer {error.filename} : {error.strerror}",
            ),
            tr("choose another --output-file or --images-dir", "choisissez un autre --output-file ou --images-dir"),
        ) from error


def _check_numbers(config: CleanConfig) -> None:
    held_out = config.val_ratio + config.test_ratio
    checks = (
        (config.min_size >= 1, "--min-size", tr("1 pixel or more", "1 pixel ou plus")),
        (config.target_size >= 16, "--target-size", tr("16 pixels or more", "16 pixels ou plus")),
        (0 <= config.val_ratio < 1, "--val-ratio", tr("from 0 to below 1", "de 0 à moins de 1")),
        (0 <= config.test_ratio < 1, "--test-ratio", tr("from 0 to below 1", "de 0 à moins de 1")),
        (
            held_out < 1,
            "--val-ratio + --test-ratio",
            tr("below 1: train needs photos", "moins de 1 : train a besoin de photos"),
        ),
        (config.min_group_count >= 1, "--min-group-count", tr("1 or more", "1 ou plus")),
        (config.daft_address is None or config.engine == "daft", "--daft-address", "--engine daft"),
        (
            config.labels_csv is None or not is_remote(_source_root(config)),
            "--labels-csv",
            tr("a local folder", "un dossier local"),
        ),
        (config.num_workers is None or config.num_workers >= 0, "--num-workers", tr("0 or more", "0 ou plus")),
    )
    for fits, flag, expected in checks:
        if not fits:
            raise ConfigError(
                tr(f"{flag} is out of range", f"{flag} est hors limites"), tr(f"give {expected}", f"donnez {expected}")
            )


def _check_table_flags(config: CleanConfig) -> None:
    if config.labels_csv is not None:
        return
    columns = [spec for spec in fields(config) if spec.name.endswith("_column")]
    idle = [spec.name for spec in columns if getattr(config, spec.name) != spec.default]
    if idle:
        flag = "--" + idle[0].replace("_", "-")
        raise ConfigError(
            tr(
                f"{flag} names a column, but there is no table",
                f"{flag} désigne une colonne, mais il n'y a pas de tableau",
            ),
            tr("add --labels-csv TABLE.csv", "ajoutez --labels-csv TABLEAU.csv"),
        )


def _scan(config: CleanConfig, root: Path, decided: Collection[str]) -> list[FoundFile]:
    """Return what is there; a label is left out here unless a person's decision may change it."""
    if config.labels_csv is None:
        files = scan_store(root) if is_remote(root) else scan_folder(root)
    else:
        columns = TableColumns(
            config.image_column,
            config.label_column,
            group=config.group_column,
            split=config.split_column,
            style=config.style_column,
            source=config.source_column,
        )
        files = scan_table(config.labels_csv, root, columns)
    return [
        replace(file, refusal=(EXCLUDED, file.label or ""))
        if file.refusal is None and file.source_path not in decided and is_excluded(file.label, config.exclude_labels)
        else file
        for file in files
    ]


def _image_names(files: Sequence[FoundFile]) -> list[str]:
    return image_names([file.source_path for file in files])


def _previous_splits(config: CleanConfig) -> dict[str, Split]:
    """Return the split of each content that an earlier manifest in the same place holds."""
    if config.new_splits or not config.output_file.exists():
        return {}
    return {record.sha256: record.split for record in read_clean_records(config.output_file)}


def _select(
    config: CleanConfig,
    candidates: Sequence[Candidate],
    rejected: list[RejectedRecord],
    previous: Mapping[str, Split],
) -> _Selected:
    grouped, near_copy_pairs = group_candidates(
        candidates, memory_path(config.output_file) if config.embeddings else None
    )
    leaks = find_leaks([candidate.split_member(previous) for candidate in grouped])
    distinct, copies = drop_exact_copies(grouped)
    distinct = name_copies(distinct)
    if config.drop_duplicates:
        distinct, near = drop_near_copies(distinct)
        copies += near
    common, rare = drop_rare_classes(distinct, config.min_group_count)
    everything = sorted([*rejected, *copies, *rare], key=lambda record: record.source_path)
    return _Selected(common, everything, near_copy_pairs, len(leaks))


def _record(candidate: Candidate, split: Split, *, keep_time: bool) -> CleanRecord:
    facts = candidate.facts
    conflict = (LABEL_CONFLICT,) if candidate.in_conflict else ()
    return CleanRecord(
        image_path=candidate.image_path,
        label=candidate.label,
        split=split,
        original_size=facts.original_size,
        size=facts.size,
        sha256=facts.sha256,
        phash=facts.phash,
        group=candidate.group,
        source_path=candidate.file.source_path,
        issues=tuple(sorted({*facts.issues, *conflict})),
        style=candidate.file.style,
        source=candidate.file.source,
        group_rules=candidate.rules,
        copy_of=candidate.copy_of,
        reviewed=candidate.reviewed,
        label_before=candidate.label_before,
        taken_at=facts.taken_at if keep_time else None,
    )


def _report(
    config: CleanConfig, selected: _Selected, records: Sequence[CleanRecord], images_dir: Path, *, reused: int
) -> CleanReport:
    classes: dict[str, Counter[Split]] = defaultdict(Counter)
    conflicts: dict[str, list[str]] = defaultdict(list)
    for record in records:
        classes[record.label][record.split] += 1
        if LABEL_CONFLICT in record.issues:
            conflicts[record.group].append(record.source_path)
    left = _spread_groups(records)
    return CleanReport(
        manifest=config.output_file,
        images_dir=images_dir,
        page=report_page_path(config.output_file),
        found=len(records) + len(selected.rejected),
        kept=len(records),
        rejected=Counter(record.reason for record in selected.rejected),
        classes={label: dict(classes[label]) for label in sorted(classes)},
        groups=len({record.group for record in records}),
        near_copy_pairs=selected.near_copy_pairs,
        issues=Counter(issue for record in records for issue in record.issues),
        label_conflicts=tuple(tuple(conflicts[group]) for group in sorted(conflicts)),
        leaks=selected.leaks,
        leaks_left=left,
        class_twins=class_twins(classes),
        nested=config.labels_csv is None and any(record.source for record in records),
        reused=reused,
    )


def _spread_groups(records: Sequence[CleanRecord]) -> int:
    splits: dict[str, set[Split]] = defaultdict(set)
    for record in records:
        splits[record.group].add(record.split)
    return sum(len(names) > 1 for names in splits.values())


def _write(
    config: CleanConfig,
    asked: CleanConfig,
    records: Sequence[CleanRecord],
    rejected: Sequence[RejectedRecord],
    report: CleanReport,
) -> None:
    folder = config.output_file.parent.resolve()
    images_dir = absolute(report.images_dir)
    counts = {"found": report.found, "kept": report.kept, "rejected": len(rejected), "groups": report.groups}
    counts |= {"near_copy_pairs": report.near_copy_pairs, "label_conflicts": len(report.label_conflicts)}
    counts |= {"leaks": report.leaks, "leaks_left": report.leaks_left}
    counts |= {f"corrected:{decision}": count for decision, count in sorted(report.corrected.items())}
    counts |= {f"rejected:{reason}": count for reason, count in sorted(report.rejected.items())}
    counts |= {f"issue:{issue}": count for issue, count in sorted(report.issues.items())}
    meta = ManifestMeta(
        images_dir=Path(os.path.relpath(images_dir, folder)).as_posix()
        if images_dir.is_relative_to(folder)
        else url_of(images_dir),
        classes=tuple(report.classes),
        seed=config.seed,
        command=command_line(
            "clean", replace(asked, num_workers=None, engine="local", daft_address=None)
        ),  # who works doesn't change the result
        counts=counts,
    )
    write_rejected(rejected_path(config.output_file), rejected)
    write_manifest(config.output_file, records, meta)
    name = config.output_file.name.removesuffix(".jsonl") + ".config.json"
    write_resolved(config.output_file.with_name(name), asked)


def _write_page(config: CleanConfig, selected: _Selected, records: Sequence[CleanRecord], report: CleanReport) -> None:
    cues = [candidate.facts.cues for candidate in selected.candidates] if config.audit else None
    audit = audit_photos(records, cues, config.seed, audit_path(config.output_file))
    write_text(report.page, render_clean_page(report, records, selected.rejected, audit))


def _nothing_left(root: Path, rejected: Sequence[RejectedRecord]) -> DataError:
    reasons = Counter(record.reason for record in rejected).most_common()
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons) or tr(
        "the folder is empty", "le dossier est vide"
    )
    return DataError(
        tr(f"no photo is left of {root} ({listed})", f"il ne reste aucune photo de {root} ({listed})"),
        tr(
            "photos belong in one folder per class; --min-size lowers the size limit",
            "les photos vont dans un dossier par classe ; --min-size abaisse la taille minimale",
        ),
    )
