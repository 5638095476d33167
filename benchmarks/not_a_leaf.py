"""How many photos of leaves, and how many of other things, `clean --embeddings` marks as showing no plant.

Run: python benchmarks/not_a_leaf.py LEAVES OTHERS [--per-source 180]
LEAVES holds a folder for each collection, each of which is judged with the classes of ImageNet that the other
collections are taken for, as a new collection would be; OTHERS a folder for each kind of thing. The figures in
`plantset/clean/embeddings.py` are those of 371 PNG and JPEG files of Debian's tuxpaint-stamps-default 2022.06.04
(without plants, food, insects, symbols and cartoons) and of the packages scikit-image, scikit-learn, gradio and
ultralytics, which bring photos along.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plantset.clean.embeddings import LEAFY, LIVING, MIN_PLANT_SHARE, NUM_MISTAKEN, look_at, plant_shares
from plantset.clean.seen import LeafPhoto
from plantset.core.photo import PhotoError, decode_photo

SUFFIXES = {".jpg", ".jpeg", ".png"}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("leaves", type=Path)
    words.add_argument("others", type=Path)
    words.add_argument("--per-source", type=int, default=180)
    flags = words.parse_args()
    leaves = seen_by_folder(flags.leaves, flags.per_source)
    means = {source: probabilities.mean(axis=0) for source, probabilities in leaves.items()}
    print(f"{'leaves':<28}{'n':>6}{'marked':>8}")
    marked = [
        tell(source, probabilities[:, taken_for([means[other] for other in means if other != source])].sum(axis=1))
        for source, probabilities in leaves.items()
    ]
    print(f"{'together':<28}{sum(map(len, leaves.values())):>6}{sum(marked):>8}")
    if taken_for(list(means.values())) != LEAFY:
        print("these collections are taken for other classes than those in plantset/clean/embeddings.py")
    print(f"\n{'others':<28}{'n':>6}{'marked':>8}")
    others = seen_by_folder(flags.others, None)
    caught = [tell(kind, plant_shares(probabilities)) for kind, probabilities in others.items()]
    print(f"{'together':<28}{sum(map(len, others.values())):>6}{sum(caught):>8}")


def taken_for(means: list[NDArray[np.float32]]) -> list[int]:
    """Return what lives on plants, and what photos with these mean probabilities are most often taken for."""
    often = np.argsort(-np.mean(means, axis=0))[:NUM_MISTAKEN].tolist()
    return sorted({*LIVING, *often})


def tell(name: str, shares: NDArray[np.float32]) -> int:
    marked = int((shares < MIN_PLANT_SHARE).sum())
    print(f"{name:<28}{len(shares):>6}{marked:>8}")
    return marked


def seen_by_folder(root: Path, most: int | None) -> dict[str, NDArray[np.float32]]:
    found = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        chosen = [paths[index] for index in np.random.default_rng(0).permutation(len(paths))[:most]]
        looks = look_at([LeafPhoto(path, "") for path in chosen if is_photo(path)])
        found[folder.name] = np.concatenate([look.probabilities for look in looks])
    return found


def is_photo(path: Path) -> bool:
    try:
        decode_photo(path, longer_side_px=64)
    except PhotoError:
        return False
    return True


if __name__ == "__main__":
    main()
