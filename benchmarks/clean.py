"""Clean beside its limit, beside other tools, and from a thousand photos to a hundred thousand.

    python benchmarks/clean.py [--photos DIR] [--peers PYTHON] [--counts 1000 10000 100000]

The limit is a bare loop in one process: scaled JPEG decode, area resize, JPEG encode of the same photos. Peers run in
an environment of their own (python3 -m venv /tmp/peers && /tmp/peers/bin/pip install cleanvision imagededup).
cleanvision looks for dark, light, blurred, odd-sized and duplicated photos; imagededup (pHash) for duplicates only;
neither writes a photo. Plantset does all of that, hashes the bytes and writes the resized photos and the manifest.
"""

from __future__ import annotations

import argparse
import io
import math
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from plantset.clean.config import CleanConfig
from plantset.clean.engine import measure_all
from plantset.clean.facts import Job
from plantset.clean.run import clean

TARGET_PX, QUALITY = 512, 92
SETS = (("256 px", (256, 256), 600), ("2 MP", (1632, 1224), 120), ("12 MP", (4000, 3000), 24))
PEERS = {
    "cleanvision": "from cleanvision import Imagelab; lab = Imagelab(data_path={folder!r}); lab.find_issues()",
    "imagededup": "from imagededup.methods import PHash; PHash().find_duplicates(image_dir={folder!r}, recursive=True)",
}


@dataclass(frozen=True)
class Spent:
    wall_s: float
    cpu_s: float


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--photos", type=Path, default=os.environ.get("PLANTSET_PHOTOS"))
    words.add_argument("--peers", type=Path, default=Path("/tmp/peers/bin/python"))
    words.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    words.add_argument("--peer-photos", type=int, default=1000)
    flags = words.parse_args()
    cv2.setNumThreads(1)
    print(f"Python {sys.version.split()[0]}, simplejpeg {simplejpeg.__version__}, OpenCV {cv2.__version__}, "
          f"{len(os.sched_getaffinity(0))} cores")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="plantset-bench-") as name:
        folder = Path(name)
        sources = source_photos(flags.photos, folder)
        compare_with_limit(sources, folder)
        compare_with_peers(sources[: flags.peer_photos], folder, flags.peers)
        grow(flags.counts, folder)


def source_photos(photos: Path | None, folder: Path) -> list[Path]:
    """Return JPEGs in a fixed shuffled order: the user's, or made-up leaves."""
    if photos is None:
        from plantset.demo.config import DemoDataConfig
        from plantset.demo.data import make_demo_data

        photos = folder / "demo"
        with redirect_stdout(io.StringIO()):
            make_demo_data(DemoDataConfig(photos))
    found = sorted(path for path in Path(photos).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    return [found[index] for index in np.random.default_rng(0).permutation(len(found))]


# ---- the limit ------------------------------------------------------------------------------------------------------


def compare_with_limit(sources: list[Path], folder: Path) -> None:
    print("\nCPU seconds of the whole clean (no embeddings, no audit) over the limit, one process, same photos")
    print(f"{'photos':>8} {'n':>5} {'limit ms':>9} {'clean ms':>9} {'ratio':>6}")
    for name, size, count in SETS:
        made = folder / f"set-{size[0]}"
        count = write_set(sources, made, size, count)
        paths = sorted(made.rglob("*.jpg"))
        config = CleanConfig(made, min_size=16, output_file=folder / "limit" / "c.jsonl", num_workers=0, audit=False)
        limit, whole = [], []
        for _ in range(3):  # turn about, so that the machine's mood meets both
            limit.append(spent(lambda paths=paths: bare_loop(paths)).cpu_s)
            shutil.rmtree(folder / "limit", ignore_errors=True)
            whole.append(spent(lambda config=config: clean(config)).cpu_s)
        low, high = min(limit) / count * 1e3, min(whole) / count * 1e3
        print(f"{name:>8} {count:>5} {low:>9.2f} {high:>9.2f} {high / low:>6.2f}")
        shutil.rmtree(made)


def write_set(sources: list[Path], folder: Path, size: tuple[int, int], count: int) -> int:
    """Write photos of one size: enlarged real ones with sensor noise, so that their JPEG entropy is a camera's."""
    for index, source in enumerate(sources[:count]):
        pixels = simplejpeg.decode_jpeg(source.read_bytes())
        if size[0] > 256:
            rng = np.random.default_rng(index)
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC).astype(np.int16)
            pixels = np.clip(pixels + rng.normal(0, 4, pixels.shape).astype(np.int16), 0, 255).astype(np.uint8)
        path = folder / "leaf" / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 90, "RGB", "420"))
    return min(count, len(sources))


def bare_loop(paths: list[Path]) -> None:
    for path in paths:
        data = path.read_bytes()
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        scale = min(1.0, TARGET_PX / max(width, height))
        size = (round(width * scale), round(height * scale))
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=size[1], min_width=size[0], min_factor=1.0)
        if scale < 1:
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), QUALITY, "RGB", "444")


def spent(work: Callable[[], object]) -> Spent:
    wall, cpu = time.perf_counter(), cpu_seconds()
    work()
    return Spent(time.perf_counter() - wall, cpu_seconds() - cpu)


def cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


# ---- peers ----------------------------------------------------------------------------------------------------------


def compare_with_peers(sources: list[Path], folder: Path, python: Path) -> None:
    if not python.exists():
        print(f"\nno peers: {python} is not there (see the head of this file)")
        return
    photos = folder / "peers"
    for index, source in enumerate(sources):
        path = photos / "leaf" / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
    ask = "from importlib.metadata import version as v; print(*[p + ' ' + v(p) for p in ('cleanvision', 'imagededup')])"
    versions = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    print(f"\nWhole commands, {len(sources)} photos, all cores, start of Python included ({versions})")
    output = folder / "ours" / "c.jsonl"
    words = ["clean", "--data-dir", photos, "--min-size", 16, "--output-file", output]
    ours = [sys.executable, "-m", "plantset", *map(str, words)]
    mine = spent(lambda: subprocess.run(ours, check=True, capture_output=True))
    print(f"{'':>12} {'wall s':>7} {'CPU s':>7} {'wall ×':>7}")
    print(f"{'plantset':>12} {mine.wall_s:>7.1f} {mine.cpu_s:>7.1f} {1:>7.1f}")
    for name, code in PEERS.items():
        theirs = spent(lambda code=code: run_peer(python, code, photos))
        print(f"{name:>12} {theirs.wall_s:>7.1f} {theirs.cpu_s:>7.1f} {theirs.wall_s / mine.wall_s:>7.1f}")
    whole = (photos / "leaf" / "0.jpg").read_bytes()
    (photos / "leaf" / "broken.jpg").write_bytes(whole[: len(whole) // 2][:200])
    for name, code in PEERS.items():
        done = run_peer(python, code, photos)
        last = (done.stderr.strip().splitlines() or [""])[-1][:100]
        print(
            f"with one broken file, {name} ends with status {done.returncode}"
            + (f": {last}" if done.returncode else "")
        )


def run_peer(python: Path, code: str, photos: Path) -> subprocess.CompletedProcess[str]:
    guarded = f"if __name__ == '__main__':\n    {code.format(folder=str(photos))}\n"
    script = photos.parent / "peer.py"
    script.write_text(guarded, encoding="utf-8")
    return subprocess.run([python, script], capture_output=True, text=True, check=False)


# ---- growth ---------------------------------------------------------------------------------------------------------


def grow(counts: list[int], folder: Path) -> None:
    print("\nOne photo's cost and memory by the number of photos (64×48 made up; the pair search apart)")
    print(f"{'n':>8} {'CPU µs':>8} {'wall µs':>8} {'peak MB':>8}")
    rows = []
    for count in counts:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            used, peak = pool.apply(measure_many, (count, folder / "many"))
        rows.append((count, used.cpu_s / count))
        print(f"{count:>8} {used.cpu_s / count * 1e6:>8.0f} {used.wall_s / count * 1e6:>8.0f} {peak:>8.0f}")
        shutil.rmtree(folder / "many")
    if len(rows) > 1:
        (few, small), (many, large) = rows[0], rows[-1]
        print(f"cost of all photos grows as n^{1 + math.log(large / small) / math.log(many / few):.3f}")


def measure_many(count: int, folder: Path) -> tuple[Spent, float]:
    """Measure photos drawn on the fly, a thousand a time; drawing is not counted."""
    wall = cpu = 0.0
    folder.mkdir(parents=True)
    for start in range(0, count, 1000):
        jobs = []
        for index in range(start, min(start + 1000, count)):
            path = folder / f"{index}.jpg"
            path.write_bytes(simplejpeg.encode_jpeg(tiny_leaf(index), 85, "RGB", "444"))
            jobs.append(Job(path, folder / "out" / f"{index // 1000}" / f"{index}.jpg", 16, TARGET_PX))
        used = spent(lambda jobs=jobs: list(measure_all(jobs, 0)))
        wall, cpu = wall + used.wall_s, cpu + used.cpu_s
    return Spent(wall, cpu), peak_mb()


def peak_mb() -> float:
    """Return this process's own peak (ru_maxrss of a spawned process starts at its parent's); nan off Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024


def tiny_leaf(seed: int) -> NDArray[np.uint8]:
    patches = np.random.default_rng(seed).integers(20, 236, (5, 5, 3), dtype=np.uint8)
    return np.ascontiguousarray(cv2.resize(patches, (64, 48), interpolation=cv2.INTER_CUBIC))


if __name__ == "__main__":
    main()
