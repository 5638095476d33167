"""How often each check of `clean` flags photos as they are, and how often photos spoiled on purpose; and the cost.

Run: python benchmarks/checks.py PHOTOS, a folder with a manifest.csv (columns path, style, original_path).
"Whole photo < 100" is the usual recipe for blur: one variance of the Laplacian for the whole photo.
"""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from plantset.clean.checks import WORKING_SIZE_PX, View, find_issues, view_photo
from plantset.clean.thresholds import CHECK_NAMES, CheckThresholds
from plantset.core.photo import decode_photo, shrink

Pixels = NDArray[np.uint8]
Spoil = Callable[[Pixels, np.random.Generator], Pixels]
SPOILED = 300
WORDS = ("leaf", "sample", "2023/11/04", "14:32", "field", "station", "plot", "12", "tomato", "blight", "share", "view")


def main() -> None:
    cv2.setNumThreads(1)
    folder = Path(sys.argv[1])
    rows = list(csv.DictReader((folder / "manifest.csv").open(encoding="utf-8")))
    print(f"OpenCV {cv2.__version__}, simplejpeg {simplejpeg.__version__}, NumPy {np.__version__}")
    alarms(folder, rows)
    catches(folder, rows)
    cost()


def look(pixels: Pixels, size: tuple[int, int] | None = None, name: str = "") -> View:
    seen = shrink(pixels, WORKING_SIZE_PX)
    grey = np.asarray(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return view_photo(seen, grey, size or (pixels.shape[1], pixels.shape[0]), name)


def alarms(folder: Path, rows: list[dict[str, str]]) -> None:
    flagged: dict[str, Counter[str]] = {name: Counter() for name in [*CHECK_NAMES, "whole photo < 100"]}
    totals = Counter(row["style"] for row in rows)
    lines = []
    for row in rows:
        photo = decode_photo(folder / row["path"], longer_side_px=WORKING_SIZE_PX)
        view = look(photo.pixels, photo.original_size, Path(row["original_path"]).name)
        issues = list(find_issues(view, CheckThresholds()))
        lines += [f"{issue}\t{row['path']}" for issue in issues]
        if cv2.Laplacian(view.grey, cv2.CV_64F).var() < 100:
            issues.append("whole photo < 100")
        for issue in issues:
            flagged[issue][row["style"]] += 1
    print(f"\nflagged as they are: {dict(totals)}")
    for name, counts in flagged.items():
        print(f"  {name:<20}" + "".join(f"{style} {counts[style]:>5}  " for style in totals))
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text("\n".join(lines))


def catches(folder: Path, rows: list[dict[str, str]]) -> None:
    rng = np.random.default_rng(0)
    chosen = [rows[index]["path"] for index in rng.permutation(len(rows))[:SPOILED]]
    originals = [decode_photo(folder / path, longer_side_px=WORKING_SIZE_PX).pixels for path in chosen]
    print(f"\ncaught of {SPOILED} photos spoiled on purpose and written as JPEG of quality 85")
    for check, strength, spoil in spoilings():
        views = [look(jpeg(spoil(pixels, rng))) for pixels in originals]
        caught = sum(check in find_issues(view, CheckThresholds()) for view in views)
        whole = sum(cv2.Laplacian(view.grey, cv2.CV_64F).var() < 100 for view in views)
        peer = f"   whole photo < 100: {whole / SPOILED:.1%}" if check == "blurred" else ""
        print(f"  {check:<16}{strength:<44}{caught / SPOILED:>7.1%}{peer}")


def spoilings() -> list[tuple[str, str, Spoil]]:
    found: list[tuple[str, str, Spoil]] = []
    for parts in (2, 3, 4):
        found.append(("too-dark", f"light x1/{parts}", lambda p, _, k=parts: (p // k).astype(np.uint8)))
    for parts in (4, 8):
        found.append(("too-light", f"distance to white x1/{parts}", lambda p, _, k=parts: 255 - (255 - p) // k))
    for parts in (4, 8, 16):
        found.append(("low-contrast", f"contrast x1/{parts}", lambda p, _, k=parts: flatten(p, k)))
    for share in (1, 2, 3):
        text = f"Gaussian, sigma {share}/256 of the longer side"
        found.append(("blurred", text, lambda p, _, k=share: blur(p, k * max(p.shape) / 256)))
    found.append(("uniform", "contrast x1/32", lambda p, _: flatten(p, 32)))
    found.append(("grey-scale", "colour removed", lambda p, _: grey_of(p)))
    for share in (1, 2, 5):
        found.append(("border", f"black or white frame, {share} % of the side", lambda p, r, k=share: frame(p, r, k)))
    found.append(("border", "letterbox, 12 % above and below", lambda p, r: frame(p, r, 12, sides=False)))
    for degrees in (3, 6, 10, 25, 40):
        found.append(
            ("augmented", f"turned by {degrees} degrees, black corners", lambda p, _, k=degrees: turn(p, k, 0))
        )
    found.append(
        ("augmented", "turned by 25 degrees, edges mirrored", lambda p, _: turn(p, 25, 0, cv2.BORDER_REFLECT_101))
    )
    found.append(
        ("augmented", "turned by 25 degrees, edges drawn out", lambda p, _: turn(p, 25, 0, cv2.BORDER_REPLICATE))
    )
    for percent in (3, 5, 7):
        found.append(
            ("text-overlay", f"a line over the photo, {percent} % high", lambda p, r, k=percent: line(p, r, k))
        )
    found.append(("text-overlay", "a line, 5 %, half transparent (watermark)", lambda p, r: watermark(p, r)))
    found.append(("text-overlay", "a caption on a bar, 5 % high", caption))
    found.append(("text-overlay", "a phone's screen around the photo", screen))
    return found


def jpeg(pixels: Pixels) -> Pixels:
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 85, "RGB", "420")
    return np.asarray(simplejpeg.decode_jpeg(data), dtype=np.uint8)


def flatten(pixels: Pixels, parts: int) -> Pixels:
    return (128 + (pixels.astype(np.float32) - 128) / parts).astype(np.uint8)


def blur(pixels: Pixels, sigma_px: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma_px), dtype=np.uint8)


def grey_of(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def frame(pixels: Pixels, rng: np.random.Generator, percent: int, *, sides: bool = True) -> Pixels:
    width = max(1, max(pixels.shape) * percent // 100)
    across = width if sides else 0
    value = [int(rng.choice([0, 255]))] * 3
    bordered = cv2.copyMakeBorder(pixels, width, width, across, across, cv2.BORDER_CONSTANT, value=value)
    return np.asarray(bordered, dtype=np.uint8)


def turn(pixels: Pixels, degrees: float, fill: int, border: int = cv2.BORDER_CONSTANT) -> Pixels:
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turned = cv2.warpAffine(pixels, matrix, (width, height), borderMode=border, borderValue=[fill] * 3)
    return np.asarray(turned, dtype=np.uint8)


def large(pixels: Pixels) -> Pixels:
    scale = WORKING_SIZE_PX / max(pixels.shape)
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale), dtype=np.uint8)


def write(
    pixels: Pixels, rng: np.random.Generator, height_px: float, top: int, colour: tuple[int, int, int], words: int = 4
) -> Pixels:
    picture = Image.fromarray(pixels)
    font = ImageFont.load_default(size=max(6, round(height_px)))
    text = " ".join(rng.choice(WORDS, words))
    left = int(rng.uniform(0.02, 0.3) * pixels.shape[1])
    ImageDraw.Draw(picture).text((left, top), text, fill=colour, font=font)
    return np.asarray(picture)


def line(pixels: Pixels, rng: np.random.Generator, percent: int) -> Pixels:
    pixels = large(pixels)
    height = pixels.shape[0]
    colours = [(255, 255, 255), (255, 220, 0), (255, 120, 0), (0, 0, 0)]
    top = int(height * float(rng.choice([0.02, 0.88])))
    return write(pixels, rng, height * percent / 100, top, colours[int(rng.integers(4))])


def watermark(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return np.asarray(cv2.addWeighted(large(pixels), 0.5, line(pixels, rng, 5), 0.5, 0), dtype=np.uint8)


def caption(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    pixels = large(pixels)
    height = pixels.shape[0]
    value = int(rng.choice([0, 255]))
    pixels[-height // 10 :] = value
    return write(pixels, rng, height * 0.05, height - int(height * 0.085), (255 - value,) * 3)


def screen(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A 1:2.1 page with the photo in the middle and lines of text above and below."""
    pixels = large(pixels)
    width = 244
    photo = shrink(pixels, width)
    value = int(rng.choice([0, 245, 255]))
    page = np.full((WORKING_SIZE_PX, width, 3), value, np.uint8)
    page[130 : 130 + photo.shape[0], : photo.shape[1]] = photo
    colour = (0, 0, 0) if value else (255, 255, 255)
    for top in (5, 41, 66, 97, 460, 486):
        page = write(page, rng, 10, top, colour, int(rng.integers(2, 5)))
    return page


def cost() -> None:
    """Compare with decoding, shrinking and encoding the same photo of 2 megapixels."""
    rng = np.random.default_rng(0)
    patches = rng.integers(20, 236, (60, 80, 3), dtype=np.uint8)
    pixels = cv2.resize(patches, (1632, 1224), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noisy = np.clip(pixels + rng.integers(-8, 9, pixels.shape), 0, 255).astype(np.uint8)
    data = simplejpeg.encode_jpeg(noisy, 90, "RGB", "420")
    seen = shrink(noisy, WORKING_SIZE_PX)
    grey = np.asarray(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    checks = clock(lambda: find_issues(view_photo(seen, grey, (1632, 1224)), CheckThresholds()))
    print("\nall checks, share of the CPU time of decode + area resize + encode, one photo of 2 MP")
    for side in (256, 512):
        limit = clock(lambda side=side: encode(data, side))
        print(f"  written at {side} px: {checks * 1e3:.2f} ms of {limit * 1e3:.2f} ms = {checks / limit:.1%}")


def encode(data: bytes, side: int) -> None:
    size = (side, side * 3 // 4)
    small = simplejpeg.decode_jpeg(data, min_height=size[1], min_width=size[0])
    simplejpeg.encode_jpeg(cv2.resize(small, size, interpolation=cv2.INTER_AREA), 92, "RGB", "444")


def clock(work: Callable[[], object], repeats: int = 60) -> float:
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return float(np.median(times))


if __name__ == "__main__":
    main()
