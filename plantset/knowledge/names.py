"""A name as people write it, reduced to what it says: tokens without accents, case, plural or known typos."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache


def word_set(words: str) -> frozenset[str]:
    """Return the words of a text: `word_set("a b")` is `{"a", "b"}`."""
    return frozenset(words.split())


# Spellings seen in public photo sets and in users' folders; each is one word for one word.
KNOWN_TYPOS = {
    "alluim": "allium",
    "antracnose": "anthracnose",
    "anthrachnose": "anthracnose",
    "bligth": "blight",
    "blightd": "blight",
    "cassave": "cassava",
    "citrous": "citrus",
    "grasshoper": "grasshopper",
    "gumosis": "gummosis",
    "haunglongbing": "huanglongbing",
    "huanglonbing": "huanglongbing",
    "longhuangbing": "huanglongbing",
    "mildiew": "mildew",
    "mildue": "mildew",
    "mosiac": "mosaic",
    "northen": "northern",
    "nothern": "northern",
    "phytoptora": "phytophthora",
    "phytophtora": "phytophthora",
    "powdary": "powdery",
    "powdry": "powdery",
    "scooty": "sooty",
    "soot": "sooty",
    "sigotoka": "sigatoka",
    "soyabean": "soybean",
    "terticulium": "verticillium",
    "verticulium": "verticillium",
    "verticilium": "verticillium",
    "whitefiles": "whitefly",
}
SPELLINGS = {
    "deficience": "carence",
    "deficient": "deficiency",
    "deficit": "carence",
    "lack": "deficiency",
    "manque": "carence",
    "grey": "gray",
    "leave": "leaf",
    "mould": "mold",
    "moulds": "mold",
    "moldy": "mold",
    "colour": "color",
}
_STOP_WORDS = word_set(
    "a an and au aux by chez dans de des du en et for in la le les of on or ou par sur the to un une with"
)
_SICK_WORDS = word_set("diseased affected infected sick infecte infectee atteint atteinte malade")
# What folders of photo sets add to a name; it says nothing of the plant.
_DATASET_WORDS = word_set(
    "class classe dataset image img photo picture sample augmented augmentation aug original raw resized segmented "
    "cropped copy copie folder dossier train test val roboflow kaggle plantvillage plantdoc"
)
_DAMAGE_WORDS = word_set("disease malady symptom symptome damage degat attack attaque race")
_NOISE_WORDS = _DAMAGE_WORDS | (_SICK_WORDS - {"malade", "sick"}) | _DATASET_WORDS
# Machine translations whose first word names another disease ("mildiou" alone is no powdery mildew), as tokens.
_MISTRANSLATIONS = {
    ("mildiou", "duveteu"): ("downy", "mildew"),
    ("mildiou", "laineu"): ("downy", "mildew"),
    ("mildiou", "poudreu"): ("powdery", "mildew"),
    ("mildiou", "poudre"): ("powdery", "mildew"),
}
# "un" is an article in French, and stripped as one.
_PARTED_NEGATION = re.compile(r"\bun[\s_-]+health")
_TEA = re.compile(r"\bthés?\b", re.IGNORECASE)  # without its accent it would be an English article
_VERSION = re.compile(r"v\d+")
FILLER_WORDS = word_set(
    "leaf feuille foliar foliaire foliage feuillage plant plante crop culture fungus fungal champignon fongique"
)
HEALTHY_WORDS = word_set("healthy health sain saine normal normale")

_PARTS = re.compile(r"\s*(?:\||_{2,}|\s{2,}|/|\\|:|;|>|\s[-–—]\s)\s*")
_PARENTHESIS = re.compile(r"\(([^()]*)\)?")


def split_parts(label: str) -> list[str]:
    """Cut a label where people separate crop from disease: `Tomato___Late_blight`, `tomato|late_blight`."""
    return [part for part in _PARTS.split(label.strip()) if part]


def split_parentheses(label: str) -> tuple[str, list[str]]:
    """Return what stands outside parentheses and the list of what stands inside, one level, closed or cut off."""
    inner = [text.strip() for text in _PARENTHESIS.findall(label) if text.strip()]
    return _PARENTHESIS.sub(" ", label).strip(" )"), inner


@lru_cache(maxsize=65536)
def tokenise(name: str) -> tuple[str, ...]:
    """Return the words that carry the name's meaning, in order.

    `tokenise("Mildiou de la Tomate")` is `("mildiou", "tomate")`; articles, digits, the word "disease", accents,
    case, plural marks and known misspellings are gone. A name in another script gives no token.
    """
    text = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name)
    text = text.replace("œ", "oe").replace("Œ", "oe").replace("’", "'")
    text = _TEA.sub("tea", unicodedata.normalize("NFC", text))
    text = unicodedata.normalize("NFKD", text)
    text = "".join(character for character in text if not unicodedata.combining(character)).casefold()
    text = re.sub(r"\b[dl]'|'s\b", " ", text)
    words = [word for word in re.findall(r"[a-z0-9]+", text) if not word.isdigit()]
    tokens = [_token(word) for word in words if word not in _STOP_WORDS]
    meaningful = [token for token in tokens if token not in _NOISE_WORDS and not _VERSION.fullmatch(token)]
    return _mend_translation(meaningful or tokens)


def says_sick(label: str) -> bool:
    """Return whether a label speaks of sick plants without a disease's name: "healthy and infected" is not healthy."""
    text = unicodedata.normalize("NFKD", label)
    letters = "".join(character for character in text if not unicodedata.combining(character)).casefold()
    if _PARTED_NEGATION.search(letters):
        return True
    return any(_singular(word) in _SICK_WORDS for word in re.findall(r"[a-z]+", letters))


def bag_key(tokens: Sequence[str]) -> str:
    """Return the key under which two orders of the same words meet."""
    return " ".join(sorted(tokens))


def squashed_key(tokens: Sequence[str]) -> str:
    """Return the key under which "black spot" and "blackspot" meet."""
    return "=" + "".join(tokens)


def _mend_translation(tokens: Sequence[str]) -> tuple[str, ...]:
    for at in range(len(tokens) - 1):
        meant = _MISTRANSLATIONS.get((tokens[at], tokens[at + 1]))
        if meant:
            return (*tokens[:at], *meant, *tokens[at + 2 :])
    return tuple(tokens)


def _token(word: str) -> str:
    word = KNOWN_TYPOS.get(word, word)
    singular = _singular(word)
    if singular.endswith("ie") and len(singular) > 4:
        singular = singular[:-2] + "y"
    return KNOWN_TYPOS.get(singular, SPELLINGS.get(singular, singular))


def _singular(word: str) -> str:
    if word == "leaves":
        return "leaf"
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith(("s", "x")):
        return word
    if word.endswith("ies") and len(word) >= 5:
        return word[:-3] + "y"  # French plurals in -ies too; their singular in -ie meets them below
    if word.endswith("uses"):
        return word[:-2]
    if word.endswith("oes"):
        return word[:-2]
    if word.endswith("x"):
        return word[:-1] if word.endswith(("aux", "eux")) else word
    return word[:-1]
