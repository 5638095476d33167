"""`plantset catalogue`: show, search, check and export what is known of diseases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plantset.core.errors import ConfigError, DataError
from plantset.core.flags import suggestion
from plantset.core.language import message_language, tr
from plantset.knowledge.catalogue import chosen_catalogue
from plantset.knowledge.catalogue_check import check_files
from plantset.knowledge.catalogue_sheets import export, readable_sheet, search
from plantset.knowledge.config import CatalogueConfig
from plantset.knowledge.schema import Catalogue, Disease

ACTIONS = ("show", "search", "check", "export")
_EXIT_PROBLEMS = 2


@dataclass(frozen=True, slots=True)
class CatalogueReport:
    """What the command prints."""

    text: str
    exit_code: int = 0

    def summary(self) -> str:
        """Return the text."""
        return self.text


def catalogue(config: CatalogueConfig) -> CatalogueReport:
    """Do what `config.request` asks: its first word is the action, the others its identities, words or files.

    Raises:
        ConfigError: an unknown action, or one that lacks its words.
        DataError: an unknown identity, or a file that cannot be read.
    """
    action, *words = config.request or ("",)
    if action == "show":
        return _show(config, words)
    if action == "search":
        return _search(config, words)
    if action == "check":
        return _check(config, words)
    if action == "export":
        return _export(config, words)
    raise ConfigError(
        tr(f"'{action}' is no action", f"« {action} » n'est pas une action")
        if action
        else tr("no action is given", "aucune action n'est donnée"),
        tr(
            "plantset catalogue show ID | search WORDS | check [FILES] | export [CROPS]",
            "plantset catalogue show IDENTIFIANT | search MOTS | check [FICHIERS] | export [CULTURES]",
        ),
    )


def _show(config: CatalogueConfig, ids: Sequence[str]) -> CatalogueReport:
    known = chosen_catalogue(config.catalogue, override=config.catalogue_override)
    _need(ids, "plantset catalogue show tomato--late-blight")
    sheets = [readable_sheet(_find(known, found), known, config.language or message_language()) for found in ids]
    return CatalogueReport("\n\n\n".join(sheets))


def _search(config: CatalogueConfig, words: Sequence[str]) -> CatalogueReport:
    known = chosen_catalogue(config.catalogue, override=config.catalogue_override)
    _need(words, tr("plantset catalogue search tomato blight", "plantset catalogue search tomate mildiou"))
    found = search(known, words)
    if not found:
        return CatalogueReport(tr("no identity has these words", "aucune fiche ne contient ces mots"))
    width = max(len(disease.disease_id) for disease in found)
    lines = [
        f"{disease.disease_id:<{width}}  {disease.name['fr']} · {disease.name['en']}"
        + (f" · {disease.agent}" if disease.agent else "")
        for disease in found
    ]
    return CatalogueReport("\n".join(lines))


def _check(config: CatalogueConfig, places: Sequence[str]) -> CatalogueReport:
    paths = [Path(place) for place in places] or ([config.catalogue] if config.catalogue else [])
    result = check_files(paths)
    lines = list(result.problems)
    lines.append(
        tr(
            f"{result.files} files, {result.entries} entries, {len(result.problems)} problems",
            f"{result.files} fichiers, {result.entries} fiches, {len(result.problems)} problèmes",
        )
    )
    return CatalogueReport("\n".join(lines), _EXIT_PROBLEMS if result.problems else 0)


def _export(config: CatalogueConfig, crops: Sequence[str]) -> CatalogueReport:
    known = chosen_catalogue(config.catalogue, override=config.catalogue_override)
    crop_ids = {disease.crop_id for disease in known.diseases.values()}
    for crop_id in crops:
        if crop_id not in crop_ids:
            raise _unknown(crop_id, sorted(crop_ids))
    chosen = [disease for disease in known.diseases.values() if not crops or disease.crop_id in crops]
    count = export(config.output_file, chosen, known)
    return CatalogueReport(
        tr(f"{count} identities in {config.output_file}", f"{count} fiches dans {config.output_file}")
    )


def _need(words: Sequence[str], example: str) -> None:
    if not words:
        raise ConfigError(tr("this action needs a word", "cette action attend un mot"), example)


def _find(known: Catalogue, disease_id: str) -> Disease:
    disease = known.get(disease_id)
    if disease is None:
        raise _unknown(disease_id, sorted(known.diseases))
    return disease


def _unknown(word: str, known: Sequence[str]) -> DataError:
    near = suggestion(word, known, cutoff=0.5)
    return DataError(
        tr(f"'{word}' is not in the catalogue", f"« {word} » n'est pas au catalogue"),
        tr(f"did you mean {near}?", f"vouliez-vous dire {near} ?")
        if near
        else tr("plantset catalogue search WORDS", "plantset catalogue search MOTS"),
    )
