"""Find the identity that a label means, or refuse: a pure function of the label and, where known, its crop.

A label is read as crop + disease + agent. Rules are tried from the surest to the weakest and the first that finds
exactly one identity wins: the whole name, the agent, a mended spelling, a name cut short. Words that only head a name
("blight", "spot") never suffice, a word that the catalogue knows is never mended into another, and the crops must
agree. What is refused carries its nearest candidates for a person to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from plantset.knowledge.agents import agent_tokens
from plantset.knowledge.candidates import CandidateIndex
from plantset.knowledge.name_index import NameIndex
from plantset.knowledge.names import (
    FILLER_WORDS,
    HEALTHY_WORDS,
    says_sick,
    split_parentheses,
    tokenise,
    word_set,
)
from plantset.knowledge.reading import Reader, Reading
from plantset.knowledge.schema import ANY_CROP, HEALTHY, Catalogue
from plantset.knowledge.spelling import Speller

# Words that head many names: beside an agent's scientific name they add nothing and contradict nothing.
_HEAD_WORDS = word_set(
    "spot blight rot rust wilt mildew mold virus fungus bacteria tache pourriture rouille champignon brulure"
)
# What follows names the insect that carries the agent, not the agent.
_CARRIER = re.compile(r"\b(?:transmi|vecteur|vector|v[ée]hicul|carried|spread|propag)", re.IGNORECASE)
_OMITTED_WORDS = word_set("virus")  # what people leave off a name; "yellow leaf" is no "yellow leaf curl"
_INITIALS = re.compile(r"[a-z]{3,5}")
_MAX_SYMBOL_LENGTH = 2  # "Cu" at the end of a cut name is a piece of a word, though it is known as a symbol
_MIN_TRUNCATED_RATIO = 0.6
_MIN_TRUNCATED_LENGTH = 8  # without a crop; shorter starts fit too much


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """What a label was found to mean.

    Attributes:
        disease_id: the identity, or None where the label was refused.
        how: the rule that found it ("exact", "symbol", "agent", "typo", "truncated",
            "abbreviation"), or why it was refused
            ("ambiguous", "no-crop", "crop-mismatch", "agent-conflict", "healthy-without-crop", "unknown";
            "embedding" is unknown too, with candidates by meaning).
        score: certainty in 0..1; 0 for a refusal.
        candidates: (identity, likeness in 0..1), nearest first; empty when found.
        crop_id: the crop that the label or its context names, if it names one.
    """

    label: str
    disease_id: str | None
    how: str
    score: float
    candidates: tuple[tuple[str, float], ...] = ()
    crop_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    disease_id: str
    how: str
    score: float


class Matcher:
    """Match labels against one catalogue; each distinct label is worked out once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._index = NameIndex(catalogue)
        self._known: dict[tuple[str, str | None], LabelMatch] = {}
        self._speller = Speller(self._index.vocabulary)
        self._reader = Reader(self._index)
        self._candidates = CandidateIndex(catalogue)

    def find_crop(self, name: str) -> str | None:
        """Return the one crop that the name means ("Corn_(maize)", "pepper_bell", "caféier"), or None."""
        crops = self._index.whole_crop(tokenise(name))
        return next(iter(crops)) if len(crops) == 1 else None

    def match(self, label: str, crop_id: str | None = None) -> LabelMatch:
        """Return what the label means.

        Args:
            label: as a folder, a table or a person names it.
            crop_id: the crop, for a label that names none itself.
        """
        key = (label, crop_id)
        if key not in self._known:
            self._known[key] = self._match(label, crop_id)
        return self._known[key]

    def match_entry(self, name: str, crop_id: str | None, agent: str) -> LabelMatch:
        """Return what an entry of a user's file means; its agent decides where the name alone does not, or contradicts.

        An agent that belongs to another disease than the name makes the entry's identity uncertain: refused.
        """
        by_name = self.match(name, crop_id)
        agent_words = tokenise(self._index.agents.plain(_CARRIER.split(agent)[0]))
        if by_name.disease_id is not None:
            if self._agent_agrees(by_name.disease_id, agent_words):
                return by_name
            return LabelMatch(
                name, None, "agent-conflict", 0.0, ((by_name.disease_id, by_name.score),), by_name.crop_id
            )
        ids = self._index.agents.identities(agent_words, by_name.crop_id is not None)
        found = self._by_agent(ids, by_name.crop_id)
        if found and (by_name.crop_id or found.startswith(ANY_CROP)) and by_name.how != "crop-mismatch":
            return LabelMatch(name, found, "agent", 0.9, (), by_name.crop_id)
        return by_name

    def _match(self, label: str, context: str | None) -> LabelMatch:
        symbol = self._catalogue.symbols.get(label.strip())
        if symbol:
            return LabelMatch(label, symbol, "symbol", 0.9, (), context)
        plain = self._index.agents.plain(label)
        reading = self._reader.read(plain, context)
        outside, inside = split_parentheses(plain)
        agent_conflict = False
        found = self._find(reading)
        if found is None and inside:
            found = self._find(self._reader.read(outside, context))
            if found and not self._inside_agrees(found, inside, self._reader.crop(reading)):
                found, agent_conflict = None, True
        if found is None and not agent_conflict:
            found = self._find_by_agent(reading, tokenise(outside))
            if found and inside and not self._inside_agrees(found, inside, self._reader.crop(reading)):
                found, agent_conflict = None, True
        if found is None and not agent_conflict:
            found = self._find_beside_agent(plain, context)
        crop_id = self._reader.crop(reading)
        if found and found.disease_id.endswith(f"--{HEALTHY}") and says_sick(label):
            found = None
        if found:
            return LabelMatch(label, self._on_crop(found.disease_id, crop_id), found.how, found.score, (), crop_id)
        why = "agent-conflict" if agent_conflict else self._why_refused(reading)
        bearers = self._index.everywhere(reading.body)
        return LabelMatch(
            label, None, why, 0.0, self._candidates.nearest(reading.everything, crop_id, bearers), crop_id
        )

    # From a reading to an identity

    def _find(self, reading: Reading) -> _Found | None:
        crop_id = self._reader.crop(reading)
        if crop_id and set(reading.body) - FILLER_WORDS and set(reading.body) <= FILLER_WORDS | HEALTHY_WORDS:
            healthy = f"{crop_id}--{HEALTHY}"
            return _Found(healthy, "exact", 1.0) if healthy in self._catalogue.diseases else None
        for tokens in _with_and_without_filler(reading.body):
            found = self._settle(self._exact(tokens, reading), "exact", 1.0)
            if found:
                return found
        return self._find_mended(reading) or self._find_truncated(reading) or self._find_abbreviated(reading)

    def _exact(self, tokens: tuple[str, ...], reading: Reading) -> set[str]:
        """Return the identities that bear this name, given the crops of the reading or those among the tokens."""
        if reading.crops:
            ids: set[str] = set()
            for crop_id in reading.crops:
                ids |= self._named(crop_id, tokens) or self._named_after_crop(tokens, crop_id)
                if not ids:
                    ids |= self._holding(self._alone(reading.everything), crop_id)
                if not ids:
                    ids |= self._holding(self._named_with_crop(crop_id, tokens), crop_id)
            return ids
        return self._alone(tokens) or self._named_after_crop(tokens, None)

    def _alone(self, tokens: tuple[str, ...]) -> set[str]:
        """Return what a name means without a crop beside it, unless it is a crop and a word that heads several names.

        "Potato blight" is said of the late blight, and of the early one.
        """
        for crop_id, rest in self._index.crops_in(tokens):
            if len(rest) == 1 and rest[0] in _HEAD_WORDS and self._index.shares_word(crop_id, rest[0]):
                return set()
        return self._not_of_genus(tokens, self._index.alone(tokens), None)

    def _not_of_genus(self, tokens: tuple[str, ...], ids: set[str], crop_id: str | None) -> set[str]:
        """Take back what a lone genus seems to name, where its species cause several diseases or one of the crop's."""
        if len(tokens) != 1 or not ids:
            return ids
        caused = self._index.agents.of_genus(tokens[0]) - ids
        prefix = f"{crop_id or ANY_CROP}--"
        return set() if any(other.startswith(prefix) for other in caused) else ids

    def _named_after_crop(self, tokens: tuple[str, ...], only_crop: str | None) -> set[str]:
        """Read "tomato tomato mosaic virus", "mildiou tomate": the crop is among the words."""
        for crop_id, rest in self._index.crops_in(tokens):
            if only_crop in (None, crop_id):
                for name in _with_and_without_filler(rest):
                    ids = self._named(crop_id, name) if name else set()
                    if ids:
                        return ids
        return set()

    def _named_with_crop(self, crop_id: str, tokens: tuple[str, ...]) -> set[str]:
        """Read "mosaic virus" in a folder of cucumber: the cause is named after the crop."""
        crop = self._catalogue.crops.get(crop_id)
        names = crop.name.values() if crop else ()
        return set().union(*(self._alone((*tokenise(name), *tokens)) for name in names))

    def _named(self, crop_id: str, tokens: tuple[str, ...]) -> set[str]:
        own = self._index.own(crop_id, tokens)
        if own and len(tokens) == 1 and tokens[0] in _HEAD_WORDS and self._index.shares_word(crop_id, tokens[0]):
            own = {found for found in own if self._is_called(found, tokens)}
        return own or self._not_of_genus(tokens, self._holding(self._index.own(ANY_CROP, tokens), crop_id), crop_id)

    def _is_called(self, disease_id: str, tokens: tuple[str, ...]) -> bool:
        """Return whether this is the identity's very name, not one of its by-names."""
        return any(tokenise(name) == tokens for name in self._catalogue.diseases[disease_id].name.values())

    def _holding(self, ids: set[str], crop_id: str) -> set[str]:
        return {disease_id for disease_id in ids if self._catalogue.diseases[disease_id].holds_for(crop_id)}

    def _settle(self, ids: set[str], how: str, score: float) -> _Found | None:
        """Return the one identity meant; of several, the one `any--…` among them that is no mixed class, else none."""
        ids = self._unmixed(ids)
        if len(ids) > 1:
            ids = {disease_id for disease_id in ids if disease_id.startswith(f"{ANY_CROP}--")}
        return _Found(next(iter(ids)), how, score) if len(ids) == 1 else None

    def _unmixed(self, ids: set[str]) -> set[str]:
        """Of a mixed class and the disease itself ("leaf blight", northern leaf blight), return the latter."""
        return {found for found in ids if self._catalogue.diseases[found].kind != "complex"} or ids

    def _on_crop(self, disease_id: str, crop_id: str | None) -> str:
        """Return the crop's own identity of the same name where the catalogue has one, for an `any--…` identity."""
        crop, _, slug = disease_id.partition("--")
        if crop != ANY_CROP or crop_id is None:
            return disease_id
        return next(iter(self._index.slugs.get((crop_id, tokenise(slug)), ())), disease_id)

    # Misspelt and cut-off names

    def _find_mended(self, reading: Reading) -> _Found | None:
        best: dict[str, int] = {}
        for spelling, distance in self._speller.spellings(reading.everything):
            mended = self._reader.read(" ".join(spelling), None)
            crops = reading.crops or mended.crops
            body = spelling[len(reading.everything) - len(reading.body) :] if reading.crops else spelling
            for tokens in _with_and_without_filler(body):
                for disease_id in self._exact(tokens, Reading(crops, body, spelling)):
                    best[disease_id] = min(distance, best.get(disease_id, distance))
        nearest = min(best.values(), default=0)
        return self._settle({found for found, far in best.items() if far == nearest}, "typo", 1.0 - 0.1 * nearest)

    def _find_truncated(self, reading: Reading) -> _Found | None:
        """Find a name that goes on where the label stops; the label must hold most of it and fit one identity."""
        if reading.crops:
            readings = [(crop_id, reading.body) for crop_id in reading.crops]
        else:
            readings = [*self._index.crops_in(reading.body), (ANY_CROP, reading.body)]
        ratios: dict[str, float] = {}
        for crop_id, tokens in readings:
            for name, disease_id in self._index.names_like(crop_id, tokens):
                if self._continues(tokens, name):
                    ratio = len("".join(tokens)) / len("".join(name))
                    ratios[disease_id] = max(ratio, ratios.get(disease_id, 0.0))
        named = reading.crops or self._reader.crop(reading)
        if len(ratios) != 1 or (not named and len("".join(reading.body)) < _MIN_TRUNCATED_LENGTH):
            return None
        (disease_id, ratio), *_ = ratios.items()
        return _Found(disease_id, "truncated", round(ratio, 3)) if ratio >= _MIN_TRUNCATED_RATIO else None

    def _continues(self, tokens: tuple[str, ...], name: tuple[str, ...]) -> bool:
        """Return whether `name` starts with the tokens, the last one cut, or lacks only what people leave off."""
        if not tokens or len(tokens) > len(name) or tokens == name or tokens[:-1] != name[: len(tokens) - 1]:
            return False
        last, whole = tokens[-1], name[len(tokens) - 1]
        if last == whole:
            return set(name[len(tokens) :]) <= _OMITTED_WORDS
        return whole.startswith(last) and (len(last) <= _MAX_SYMBOL_LENGTH or last not in self._index.vocabulary)

    def _find_abbreviated(self, reading: Reading) -> _Found | None:
        """Find the one name of a crop with these initials ("maize GLS"); a word of any name is no abbreviation."""
        if reading.crops:
            readings = [(crop_id, reading.body) for crop_id in reading.crops]
        else:
            readings = list(self._index.crops_in(reading.body))
        ids: set[str] = set()
        for crop_id, tokens in readings:
            if len(tokens) == 1 and _INITIALS.fullmatch(tokens[0]) and tokens[0] not in self._index.vocabulary:
                own = self._index.abbreviated(crop_id, tokens[0])
                ids |= own or self._holding(self._index.abbreviated(ANY_CROP, tokens[0]), crop_id)
        return _Found(next(iter(ids)), "abbreviation", 0.85) if len(ids) == 1 else None

    # Agents

    def _find_by_agent(self, reading: Reading, outside: tuple[str, ...]) -> _Found | None:
        agents = self._index.agents.find(reading.everything)
        if not agents:
            return None
        ids = self._index.agents.identities(reading.everything, self._reader.crop(reading) is not None)
        agent_words = {word for name in agents for word in reading.everything[name.at : name.end]}
        crop_words = {word for crop_id, rest in self._index.crops_in(outside) for word in set(outside) - set(rest)}
        left = set(outside) - agent_words - crop_words - FILLER_WORDS - _HEAD_WORDS
        name = tuple(token for token in outside if token not in agent_words | crop_words)
        agreed = not left or bool(ids & self._index.everywhere(name))
        found = self._by_agent(ids, self._reader.crop(reading)) if agreed else None
        return _Found(found, "agent", 0.95) if found else None

    def _find_beside_agent(self, label: str, context: str | None) -> _Found | None:
        """Read "Early blight - Alternaria solani": the name without the agent, if the agent does not contradict it."""
        rest = self._index.agents.without_agents(label)
        found = self._find(self._reader.read(rest, context)) if rest != label else None
        return found if found and self._agent_agrees(found.disease_id, tokenise(label)) else None

    def _by_agent(self, ids: set[str], crop_id: str | None) -> str | None:
        """Return the identity of an agent: on a named crop its own, else what holds for all, else a sole one."""
        if crop_id:
            own = {found for found in ids if self._catalogue.diseases[found].crop_id == crop_id}
            ids = own or self._holding(ids, crop_id)
        ids = self._unmixed(ids)
        shared = {found for found in ids if found.startswith(f"{ANY_CROP}--")}
        if len(ids) > 1 and len(shared) == 1:
            return next(iter(shared))
        if len(ids) != 1:
            return None
        only = next(iter(ids))
        specific = crop_id or shared or self._catalogue.diseases[only].alone
        return only if specific else None

    def _inside_agrees(self, found: _Found, inside: Sequence[str], crop_id: str | None) -> bool:
        """Return whether what stands in parentheses says the same disease as what stands outside."""
        agent_named = False
        for text in inside:
            tokens = tokenise(text)
            if not tokens:
                continue
            same = self._find(self._reader.read(text, crop_id))
            if same or any(self._index.agents.genus_species(token) is not None for token in tokens):
                agrees = same is not None and same.disease_id.split("--")[1] == found.disease_id.split("--")[1]
                agrees |= found.disease_id in self._index.everywhere(tokens)
                if not agrees and (same or not self._agent_agrees(found.disease_id, tokens)):
                    return False
                agent_named = True  # the authors of its name may follow, in parentheses of their own
                continue
            unheard = not agent_named and found.disease_id not in self._index.everywhere(tokens)
            if unheard and (crop_id is None or any(token in self._index.vocabulary for token in tokens)):
                return False
        return True

    def _agent_agrees(self, disease_id: str, tokens: Sequence[str]) -> bool:
        """Return whether no scientific name among the tokens belongs to another disease."""
        disease = self._catalogue.diseases[disease_id]
        agents = [agent_tokens(agent) for agent in disease.agents]
        for at, token in enumerate(tokens):
            viral = disease.kind in ("virus", "complex") and token.endswith("virus")
            if viral or self._index.agents.genus_species(token) is None:
                continue
            same_genus = [agent for agent in agents if agent[0] == token]
            species = tokens[at + 1] if at + 1 < len(tokens) else "spp"
            return bool(same_genus) and self._species_agrees(disease_id, same_genus, token, species)
        return True

    def _species_agrees(self, disease_id: str, same_genus: Sequence[tuple[str, ...]], genus: str, species: str) -> bool:
        """Return whether a species of the right genus may be meant: taxonomies differ, but not another's agent."""
        if species in ("sp", "spp") or any(len(agent) == 1 or agent[1] in ("spp", species) for agent in same_genus):
            return True
        known = self._index.agents.identities((genus, species), crop_known=True)
        crop_id = self._catalogue.diseases[disease_id].crop_id
        if crop_id == ANY_CROP:
            return not known
        return not any(self._catalogue.diseases[found].holds_for(crop_id) for found in known)

    # Refusals

    def _why_refused(self, reading: Reading) -> str:
        crop_id = self._reader.crop(reading)
        tokens = tuple(token for token in reading.body if token not in FILLER_WORDS)
        if tokens and set(tokens) <= HEALTHY_WORDS and not crop_id:
            return "healthy-without-crop"
        ids = self._index.everywhere(reading.body)
        if crop_id:
            return "crop-mismatch" if ids else "unknown"
        if len(ids) > 1:
            return "ambiguous"
        return "no-crop" if ids else "unknown"


def _with_and_without_filler(tokens: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the tokens, then the tokens without "leaf", "plant" and the like, where that leaves any."""
    if tokens:
        yield tokens
    kept = tuple(token for token in tokens if token not in FILLER_WORDS)
    if kept and kept != tokens:
        yield kept
