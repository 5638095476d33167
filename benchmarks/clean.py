"""Clean beside its limit, beside other tools, and from a thousand photos to a hundred thousand.

    python benchmarks/clean.py [--photos DIR] [--peers PYTHON] [--full]

The limit is a bare loop in one process: scaled JPEG decode, area resize, JPEG encode of the same photos, all kept in
memory; "written" is the same loop writing its files. Cleaning writes them, and hashes, judges, groups and records. It
need not encode a JPEG whose pixels stay, which is how it can pass the limit. Peers run in an environment of their own
(python3 -m venv /tmp/peers && /tmp/peers/bin/pip install cleanvision imagededup). cleanvision looks for dark, light,
blurred, odd-sized and duplicated photos; imagededup (pHash) for duplicates only; neither writes a photo.
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
SETS = (("256 px", (256, 256), 6000), ("2 MP", (1632, 1224), 200), ("12 MP", (4000, 3000), 60))
COUNTS, FULL_COUNTS = (1000, 10_000, 20_000), (100_000,)
NOISE_LEVELS = 4.0
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
    words.add_argument("--full", action="store_true", help="also a hundred thousand photos: two minutes more")
    words.add_argument("--peer-photos", type=int, default=1000)
    flags = words.parse_args()
    cv2.setNumThreads(1)
    print(
        f"Python {sys.version.split()[0]}, simplejpeg {simplejpeg.__version__}, OpenCV {cv2.__version__}, "
        f"{len(os.sched_getaffinity(0))} cores"
    )
    with tempfile.TemporaryDirectory(prefix="plantset-bench-") as name:
        folder = Path(name)
        sources = source_photos(flags.photos, folder)
        compare_with_limit(sources, folder)
        compare_with_peers(sources[: flags.peer_photos], folder, flags.peers)
        grow([*COUNTS, *(FULL_COUNTS if flags.full else ())], folder)


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
    print("\nCPU ms a photo of the whole clean (no embeddings, no audit) over the limit, one process, same photos;")
    print("fixed: what the run costs besides its photos; peak: memory of a worker")
    print(
        f"{'photos':>8} {'n':>5} {'limit':>7} {'written':>8} {'clean':>7} {'ratio':>6} {'to written':>11} "
        f"{'fixed s':>8} {'peak MB':>8}"
    )
    for name, size, most in SETS:
        made, few = folder / f"set-{size[0]}", folder / "few"
        count = write_set(sources, made, size, most)
        part = link_tenth(made, few)
        paths = sorted(made.rglob("*.jpg"))
        bare, written, whole, small = [], [], [], []
        bare_loop(paths, None)  # all files are then in the system's memory, for every run alike
        for _ in range(3):  # turn about, so that the machine's mood meets all
            bare.append(spent(lambda paths=paths: bare_loop(paths, None)).cpu_s)
            whole.append(cleaned(made, folder / "out").cpu_s)
            written.append(spent(lambda paths=paths: bare_loop(paths, folder / "out")).cpu_s)
            shutil.rmtree(folder / "out")
            small.append(cleaned(few, folder / "out").cpu_s)
        slope = (min(whole) - min(small)) / (count - part)
        limit, loop, clean_ms = (min(runs) / count * 1e3 for runs in (bare, written, whole))
        print(
            f"{name:>8} {count:>5} {limit:>7.2f} {loop:>8.2f} {clean_ms:>7.2f} {clean_ms / limit:>6.2f} "
            f"{clean_ms / loop:>11.2f} {min(small) - part * slope:>8.2f} {worker_peak_mb(paths, folder):>8.0f}"
        )
        if size == SETS[0][1]:
            tell_the_rest(made, folder / "out", count)
        shutil.rmtree(made)
        shutil.rmtree(few)


def tell_the_rest(photos: Path, out: Path, count: int) -> None:
    """Say what stands beside the ratio: the audit, the start of Python and its workers, a second run."""
    audited = cleaned(photos, out, audit=True).cpu_s - cleaned(photos, out).cpu_s
    words = ["clean", "--data-dir", photos, "--min-size", 16, "--no-audit", "--output-file", out / "c.jsonl"]
    command = [sys.executable, "-m", "plantset", *map(str, words)]
    first, again = (spent(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(2))
    shutil.rmtree(out)
    print(f"{'':>14} the audit of these {count} photos: {audited:.1f} CPU s more")
    print(
        f"{'':>14} as a command, all cores: {first.wall_s:.1f} s, {first.cpu_s:.1f} CPU s; "
        f"again, nothing changed: {again.wall_s:.1f} s"
    )


def cleaned(photos: Path, out: Path, *, audit: bool = False) -> Spent:
    config = CleanConfig(photos, min_size=16, output_file=out / "c.jsonl", num_workers=0, audit=audit)
    used = spent(lambda: clean(config))
    shutil.rmtree(out)
    return used


def write_set(sources: list[Path], folder: Path, size: tuple[int, int], count: int) -> int:
    """Write photos of one size: real ones with sensor noise where enlarged, so that their entropy is a camera's."""
    noise = np.random.default_rng(0).normal(0, NOISE_LEVELS, (size[1], size[0], 3)).astype(np.int16)
    (folder / "leaf").mkdir(parents=True)
    for index, source in enumerate(sources[:count]):
        stored = simplejpeg.decode_jpeg(source.read_bytes())
        enlarged = size[0] > stored.shape[1]
        pixels = cv2.resize(stored, size, interpolation=cv2.INTER_CUBIC if enlarged else cv2.INTER_AREA)
        if enlarged:
            pixels = np.clip(pixels + np.roll(noise, index, axis=0), 0, 255).astype(np.uint8)
        path = folder / "leaf" / f"{index}.jpg"
        path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 90, "RGB", "420"))
    return min(count, len(sources))


def link_tenth(photos: Path, folder: Path) -> int:
    """Link every tenth photo into a folder of its own and return how many."""
    some = sorted(photos.rglob("*.jpg"))[::10]
    (folder / "leaf").mkdir(parents=True)
    for path in some:
        (folder / "leaf" / path.name).hardlink_to(path)
    return len(some)


def bare_loop(paths: list[Path], out: Path | None) -> None:
    if out is not None:
        out.mkdir()
    for path in paths:
        data = path.read_bytes()
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        scale = min(1.0, TARGET_PX / max(width, height))
        size = (round(width * scale), round(height * scale))
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=size[1], min_width=size[0], min_factor=2.0)
        if scale < 1:
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        encoded = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), QUALITY, "RGB", "444")
        if out is not None:
            (out / path.name).write_bytes(encoded)


def worker_peak_mb(paths: list[Path], folder: Path) -> float:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        peak = pool.apply(measure_these, (paths, folder / "peak"))
    shutil.rmtree(folder / "peak")
    return peak


def measure_these(paths: list[Path], folder: Path) -> float:
    cv2.setNumThreads(1)
    jobs = [Job(path, folder / path.name, 16, TARGET_PX) for path in paths]
    assert len(list(measure_all(jobs, 0))) == len(paths)
    return peak_mb()


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
    ours = [sys.executable, "-m", "plantset", "clean", "--data-dir", str(photos), "--min-size", "16", "--output-file"]
    runs = {
        "plantset": lambda: subprocess.run([*ours, folder / "ours" / "c.jsonl"], check=True, capture_output=True),
        "no audit": lambda: subprocess.run(
            [*ours, folder / "bare" / "c.jsonl", "--no-audit"], check=True, capture_output=True
        ),
    }
    for name, code in PEERS.items():
        runs[name] = lambda code=code: run_peer(python, code, photos).check_returncode()
    best: dict[str, Spent] = {}
    for turn in range(2):  # turn about, the better of two: the first also reads the files and imports from the disk
        for name in list(runs) if turn else reversed(runs):
            for done in ("ours", "bare"):
                shutil.rmtree(folder / done, ignore_errors=True)
            used = spent(runs[name])
            best[name] = min(used, best.get(name, used), key=lambda one: one.wall_s)
    print(f"{'':>12} {'wall s':>7} {'CPU s':>7} {'× plantset':>11} {'× no audit':>11}")
    for name in runs:
        wall = best[name].wall_s
        print(
            f"{name:>12} {wall:>7.1f} {best[name].cpu_s:>7.1f} {wall / best['plantset'].wall_s:>11.1f} "
            f"{wall / best['no audit'].wall_s:>11.1f}"
        )
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
