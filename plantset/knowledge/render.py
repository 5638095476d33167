"""From what is known of a disease to sentences in French and English, with articles and elisions right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from plantset.core.language import Language
from plantset.knowledge.names import tokenise
from plantset.knowledge.schema import Catalogue, Crop, Disease, LocalText

Style = Literal["full", "short", "symptoms", "treatment"]
STYLES: tuple[Style, ...] = get_args(Style)

# A text is looked for in the language that is asked for, then in these.
LANGUAGE_CHAIN = ("fr", "en")
# Words in h before which French does not elide, among those that name crops and diseases.
_ASPIRATED = ("haricot", "hibou", "houblon", "huanglongbing", "hernie", "houe")
_KIND_FR = {
    "fungus": "champignon",
    "oomycete": "oomycète",
    "bacterium": "bactérie",
    "virus": "virus",
    "phytoplasma": "phytoplasme",
    "alga": "algue",
    "nematode": "nématode",
    "insect": "insecte",
    "mite": "acarien",
    "mollusc": "mollusque",
    "vertebrate": "vertébré",
    "parasitic-plant": "plante parasite",
    "viroid": "viroïde",
    "protist": "protiste",
}
_MAX_TOLD = 3
_MAX_TOLD_WORDS = 32


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that a description is made of, in one language.

    Attributes:
        name: of the disease, as it stands inside a sentence.
        crop: None where the crop is unknown or the disease is bound to none.
        kind: of the cause ("fungus"), or "".
        agent: scientific name, or "".
    """

    name: str
    crop: Crop | None
    kind: str
    agent: str
    symptoms: tuple[str, ...]
    management: tuple[str, ...]


def catalogue_sheet(disease: Disease, catalogue: Catalogue, language: Language) -> Sheet:
    """Return the sheet of a catalogue's identity."""
    text = disease.text[language]
    return Sheet(
        name=disease.name[language],
        crop=catalogue.crop_of(disease),
        kind=disease.kind,
        agent=", ".join(disease.agents) if disease.kind == "complex" else disease.agent,
        symptoms=telling(text.symptoms, organ_of_each(text)),
        management=text.management,
    )


def organ_of_each(text: LocalText) -> tuple[str, ...]:
    """Return the organ of each of `text.symptoms`."""
    return tuple(organ for organ, sentences in text.organs.items() for _ in sentences)


def telling(symptoms: Sequence[str], organs: Sequence[str]) -> tuple[str, ...]:
    """Return the two or three sentences that a caption tells, in their order.

    A caption shows what a photo can show: the first organ (leaf wherever leaves show anything) twice, another organ
    once. The whole list stands in the card. Without organs (a user's own list) all are kept.
    """
    if not organs:
        return tuple(symptoms)
    first = [at for at, organ in enumerate(organs) if organ == organs[0]]
    others = [at for at, organ in enumerate(organs) if organ != organs[0]]
    chosen: list[int] = []
    words = 0
    for at in [*first[:2], *others[:1], *first[2:], *others[1:]][:_MAX_TOLD]:
        words += len(symptoms[at].split())
        if chosen and words > _MAX_TOLD_WORDS:
            break
        chosen.append(at)
    return tuple(symptoms[at] for at in sorted(chosen))


def language_of(available: Iterable[str], asked: str) -> str:
    """Return the language that a text is really given in: the one asked for, else French, else English.

    `pt-BR` is also looked for as `pt`. With none of them, the first that there is.
    """
    known = list(available)
    for tag in (asked, asked.partition("-")[0], *LANGUAGE_CHAIN):
        if tag in known:
            return tag
    return known[0] if known else asked


def describe(sheet: Sheet, language: Language, style: Style = "full") -> str:
    """Return the description in one style.

    "full" is title, cause and symptoms; "short" the title and the most telling symptom; "symptoms" and "treatment"
    only these. A part that is unknown is left out together with its label.
    """
    title = f"{capitalise(headline(sheet, language))}."
    if style == "symptoms":
        return " ".join(map(_sentence, sheet.symptoms))
    if style == "treatment":
        return " ".join(map(_sentence, sheet.management))
    if style == "short":
        return " ".join([title, *map(_sentence, sheet.symptoms[:1])])
    return " ".join(part for part in (title, _cause(sheet, language), *map(_sentence, sheet.symptoms)) if part)


def variants(sheet: Sheet, language: Language) -> tuple[str, ...]:
    """Return several natural wordings of the same facts, for training; the first is the full description."""
    symptoms = describe(sheet, language, "symptoms")
    texts = [describe(sheet, language), describe(sheet, language, "short")]
    if symptoms:
        texts.append(symptoms)
        if sheet.kind != "healthy":
            texts += _signs_fr(sheet, symptoms) if language == "fr" else _signs_en(sheet, symptoms)
    return tuple(dict.fromkeys(text for text in texts if text))


def _signs_fr(sheet: Sheet, symptoms: str) -> list[str]:
    on_crop = f" sur {crop_with_article_fr(sheet.crop)}" if sheet.crop else ""
    agent = f" ({sheet.agent})" if sheet.agent else ""
    return [
        f"Signes {of_fr(sheet.name)}{on_crop} : {_lower_first(symptoms)}",
        f"{symptoms} Diagnostic{on_crop} : {sheet.name}{agent}.",
        f"{capitalise(on_crop.strip() or 'sur plusieurs cultures')}, {_lower_first(symptoms)} "
        f"C'est le tableau {of_fr(sheet.name)}.",
    ]


def _signs_en(sheet: Sheet, symptoms: str) -> list[str]:
    on_crop = f" on {sheet.crop.name['en']}" if sheet.crop else ""
    agent = f" ({sheet.agent})" if sheet.agent else ""
    return [
        f"Signs of {sheet.name}{on_crop}: {_lower_first(symptoms)}",
        f"{symptoms} Diagnosis{on_crop}: {sheet.name}{agent}.",
        f"{capitalise(on_crop.strip() or 'on several crops')}, {_lower_first(symptoms)} "
        f"That is the picture of {sheet.name}.",
    ]


def headline(sheet: Sheet, language: Language) -> str:
    """Return disease and crop as a title without capital: "mildiou de la tomate", "late blight of tomato"."""
    if sheet.crop is None:
        return sheet.name
    crop_name = sheet.crop.name[language]
    if sheet.kind == "healthy":
        return f"feuille saine {of_fr(crop_name)}" if language == "fr" else f"healthy {crop_name} leaf"
    if set(tokenise(crop_name)) <= set(tokenise(sheet.name)):
        return sheet.name
    return f"{sheet.name} {of_crop_fr(sheet.crop)}" if language == "fr" else f"{sheet.name} of {crop_name}"


def of_fr(noun: str) -> str:
    """Return "de" + noun without article, elided where French elides: "d'Alternaria", "de haricot", "d'oignon"."""
    return f"d'{noun}" if _elides(noun) else f"de {noun}"


def of_crop_fr(crop: Crop) -> str:
    """Return "de" + article + crop: "de la tomate", "du maïs", "de l'oignon", "des agrumes"."""
    name = crop.name["fr"]
    if crop.fr_plural:
        return f"des {name}"
    if _elides(name):
        return f"de l'{name}"
    return f"de la {name}" if crop.fr_gender == "f" else f"du {name}"


def crop_with_article_fr(crop: Crop) -> str:
    """Return article + crop: "la tomate", "le maïs", "l'oignon", "les agrumes"."""
    name = crop.name["fr"]
    if crop.fr_plural:
        return f"les {name}"
    if _elides(name):
        return f"l'{name}"
    return f"la {name}" if crop.fr_gender == "f" else f"le {name}"


def capitalise(text: str) -> str:
    """Return the text with a capital first letter and the rest untouched."""
    return text[:1].upper() + text[1:]


def _cause(sheet: Sheet, language: Language) -> str:
    if not sheet.agent:
        return ""
    if sheet.kind == "complex":
        return f"Causes possibles : {sheet.agent}." if language == "fr" else f"Possible causes: {sheet.agent}."
    kind = _KIND_FR.get(sheet.kind) if language == "fr" else sheet.kind.replace("-", " ")
    cause = f"{sheet.agent} ({kind})" if kind else sheet.agent
    cause = cause if cause.endswith(".") else f"{cause}."
    return f"Cause : {cause}" if language == "fr" else f"Cause: {cause}"


def _elides(noun: str) -> bool:
    plain = unicodedata.normalize("NFKD", noun).encode("ascii", "ignore").decode().lower()
    return plain[:1] in tuple("aeiouh") and not plain.startswith(_ASPIRATED) and not plain.startswith(("oui", "onze"))


def _sentence(text: str) -> str:
    text = capitalise(re.sub(r"\s+", " ", text).strip())
    return text if not text or text[-1] in ".!?…" else f"{text}."


def _lower_first(text: str) -> str:
    first_word = text.split(" ", 1)[0]
    return text if first_word.isupper() and len(first_word) > 1 else text[:1].lower() + text[1:]
