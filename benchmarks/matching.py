"""Names to diseases: Plantset against nearest-string and nearest-embedding matching, on the same lists of names.

    python benchmarks/matching.py [--embeddings] [--photos PLANTDATA]

Precision is the share of answers that are right, recall the share of the answerable names that are answered right, and
"wrong" counts the answers that would put a false text under a photo. Every tool sees crop and label together.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rapidfuzz import fuzz, process

from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.matching import Matcher
from plantset.knowledge.schema import Catalogue
from tests.knowledge.name_lists import REFUSE, Name, answer, read_names

Answer = Callable[[Name], str | None]
_LISTS = ("adversarial.tsv", "held_out.tsv")
_LABELS_TIMED = 10_000


def main() -> None:
    """Print one table for each list, then the time of 10,000 labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", action="store_true", help="also the nearest neighbour of the packaged e5")
    options = parser.parse_args()
    catalogue = load_catalogue()
    names = _all_names(catalogue)
    tools = _tools(catalogue, names)
    if options.embeddings:
        tools["e5 nearest neighbour"] = _nearest_embedding(names)
    print(f"{len(catalogue.diseases)} identities, {len(names)} names; rapidfuzz {version('rapidfuzz')}")
    for file in _LISTS:
        rows = read_names(file)
        print(f"\n{file}: {len(rows)} names\n{'':32}{'precision':>10}{'recall':>8}{'wrong':>7}{'missed':>8}")
        for tool, ask in tools.items():
            print(_line(tool, rows, ask, catalogue))
    _time(catalogue)


def _line(tool: str, rows: list[Name], ask: Answer, catalogue: Catalogue) -> str:
    found = {row: ask(row) for row in rows}
    verdicts = Counter(row.judge(disease_id, catalogue) for row, disease_id in found.items())
    answered = verdicts["right"] + verdicts["wrong"]
    must = [row for row in rows if REFUSE not in row.expected and row.judge(None, catalogue) == "missed"]
    recall = sum(row.judge(found[row], catalogue) == "right" for row in must) / max(1, len(must))
    precision = verdicts["right"] / max(1, answered)
    return f"{tool:32}{precision:10.3f}{recall:8.3f}{verdicts['wrong']:7d}{len(must) - round(recall * len(must)):8d}"


def _all_names(catalogue: Catalogue) -> dict[str, str]:
    names: dict[str, str] = {}
    for disease in catalogue.diseases.values():
        crop = catalogue.crop_of(disease)
        for language, name in disease.name.items():
            names[f"{crop.name[language]} {name}".lower() if crop else name.lower()] = disease.disease_id
        for name in (*disease.also, *disease.alone):
            names.setdefault(f"{crop.name['en']} {name}".lower() if crop else name.lower(), disease.disease_id)
    return names


def _asked(name: Name) -> str:
    return f"{name.crop} {name.label}".replace("_", " ").lower().strip()


def _tools(catalogue: Catalogue, names: dict[str, str]) -> dict[str, Answer]:
    matcher = Matcher(catalogue)
    known = list(names)

    def ratio(cutoff: int) -> Answer:
        def ask(name: Name) -> str | None:
            best = process.extractOne(_asked(name), known, scorer=fuzz.token_set_ratio, score_cutoff=cutoff)
            return names[best[0]] if best else None

        return ask

    def close(cutoff: float) -> Answer:
        def ask(name: Name) -> str | None:
            best = difflib.get_close_matches(_asked(name), known, n=1, cutoff=cutoff)
            return names[best[0]] if best else None

        return ask

    return {
        "plantset": lambda name: answer(matcher, name),
        "rapidfuzz token_set_ratio 80": ratio(80),
        "rapidfuzz token_set_ratio 90": ratio(90),
        "difflib 0.6": close(0.6),
        "difflib 0.8": close(0.8),
    }


def _nearest_embedding(names: dict[str, str]) -> Answer:
    """Return the nearest name, whatever its distance, as "plain embedding search" does."""
    from plantset.encoders.embed import embed_texts
    from plantset.encoders.registry import PACKAGED_TEXT, build_text_encoder

    encoder = build_text_encoder(PACKAGED_TEXT)
    known = list(names)
    vectors = embed_texts(encoder, [f"query: {name}" for name in known])

    def ask(name: Name) -> str | None:
        asked = embed_texts(encoder, [f"query: {_asked(name)}"])[0]
        return names[known[int((vectors @ asked).argmax())]]

    return ask


def _time(catalogue: Catalogue) -> None:
    """Time distinct labels, since each distinct one is worked out once."""
    rows = [row for file in _LISTS for row in read_names(file)]
    labels = [f"{row.crop}___{row.label} {number}x" for number in range(_LABELS_TIMED) for row in rows]
    matcher = Matcher(catalogue)
    start = time.process_time()
    for label in labels[:_LABELS_TIMED]:
        matcher.match(label.replace(" 0x", ""))
    print(
        f"\n{_LABELS_TIMED} distinct labels: {time.process_time() - start:.2f} s of CPU, one core, index built before"
    )


if __name__ == "__main__":
    main()
