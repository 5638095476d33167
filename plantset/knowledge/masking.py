"""Names must not stand in notes: which words give a class away, and how they are taken out of a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

from plantset.knowledge.names import tokenise, word_set
from plantset.knowledge.schema import Catalogue, Disease

MASK = "[...]"

# Words of names that are also plain descriptions of what anybody sees; alone they name nothing.
_PLAIN_WORDS = word_set(
    "leaf leaves spot spots black brown yellow red gray grey white green purple orange pink silver late early "
    "common northern southern north sud nord angular round target dead dry wet healthy disease virus virose root "
    "stem crown fruit bud end blossom top tip cutting die back water light stress extreme temperature "
    "temperatures deficiency carence toxicity toxicite excess manque exces streak stripe curl bunchy big false "
    "striped spotted western feuille feuilles tache taches noire noires brune brunes jaune jaunes rouge rouges "
    "grise grises blanche blanches verte pourpre tardive tardif precoce commune foliaire foliaires racine racines "
    "collet tige tiges apicale morte seche maladie plante plantes semis hydrique lumineux thermique eau sel "
    "soleil chaleur froid damage heat cold frost gel enroulement dessechement jaunissement points point insecte "
    "beetle bug worm worms fly mosaic mottle wilt rot scorch mold mould pourriture fletrissement fletrissure "
    "mosaique marbrure striure stries strie raies sain saine sante bonne normal normale health on of vegetable "
    "vegetables legumes and symptom debutante debut stage coup brulure scald lumiere light plant tree trees "
    "feuillage nervure dot eye oeil cible target"
)
# Words that without their accents are words of every sentence: "thé" is not "the", "maïs" is not "mais".
_ACCENT_COUNTS = frozenset({"the", "mais"})
# Names that without their accents are words of every sentence: "thé" is not "the", "maïs" is not "mais".
_ACCENT_COUNTS = frozenset({"the", "mais"})
_LINKS = r"[\W_]*(?:(?:de|du|des|la|le|les|l|d|of|the|et|and|a)[\W_]+)*"
_MIN_FUZZY_LENGTH = 7


def disease_mask_terms(disease: Disease, catalogue: Catalogue) -> tuple[str, ...]:
    """Return every name that gives this identity away, both languages: its own, its agents' and its crop's."""
    names = [*disease.name.values(), *disease.also, *disease.alone]
    crop = catalogue.crop_of(disease)
    if crop:
        names += [*crop.name.values(), crop.scientific, *crop.also]
    for agent in disease.agents:
        names += _agent_names(agent)
    return mask_terms(names)


def mask_terms(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names and those of their words that are no plain description, sorted, longest first."""
    terms: dict[str, None] = {}
    for name in names:
        folded = " ".join(re.findall(r"[a-z0-9]+", fold(name)))
        words = folded.split()
        if len(words) > 1 or (len(folded) > 1 and folded not in _PLAIN_WORDS):
            terms[name.lower()] = None
        for word in words:
            if len(word) >= 4 and word not in _PLAIN_WORDS | _ACCENT_COUNTS and not set(tokenise(word)) <= _PLAIN_WORDS:
                terms[word] = None
    return tuple(sorted(terms, key=lambda term: (-len(term), term)))


def without_crop_names(terms: Iterable[str], catalogue: Catalogue) -> tuple[str, ...]:
    """Return the terms that are no name of a crop: for notes that may say the crop, never the disease."""
    names = [name for crop in catalogue.crops.values() for name in (*crop.name.values(), *crop.also, crop.scientific)]
    crop_terms = {fold(term) for term in mask_terms(names)}
    return tuple(term for term in terms if fold(term) not in crop_terms)


def mask_note(note: str, mask_terms: Sequence[str]) -> tuple[str, bool]:
    """Replace each of the terms in the note by `[...]`, whatever their case, accents, plural or small misspelling.

    Returns:
        The masked note, and whether anything was masked.
    """
    if not mask_terms:
        return note, False
    pattern, accented, long_words = _compiled(tuple(mask_terms))
    note = unicodedata.normalize("NFC", note)
    folded = fold(note)
    spans = [match.span() for match in pattern.finditer(folded)]
    spans += [match.span() for match in accented.finditer(note)]
    for match in re.finditer(r"[a-z]+", folded):
        word = match.group()
        if len(word) >= _MIN_FUZZY_LENGTH and process.extractOne(word, long_words, scorer=OSA.distance, score_cutoff=1):
            spans.append(match.span())
    if not spans:
        return note, False
    return _replace(note, spans), True


def _replace(note: str, spans: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start >= end:
            parts += [note[end:start], MASK]
        end = max(end, stop)
    return "".join([*parts, note[end:]])


@lru_cache(maxsize=4096)
def _compiled(terms: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str], tuple[str, ...]]:
    """Return what finds the terms in folded text, what finds those whose accents count, and words to find misspelt."""
    bodies: dict[str, None] = {}
    accented: dict[str, None] = {}
    long_words: dict[str, None] = {}
    for term in sorted(terms, key=len, reverse=True):
        words = re.findall(r"[a-z0-9]+", fold(term))
        if len(words) == 1 and words[0] in _ACCENT_COUNTS:
            accented[re.escape(unicodedata.normalize("NFC", term))] = None
            continue
        if words:
            bodies[_LINKS.join(f"{word}(?:es|s|x|e)?" for word in words)] = None
        if len(words) == 1 and len(words[0]) >= _MIN_FUZZY_LENGTH:
            long_words[words[0]] = None
    return (
        re.compile(rf"(?<![a-z0-9])(?:{'|'.join(bodies) or '(?!)'})(?![a-z0-9])"),
        re.compile(rf"(?<!\w)(?:{'|'.join(accented) or '(?!)'})(?!\w)", re.IGNORECASE),
        tuple(long_words),
    )


def _agent_names(agent: str) -> list[str]:
    words = agent.replace("spp.", "").split()
    names = [" ".join(words), words[0]]
    if len(words) >= 2:
        names.append(f"{words[0][0]}. {words[1]}")
    return names


def fold(text: str) -> str:
    """Return the text in lower case without accents, letter for letter, so that positions stay the same."""
    return "".join(_fold_character(character) for character in text)


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    base = unicodedata.normalize("NFD", character)[0].lower()
    return base if len(base) == 1 else character
