"""The catalogue's names, turned round: from the words of a name to the identities that bear it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from plantset.knowledge.agents import AgentIndex
from plantset.knowledge.names import FILLER_WORDS, HEALTHY_WORDS, bag_key, squashed_key, tokenise, word_set
from plantset.knowledge.schema import ANY_CROP, Catalogue, Disease

# Common words of names that no entry may bear; a word that stands here is never "mended" into another.
_COMMON_WORDS = word_set(
    "foot fruit pod stem root shoot flower bud cob ear tuber bulb nut berry twig bark boll dry wet soft hard "
    "white green blue pink orange silver smut bunt ergot scald stripe stripes streaks ring rings unhealthy "
    "nonhealthy malsain collar stalk sheath kernel bean wheat barley rice oat pea beet yam taro okra lettuce fine "
    "fire bright light frost crust trust moth worm larva egg "
    # other plants: a plant's name is never mended into another's
    "alfalfa almond apricot asparagus avocado barley basil beetroot blackberry broccoli cabbage carrot cassia celery "
    "chickpea chicory clove clover coconut cowpea cranberry currant date fennel fig finger garlic ginger gooseberry "
    "guava hazelnut jasmine jute kiwi leek lemon lentil lime litchi lupin lychee mandarin maple melon mint mulberry "
    "mustard olive papaya parsley parsnip pear pecan persimmon petunia pistachio plum pomegranate poplar quinoa radish "
    "rapeseed rose rye sesame sorghum spinach sunflower tobacco tulip turmeric turnip vanilla walnut zucchini "
    "abricotier ail avocatier carotte celeri chou cocotier goyavier laitue lentille melon navet niebe noyer olivier "
    "palmier papayer persil poireau poirier pois prunier radis rosier sorgho tabac tournesol"
)
# Names that a catalogue may list for one crop only, and that growers of others use too: never believed without a crop.
_NEEDS_CROP = (
    "bacterial spot",
    "bacterial blight",
    "bacterial canker",
    "bacterial wilt",
    "bacterial leaf spot",
    "black rot",
    "black spot",
    "brown rust",
    "brown spot",
    "cercospora leaf spot gray leaf spot",
    "common rust",
    "downy mildew",
    "gray leaf spot",
    "leaf blight",
    "leaf curl",
    "leaf rust",
    "leaf scorch",
    "leaf spot",
    "mosaic",
    "mosaic virus",
    "northern leaf blight",
    "scab",
    "southern blight",
    "stem rot",
    "streak virus",
    "white rust",
)
_MIN_INITIALS = 3


class NameIndex:
    """Every name of every identity under its bag-of-words key and its squashed key.

    Attributes:
        vocabulary: all words of all names; a word in it is taken at its word, never mended.
        agents: the scientific names.
        slugs: (crop, words of the id after "--") -> identities.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._crop_phrases: dict[tuple[str, ...], set[str]] = defaultdict(set)
        self._longest_crop_phrase = 1
        self._own: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._alone: dict[str, set[str]] = defaultdict(set)
        self._everywhere: dict[str, set[str]] = {}
        self._initials: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.agents = AgentIndex()
        self.slugs: dict[tuple[str, tuple[str, ...]], set[str]] = defaultdict(set)
        self._sequences: dict[tuple[str, str], list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        self._bearers: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.vocabulary: set[str] = set(FILLER_WORDS | HEALTHY_WORDS | set(_COMMON_WORDS))
        for crop in catalogue.crops.values():
            self._add_crop(crop.crop_id, (crop.crop_id, *crop.name.values(), crop.scientific, *crop.also))
        for disease in catalogue.diseases.values():
            self._add_disease(disease)
        for names in self._own.values():
            for key, ids in names.items():
                self._everywhere.setdefault(key, set()).update(ids)

    def own(self, crop_id: str, tokens: Sequence[str]) -> set[str]:
        """Return the identities of that crop (or of `any`) that bear exactly this name."""
        names = self._own.get(crop_id, {})
        return names.get(bag_key(tokens)) or names.get(squashed_key(tokens)) or set()

    def shares_word(self, crop_id: str, word: str) -> bool:
        """Return whether several identities of a crop have this word in a name: "rust" where there are two rusts."""
        return len(self._bearers.get((crop_id, word), ())) > 1

    def names_like(self, crop_id: str, tokens: Sequence[str]) -> list[tuple[tuple[str, ...], str]]:
        """Return (words, identity) of the names of a crop whose first word may be that of the tokens."""
        first = tokens[0] if tokens else ""
        return self._sequences.get((crop_id, first if len(tokens) > 1 else first[:1]), [])

    def alone(self, tokens: Sequence[str]) -> set[str]:
        """Return the identities that this name means although no crop is named."""
        return self._alone.get(bag_key(tokens)) or self._alone.get(squashed_key(tokens)) or set()

    def everywhere(self, tokens: Sequence[str]) -> set[str]:
        """Return the identities of all crops that bear this name once their crop is known."""
        return self._everywhere.get(bag_key(tokens)) or self._everywhere.get(squashed_key(tokens)) or set()

    def abbreviated(self, crop_id: str, initials: str) -> set[str]:
        """Return the identities of that crop (or of `any`) with a name of these initials: GLS, gray leaf spot."""
        return self._initials.get(crop_id, {}).get(initials, set())

    def crops_in(self, tokens: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield (crop, the tokens that are left) for each crop named among the tokens, longest names first."""
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        at = 0
        while at < len(tokens):
            width = self._crop_width(tokens, at)
            for crop_id in self._crop_phrases.get(tuple(tokens[at : at + width]), ()) if width else ():
                found[crop_id].append((at, width))
            at += max(width, 1)
        for crop_id, places in found.items():
            first_start, first_width = places[0]
            yield crop_id, (*tokens[:first_start], *tokens[first_start + first_width :])
            if len(places) > 1:
                taken = {index for start, width in places for index in range(start, start + width)}
                yield crop_id, tuple(token for index, token in enumerate(tokens) if index not in taken)

    def whole_crop(self, tokens: Sequence[str]) -> set[str]:
        """Return the crops that the tokens name and nothing else."""
        return set(self._crop_phrases.get(tuple(tokens), ()))

    def _crop_width(self, tokens: Sequence[str], at: int) -> int:
        for width in range(min(self._longest_crop_phrase, len(tokens) - at), 0, -1):
            if tuple(tokens[at : at + width]) in self._crop_phrases:
                return width
        return 0

    def _add_crop(self, crop_id: str, names: Iterable[str]) -> None:
        for name in names:
            tokens = tokenise(name)
            if set(tokens) - FILLER_WORDS:
                self._crop_phrases[tokens].add(crop_id)
                self._longest_crop_phrase = max(self._longest_crop_phrase, len(tokens))
                self.vocabulary.update(tokens)

    def _add_disease(self, disease: Disease) -> None:
        self.slugs[(disease.crop_id, tokenise(disease.disease_id.partition("--")[2]))].add(disease.disease_id)
        known_with_crop = (*disease.name.values(), *disease.also, *disease.alone)
        for name in known_with_crop:
            self._add_name(self._own[disease.crop_id], name, disease.disease_id)
            tokens = tokenise(name)
            self.vocabulary.update(tokens)
            if tokens:
                for first in {tokens[0], tokens[0][0]}:  # the whole word, and its letter where it may be cut off
                    self._sequences[(disease.crop_id, first)].append((tokens, disease.disease_id))
            for token in tokens:
                self._bearers[(disease.crop_id, token)].add(disease.disease_id)
            self._add_initials(disease, tokens)
        known_alone = known_with_crop if disease.crop_id == ANY_CROP else disease.alone
        if disease.agent.endswith(" virus") and disease.kind == "virus":
            known_alone = (*known_alone, disease.agent)  # a virus is called by its name, not by genus and species
        needs_crop = {bag_key(tokenise(name)) for name in _NEEDS_CROP}
        for name in known_alone:
            if disease.crop_id != ANY_CROP and bag_key(tokenise(name)) in needs_crop:
                continue
            self._add_name(self._alone, name, disease.disease_id)
        for agent in disease.agents:
            self._add_agent(agent, disease.disease_id)

    def _add_agent(self, agent: str, disease_id: str) -> None:
        self.vocabulary.update(token for token in tokenise(agent) if len(token) > 3)
        self.agents.add(agent, disease_id)

    def _add_initials(self, disease: Disease, tokens: Sequence[str]) -> None:
        crop = self._catalogue.crop_of(disease)
        crop_words = tokenise(crop.name["en"]) if crop else ()
        for words in (tokens, (*crop_words, *tokens)):
            if len(words) >= _MIN_INITIALS:
                self._initials[disease.crop_id]["".join(word[0] for word in words)].add(disease.disease_id)

    @staticmethod
    def _add_name(index: dict[str, set[str]], name: str, disease_id: str) -> None:
        tokens = tokenise(name)
        if tokens:
            index[bag_key(tokens)].add(disease_id)
            index[squashed_key(tokens)].add(disease_id)
