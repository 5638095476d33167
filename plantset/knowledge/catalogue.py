"""Load the catalogue: the built-in files, alone or with the user's own laid over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path

from plantset.core.errors import DataError
from plantset.core.language import tr
from plantset.knowledge.catalogue_entries import read_crop, read_disease
from plantset.knowledge.catalogue_files import RawCatalogue, RawEntry, catalogue_paths, lay_over, read_raw
from plantset.knowledge.schema import ANY_CROP, Catalogue, Crop, Disease

_SHOWN_PROBLEMS = 5


def built_in_folder() -> Path:
    """Return the folder of the built-in catalogue."""
    return Path(str(resources.files("plantset.knowledge") / "catalogue"))


@cache
def load_catalogue() -> Catalogue:
    """Return the built-in catalogue.

    Raises:
        DataError: an entry lacks a field, has an unknown one or names a crop that is not there.
    """
    return read_catalogue(built_in_folder())


def read_catalogue(folder: Path) -> Catalogue:
    """Read every `*.yaml` of a folder into one catalogue.

    Raises:
        DataError: a file is not YAML, or an entry is wrong; file and entry named.
    """
    return build_catalogue(read_raw(catalogue_paths([folder])))


def chosen_catalogue(folder: Path | None, *, override: bool = False) -> Catalogue:
    """Return the built-in catalogue, extended by the user's folder where there is one; see `extended_catalogue`."""
    return load_catalogue() if folder is None else extended_catalogue([folder], override=override)


def extended_catalogue(places: Iterable[Path], *, override: bool = False) -> Catalogue:
    """Return the built-in catalogue with the user's own files laid over it.

    New identities, languages and names are added. Where the user's file and the built-in one say different things
    of one identity, the user's is right only if `override`.

    Raises:
        DataError: a file cannot be read, an entry is wrong, or (without `override`) the two differ: both are named.
    """
    base = read_raw(catalogue_paths([built_in_folder()]))
    merged, conflicts = lay_over(base, read_raw(catalogue_paths(places), base.healthy), override=override)
    if conflicts:
        raise DataError(
            _some([str(conflict) for conflict in conflicts]),
            tr(
                "rename your entry, or let yours win: --catalogue-override",
                "renommez votre fiche, ou faites primer la vôtre : --catalogue-override",
            ),
        )
    return build_catalogue(merged)


def build_catalogue(raw: RawCatalogue) -> Catalogue:
    """Return the catalogue of files that were read.

    Raises:
        DataError: something is wrong; file and entry named.
    """
    problems = [why for _, why in raw.unread]
    crops: dict[str, Crop] = {}
    for crop_id, entry in raw.crops.items():
        crops[crop_id], wrong = read_crop(crop_id, entry.row)
        problems += [located(entry, why) for why in wrong]
    diseases: dict[str, Disease] = {}
    for disease_id, entry in sorted(raw.entries.items()):
        crop_id = disease_id.partition("--")[0]
        diseases[disease_id], wrong = read_disease(crop_id, entry.slug, entry.row)
        problems += [located(entry, why) for why in wrong]
    catalogue = Catalogue(crops, diseases, raw.symbols)
    problems += [located(raw.entries[disease_id], why) for disease_id, why in reference_problems(catalogue)]
    if not (problems or raw.unread):
        return catalogue
    raise DataError(
        _some(problems),
        tr(
            "mend the catalogue file; every problem of every file: plantset catalogue check",
            "corrigez le fichier du catalogue ; tous les problèmes : plantset catalogue check",
        ),
    )


def reference_problems(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield (identity, problem) for each name of a crop or of an identity that the catalogue does not have."""
    for disease in catalogue.diseases.values():
        if disease.crop_id != ANY_CROP and disease.crop_id not in catalogue.crops:
            yield (
                disease.disease_id,
                tr(
                    f"the crop {disease.crop_id} has no header 'crop'",
                    f"la culture {disease.crop_id} n'a pas d'en-tête « crop »",
                ),
            )
        for host in disease.hosts:
            if host not in catalogue.crops:
                yield disease.disease_id, tr(f"unknown host {host}", f"hôte inconnu {host}")
        for found in {like.disease_id for text in disease.text.values() for like in text.look_alikes}:
            if found and found not in catalogue.diseases:
                yield disease.disease_id, tr(f"confused: unknown id {found}", f"confused : identifiant inconnu {found}")
    for disease_id in catalogue.symbols.values():
        if disease_id not in catalogue.diseases:
            raise DataError(
                tr(f"symbols: {disease_id} has no entry", f"symbols : {disease_id} n'a pas de fiche"),
                tr("mend any.yaml", "corrigez any.yaml"),
            )


def located(entry: RawEntry, why: str) -> str:
    """Return a problem with its file and entry."""
    return tr(f"{entry.path.name}, entry {entry.slug}: {why}", f"{entry.path.name}, fiche {entry.slug} : {why}")


def _some(problems: list[str]) -> str:
    shown = "\n       ".join(problems[:_SHOWN_PROBLEMS])
    more = len(problems) - _SHOWN_PROBLEMS
    return shown + (tr(f"\n       and {more} more", f"\n       et {more} de plus") if more > 0 else "")
