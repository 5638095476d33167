"""Which copies of a photo are found, what is merged by mistake, and what the pair search costs; beside two other tools.

    .venv/bin/python benchmarks/copies.py PHOTOS/manifest.csv --count 1000 --peers /tmp/peers/bin/python

PHOTOS/manifest.csv has the columns path, canonical and near_dup_group. Photos are drawn from different groups, each
gets one copy of every kind, and a tool's recall is the share of copies that it puts with their original. The peers
(cleanvision and imagededup, their default thresholds) run in a Python of their own.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import io
import json
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plantset.clean.config import CleanConfig
from plantset.clean.duplicates import perceptual_hash
from plantset.clean.hamming import count_candidates, near_pairs
from plantset.clean.run import clean
from plantset.core.photo import decode_photo
from plantset.core.records import read_clean_records

Pixels = NDArray[np.uint8]
Groups = Mapping[str, str]

_ORIGINAL, _CROP = "original", "crop-90"
_RESAMPLED = 0.07  # share of flipped bits at which 100,000 hashes have 5 times the candidates of uniform ones

_PEERS = r"""
import json, sys, contextlib, io
folder, tool = sys.argv[1:]
with contextlib.redirect_stdout(io.StringIO()):
    if tool == "imagededup":
        from imagededup.methods import PHash
        found = PHash(verbose=False).find_duplicates(image_dir=folder)
        sets = [[name, *others] for name, others in found.items() if others]
    else:
        from cleanvision import Imagelab
        lab = Imagelab(data_path=folder)
        lab.find_issues({"near_duplicates": {}, "exact_duplicates": {}}, n_jobs=1, verbose=False)
        sets = [s for kind in ("near_duplicates", "exact_duplicates") for s in lab.info[kind]["sets"]]
        sets = [[path.rsplit("/", 1)[-1] for path in s] for s in sets]
import importlib.metadata
print(json.dumps([importlib.metadata.version(tool), sets]))
"""


def _jpeg(pixels: Pixels, quality: int = 90, orientation: int | None = None) -> bytes:
    out, exif = io.BytesIO(), Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "JPEG", quality=quality, exif=exif)
    return out.getvalue()


def _scaled(pixels: Pixels, factor: float, offset: float = 0.0) -> Pixels:
    return np.asarray(np.clip(pixels * factor + offset, 0, 255), dtype=np.uint8)


def _half(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _crop(pixels: Pixels) -> Pixels:
    """Cut 90 % of each side out, at a place that follows from the picture."""
    rng = np.random.default_rng(int(pixels.sum(dtype=np.int64)))
    sides = [round(0.9 * side) for side in pixels.shape[:2]]
    top, left = (int(rng.integers(0, whole - side + 1)) for whole, side in zip(pixels.shape, sides, strict=False))
    return pixels[top : top + sides[0], left : left + sides[1]]


KINDS: Mapping[str, Callable[[Pixels], bytes]] = {
    "quality-75": lambda pixels: _jpeg(pixels, 75),
    "quality-50": lambda pixels: _jpeg(pixels, 50),
    "half-size": lambda pixels: _jpeg(_half(pixels)),
    "brighter": lambda pixels: _jpeg(_scaled(pixels, 1.25)),
    "darker": lambda pixels: _jpeg(_scaled(pixels, 0.7)),
    "rotated-90": lambda pixels: _jpeg(np.rot90(pixels)),
    "rotated-180": lambda pixels: _jpeg(np.rot90(pixels, 2)),
    "rotated-270": lambda pixels: _jpeg(np.rot90(pixels, 3)),
    "flipped": lambda pixels: _jpeg(pixels[:, ::-1]),
    "exif-rotated": lambda pixels: _jpeg(np.rot90(pixels), orientation=6),
    _CROP: lambda pixels: _jpeg(_crop(pixels)),
}


def draw_photos(manifest: Path, count: int) -> list[tuple[Path, str]]:
    """Return (path, class) of photos that are no known copies of each other, the same ones each time."""
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    order = np.random.default_rng(0).permutation(len(rows))
    first = {rows[index]["near_dup_group"]: rows[index] for index in order}
    return [(manifest.parent / row["path"], row["canonical"]) for row in list(first.values())[:count]]


def write_copies(photos: Sequence[tuple[Path, str]], folder: Path, kinds: Sequence[str]) -> None:
    """Write `NUMBER.KIND.jpg` for every photo and kind; the originals byte for byte."""
    folder.mkdir(parents=True)
    for number, (path, _) in enumerate(photos):
        (folder / f"{number}x.{_ORIGINAL}.jpg").write_bytes(path.read_bytes())
        pixels = decode_photo(path).pixels
        for kind in kinds:
            (folder / f"{number}x.{kind}.jpg").write_bytes(KINDS[kind](pixels))


def plantset_groups(folder: Path, work: Path, *, embeddings: bool) -> tuple[Groups, float]:
    """Return file name -> group, and the seconds it took."""
    output = work / f"embeddings-{embeddings}.jsonl"
    start = time.perf_counter()
    clean(CleanConfig(data_dir=folder.parent, output_file=output, min_size=8, embeddings=embeddings, audit=False))
    groups = {Path(record.source_path).name: record.group for record in read_clean_records(output)}
    return groups, time.perf_counter() - start


def peer_pairs(python: Path, tool: str, folder: Path) -> tuple[str, set[tuple[str, str]]] | None:
    """Return the peer's version and the pairs of file names that it joins; None where it can't be run."""
    done = subprocess.run([python, "-c", _PEERS, str(folder), tool], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{tool} can't be run: {done.stderr.strip().splitlines()[-1]}")
        return None
    version, sets = json.loads(done.stdout.strip().splitlines()[-1])
    return version, {pair for names in sets for pair in combinations(sorted(set(names)), 2)}


def pairs_of(groups: Groups) -> set[tuple[str, str]]:
    """Return all pairs of names that share a group."""
    members = defaultdict(list)
    for name, group in groups.items():
        members[group].append(name)
    return {pair for names in members.values() for pair in combinations(sorted(names), 2)}


def print_table(tools: Mapping[str, set[tuple[str, str]]], photos: Sequence[tuple[Path, str]]) -> None:
    """Print recall by kind, then how many pairs of different photos each tool joins."""
    print(f"\n{len(photos)} photos and one copy of each kind; recall\n")
    print("| kind | " + " | ".join(tools) + " |")
    print("|---" * (1 + len(tools)) + "|")
    for kind in KINDS:
        shares = []
        for pairs in tools.values():
            wanted = [sorted((f"{n}x.{_ORIGINAL}.jpg", f"{n}x.{kind}.jpg")) for n in range(len(photos))]
            shares.append(sum((first, second) in pairs for first, second in wanted) / len(photos))
        print(f"| {kind} | " + " | ".join(f"{share:.3f}" for share in shares) + " |")
    between = {tool: _between_originals(pairs) for tool, pairs in tools.items()}
    cells = [str(len(joined)) for joined in between.values()]
    print("| pairs of originals joined | " + " | ".join(cells) + " |")
    cells = [str(sum(photos[a][1] != photos[b][1] for a, b in joined)) for joined in between.values()]
    print("| – of two classes | " + " | ".join(cells) + " |")
    for tool, joined in between.items():
        for first, second in sorted(joined)[:40] if tool.startswith("plantset") else ():
            print(f"  {tool}: {photos[first][0].name} = {photos[second][0].name}")


def _between_originals(pairs: set[tuple[str, str]]) -> set[tuple[int, int]]:
    """Pairs of numbers whose originals are joined directly."""
    suffix = f"x.{_ORIGINAL}.jpg"
    return {
        (int(first.removesuffix(suffix)), int(second.removesuffix(suffix)))
        for first, second in pairs
        if first.endswith(suffix) and second.endswith(suffix)
    }


def hash_of(path: Path) -> int:
    """Return the perceptual hash of one photo."""
    pixels = decode_photo(path, longer_side_px=1024).pixels
    return perceptual_hash(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8))


def real_like_hashes(seeds: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """Return different hashes that crowd as real ones do: real ones with some of their bits flipped."""
    rng = np.random.default_rng(1)
    hashes = seeds[rng.integers(0, len(seeds), count)]
    for bit in range(63):
        hashes = hashes ^ ((rng.random(count) < _RESAMPLED).astype(np.uint64) << np.uint64(bit))
    return np.unique(hashes)


def print_search_cost(seeds: NDArray[np.uint64], sizes: Sequence[int]) -> None:
    """Print CPU seconds of the pair search, 8 orientations, and its growth exponent."""
    print("\n| hashes | candidates | of uniform hashes | ratio | pairs found | CPU s | growth exponent |")
    print("|---|---|---|---|---|---|---|")
    last: tuple[int, float] | None = None
    for size in sizes:
        hashes = real_like_hashes(seeds, size)
        uniform = np.unique(np.random.default_rng(2).integers(0, 2**63, size, dtype=np.uint64))
        candidates, expected = count_candidates(hashes), count_candidates(uniform)
        start = time.process_time()
        found = len(near_pairs(hashes))
        seconds = time.process_time() - start
        growth = f"{np.log(seconds / last[1]) / np.log(size / last[0]):.2f}" if last else ""
        row = (f"{size:,}", f"{candidates:,}", f"{expected:,}", f"{candidates / expected:.1f}", f"{found:,}")
        print(f"| {' | '.join(row)} | {seconds:.2f} | {growth} |", flush=True)
        last = size, seconds


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--count", type=int, default=300, help="photos drawn")
    parser.add_argument("--peers", type=Path, help="Python that has cleanvision and imagededup")
    parser.add_argument("--no-embeddings", action="store_true", help="without the crops' own run (0.1 s a photo)")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    photos = draw_photos(args.manifest, args.count)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        folder = work / "photos" / "leaf"
        write_copies(photos, folder, list(KINDS))
        tools: dict[str, set[tuple[str, str]]] = {}
        groups, seconds = plantset_groups(folder, work, embeddings=False)
        version = importlib.metadata.version("plantset")
        tools[f"plantset {version}"] = pairs_of(groups)
        print(f"plantset: {seconds:.0f} s for {len(groups)} files")
        if not args.no_embeddings:
            few = work / "few" / "leaf"
            write_copies(photos, few, [_CROP])
            crops, seconds = plantset_groups(few, work, embeddings=True)
            tools[f"plantset {version} --embeddings (originals and crops only)"] = pairs_of(crops)
            print(f"plantset --embeddings: {seconds:.0f} s for {len(crops)} files")
        for tool in ("imagededup", "cleanvision") if args.peers else ():
            found = peer_pairs(args.peers, tool, folder)
            if found is not None:
                tools[f"{tool} {found[0]}"] = found[1]
        print_table(tools, photos)
    everything = [path for path, _ in draw_photos(args.manifest, 1_000_000)]
    print_search_cost(np.array([hash_of(path) for path in everything], dtype=np.uint64), args.sizes)


if __name__ == "__main__":
    main()
