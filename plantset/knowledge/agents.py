"""Scientific names of causes: which identities an agent may mean, with its authors, its races and its genus cut short.

A species that is divided into pathovars or special forms names no disease by itself: `Xanthomonas campestris` lives on
cabbage, pepper and wheat, its pathovars each on one of them. A pathovar keeps its name when its species is renamed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from plantset.knowledge.names import tokenise, word_set
from plantset.knowledge.schema import ANY_CROP

_RACE_MARKS = word_set("pv sp subsp var")
_GENERAL = word_set("sp spp")
_MAX_RACE_DISTANCE = 4  # words between species and race: authors, "f.", "sp."
_BINOMIAL = re.compile(r"(?<![A-Za-z])([A-Z][a-z]+(?=[\s_])|[A-Z]\.)[\s_]*([a-z]{3,}(?:-[a-z]+)?)\b")
_CANDIDATUS = re.compile(r"\b(?:Candidatus|Ca\.)\s+(?=[A-Z])")
_RACE = re.compile(r"\s*(?:pv|f\.?\s*sp|subsp|var)\b\.?\s*[a-z]+(?:-[a-z]+)?")
_AUTHOR = re.compile(
    r"""\s*,?\s*(?:
        (?:[A-Z]\.\s?-?)+(?:\s*[A-Z][\w'’-]+\.?)?      # J.E. Smith, K.J. Leonard, L.
        | [A-Z][\w'’-]+\s+et\s+al\.?                 # Young et al.
        | [A-Z][\w'’-]*\.                             # Berk.
        | (?:&|ex)\s+[A-Z][\w'’.-]*                   # & Broome, ex Fr.
        | de\s+Bary | von\s+Arx
        | et\s+al\.?
        | 1[789]\d\d | 20\d\d                         # 1797
    )""",
    re.VERBOSE,
)
_LONE_AUTHOR = re.compile(r"\s+([A-Z][\w'’-]+)\b")
_IN_PARENTHESES = re.compile(r"\s*\(((?:[A-Z][\w'’-]*\.?|&|ex|de|,|\s)+)\)")
# Authors who stand in full and alone after the agents of crop diseases.
_AUTHORS = word_set(
    "Arx Boisduval Bondar Burgess Butler Chitwood Cobb Cooke Dietel Dowson Drechsler Ellis Fabricius Fuckel Gennadius "
    "Glover Guenée Hedges Hübner Klotzsch Koch Kühn Lindeman Linnaeus Matsumura Meyrick Nylander Okabe Pammel Penzig "
    "Petch Raciborski Rands Saccardo Signoret Smith Sorauer Spegazzini Sulzer Sydow Trelease Walker Wallroth "
    "Went Westwood Winter Zimmermann"
)
# Agents of many crops: alone they mean no crop's disease, though the catalogue tells of them on one crop only.
_OF_MANY_CROPS = frozenset(
    tuple(name.split())
    for name in (
        "athelia rolfsii",
        "botrytis cinerea",
        "colletotrichum gloeosporioide",
        "corynespora cassiicola",
        "dickeya dadantii",
        "lasiodiplodia theobromae",
        "macrophomina phaseolina",
        "pectobacterium carotovorum",
        "phytophthora cactorum",
        "phytophthora capsici",
        "phytophthora nicotianae",
        "phytophthora palmivora",
        "pseudomona syringae",
        "ralstonia solanacearum",
        "rhizoctonia solani",
        "sclerotinia sclerotiorum",
        "sclerotium rolfsii",
        "xanthomona campestri",
    )
)


@dataclass(frozen=True, slots=True)
class AgentName:
    """A scientific name found among tokens.

    Attributes:
        at, end: the tokens it takes.
        ids: the identities it causes.
        needs_crop: True where the name is too general to mean one of them without a crop.
    """

    at: int
    end: int
    ids: frozenset[str]
    needs_crop: bool


def agent_tokens(agent: str) -> tuple[str, ...]:
    """Return the words of a scientific name, without "Candidatus", which is a rank and no genus."""
    return tuple(token for token in tokenise(agent) if token != "candidatus")


class AgentIndex:
    """The agents of all identities by genus, species and race."""

    def __init__(self) -> None:
        self._species: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._divided: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._races: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._genera: dict[str, set[str]] = defaultdict(set)
        self._by_genus: dict[str, set[str]] = defaultdict(set)
        self._genera_by_initial: dict[tuple[str, str], set[str]] = defaultdict(set)

    def add(self, agent: str, disease_id: str) -> None:
        """Add an agent of an identity; viruses that are called by a common name are names, not agents."""
        tokens = agent_tokens(agent)
        if agent.endswith(" virus") or not tokens:
            return
        genus, *rest = tokens
        self._by_genus[genus].add(disease_id)
        if not rest or rest[0] in _GENERAL:
            self._genera.setdefault(genus, set())
            return
        species = rest[0]
        self._genera[genus].add(species)
        self._genera_by_initial[(genus[0], species)].add(genus)
        race = _race_after(rest[1:])
        if race:
            self._divided[(genus, species)].add(disease_id)
            self._races[(genus, race)].add(disease_id)
        else:
            self._species[(genus, species)].add(disease_id)

    def genus_species(self, genus: str) -> set[str] | None:
        """Return the known species of a genus of agents, None for a word that is no genus."""
        return self._genera.get(genus)

    def of_genus(self, genus: str) -> set[str]:
        """Return the identities that some species of a genus, or the genus as a whole, causes."""
        return self._by_genus.get(genus, set())

    def find(self, tokens: Sequence[str]) -> list[AgentName]:
        """Return the scientific names among the tokens, in order."""
        found = []
        for at in range(len(tokens) - 1):
            name = self._name_at(tokens, at)
            if name:
                found.append(name)
        return found

    def identities(self, tokens: Sequence[str], crop_known: bool) -> set[str]:
        """Return the identities whose agents are named; what is too general counts only beside a crop."""
        return {found for name in self.find(tokens) if crop_known or not name.needs_crop for found in name.ids}

    def _name_at(self, tokens: Sequence[str], at: int) -> AgentName | None:
        genus, species = tokens[at], tokens[at + 1]
        race_at = _race_position(tokens, at + 2)
        if race_at is not None:
            ids = self._races.get((genus, tokens[race_at])) or self._species.get((genus, species))
            return AgentName(at, race_at + 1, frozenset(ids), False) if ids else None
        if (genus, species) in self._species:
            ids = self._species[(genus, species)]
            is_general = (genus, species) in _OF_MANY_CROPS and not any(found.startswith(ANY_CROP) for found in ids)
            return AgentName(at, at + 2, frozenset(ids), is_general)
        if (genus, species) in self._divided:
            return AgentName(at, at + 2, frozenset(self._divided[(genus, species)]), True)
        return None

    def plain(self, label: str) -> str:
        """Return the label with genera written out ("P. infestans"), without "Candidatus" and authors."""
        label = _CANDIDATUS.sub("", label)
        out, done = "", 0
        for match in _BINOMIAL.finditer(label):
            if match.start() < done:
                continue
            species = "".join(tokenise(match[2]))
            genus = self._genus(match[1], species)
            if genus:
                end = match.end()
                race = _RACE.match(label, _authors_end(label, end)) or _RACE.match(label, end)
                out += f"{label[done : match.start()]}{genus} {match[2]}{race[0] if race else ''}"
                done = _authors_end(label, race.end() if race else end)
        return out + label[done:]

    def without_agents(self, label: str) -> str:
        """Return a plain label without its scientific names."""

        def blank(match: re.Match[str]) -> str:
            return " " if self._genus(match[1], "".join(tokenise(match[2]))) else match[0]

        return _BINOMIAL.sub(blank, label)

    def _genus(self, written: str, species: str) -> str | None:
        if not written.endswith("."):
            known = self._genera.get("".join(tokenise(written)), set())
            return written if species in known else None
        genera = self._genera_by_initial.get((written[0].lower(), species), set())
        return next(iter(genera)).capitalize() if len(genera) == 1 else None


def _authors_end(label: str, at: int) -> int:
    """Return where the authors end that start at a position of the label; the position itself where there are none."""
    first = _IN_PARENTHESES.match(label, at)
    if first and (set(".&") & set(first[1]) or first[1] in _AUTHORS):
        at = first.end()
        after = _LONE_AUTHOR.match(label, at)  # "(Okabe) Young": who renamed it
        at = after.end() if after else at
    while True:
        lone = _LONE_AUTHOR.match(label, at)
        author = lone if lone and lone[1] in _AUTHORS else _AUTHOR.match(label, at)
        if author is None:
            return at
        at = author.end()


def _race_after(tokens: Iterable[str]) -> str | None:
    words = list(tokens)
    at = _race_position(words, 0)
    return None if at is None else words[at]


def _race_position(tokens: Sequence[str], start: int) -> int | None:
    """Return where the race stands after "pv", "f. sp." or "subsp.", if one is named within a few words."""
    for at in range(start, min(start + _MAX_RACE_DISTANCE, len(tokens) - 1)):
        if tokens[at] in _RACE_MARKS:
            return at + 1
    return None
