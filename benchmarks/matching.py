"""Names to diseases: Plantset against nearest-string and nearest-embedding matching, on the same lists of names.

    python benchmarks/matching.py [--embeddings] [--photos PLANTDATA]

Precision is the share of answers that are right, recall the share of the answerable names that are answered right, and
"wrong" counts the answers that would put a false text under a photo. Every tool sees crop and label together.
With --photos the folder names of that set are judged by its manifest's canonical column, with their crop and bare; for
a canonical name that is ambiguous, only a refusal or an identity bound to no crop is right. --embeddings takes minutes.
"""

from __future__ import annotations

import argparse
import csv
import difflib
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.matching import Matcher
from plantset.knowledge.schema import Catalogue
from tests.knowledge.name_lists import HERE, REFUSE, Name, answer, read_names

Answer = Callable[[Name], str | None]
_LISTS = ("adversarial.tsv", "held_out.tsv", "third.tsv")
_LABELS_TIMED = 10_000


def main() -> None:
    """Print one table for each list, then the time of 10,000 labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", action="store_true", help="also the nearest neighbour of the packaged e5")
    parser.add_argument("--photos", type=Path, metavar="PLANTDATA", help="also the folder names of this photo set")
    options = parser.parse_args()
    catalogue = load_catalogue()
    names = _all_names(catalogue)
    tools = _tools(catalogue, names)
    lists = {file: read_names(file) for file in _LISTS}
    if options.photos:
        lists |= _photo_names(options.photos / "manifest.csv", catalogue)
    if options.embeddings:
        asked = sorted({_asked(row) for rows in lists.values() for row in rows})
        for cutoff in (0.0, 0.9, 0.95):
            tools[f"e5 nearest neighbour {cutoff:.2f}"] = _nearest_embedding(names, asked, cutoff)
    print(f"{len(catalogue.diseases)} identities, {len(names)} names; rapidfuzz {version('rapidfuzz')}")
    for title, rows in lists.items():
        print(f"\n{title}: {len(rows)} names\n{'':32}{'precision':>10}{'recall':>8}{'wrong':>7}{'missed':>8}")
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

    @cache
    def most_alike(asked: str) -> tuple[str, float] | None:
        best = process.extractOne(asked, known, scorer=fuzz.token_set_ratio, score_cutoff=80)
        return (names[best[0]], best[1]) if best else None

    @cache
    def closest(asked: str) -> tuple[str, float] | None:
        best = difflib.get_close_matches(asked, known, n=1, cutoff=0.6)
        return (names[best[0]], difflib.SequenceMatcher(None, best[0], asked).ratio()) if best else None

    def above(find: Callable[[str], tuple[str, float] | None], cutoff: float) -> Answer:
        def ask(name: Name) -> str | None:
            best = find(_asked(name))
            return best[0] if best and best[1] >= cutoff else None

        return ask

    return {
        "plantset": lambda name: answer(matcher, name),
        "rapidfuzz token_set_ratio 80": above(most_alike, 80),
        "rapidfuzz token_set_ratio 90": above(most_alike, 90),
        "difflib 0.6": above(closest, 0.6),
        "difflib 0.8": above(closest, 0.8),
    }


def _photo_names(manifest: Path, catalogue: Catalogue) -> dict[str, list[Name]]:
    """Return the names of each source's folders, with their crop and bare, as the canonical column judges them."""
    with (HERE / "canonical.tsv").open(encoding="utf-8", newline="") as file:
        ids = {row["label"]: row["disease_id"] for row in csv.DictReader(file, delimiter="\t")}
    with manifest.open(encoding="utf-8", newline="") as file:
        folders = sorted({(row["source"], row["class"], row["canonical"]) for row in csv.DictReader(file)})
    matcher = Matcher(catalogue)
    with_crop, bare = [], []
    for source, label, canonical in folders:
        crop, disease = canonical.split("|")
        if crop == "ambiguous":
            with_crop.append(Name(label, "", (REFUSE, "any--*"), source))
            bare.append(with_crop[-1])
            continue
        shared = matcher.match(disease).disease_id or ""
        right = (ids[canonical], *([shared] if shared.startswith("any--") else []))
        with_crop.append(Name(label, crop, right, source))
        bare.append(Name(label, "", right if _names_crop(matcher, label) else (*right, REFUSE), source))
    return {"folders of the photo set, crop given": with_crop, "folders of the photo set, bare": bare}


def _names_crop(matcher: Matcher, label: str) -> bool:
    return matcher.match(label).crop_id is not None


def _nearest_embedding(names: dict[str, str], asked: list[str], cutoff: float) -> Answer:
    """Return the nearest name with a cosine of at least `cutoff`, as "plain embedding search" does."""
    vectors = _embed((*names, *asked))
    known, nearest = list(names.values()), {}
    cosines_QN = vectors[len(names) :] @ vectors[: len(names)].T
    for text, best, cosine in zip(asked, cosines_QN.argmax(axis=1), cosines_QN.max(axis=1), strict=True):
        nearest[text] = known[int(best)] if cosine >= cutoff else None
    return lambda name: nearest[_asked(name)]


@lru_cache(maxsize=1)
def _embed(texts: tuple[str, ...]) -> NDArray[np.float32]:
    from plantset.encoders.embed import embed_texts
    from plantset.encoders.registry import PACKAGED_TEXT, build_text_encoder

    return embed_texts(build_text_encoder(PACKAGED_TEXT), [f"query: {text}" for text in texts], length=48)


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
