"""What a manifest costs to read: memory beyond its text and time a record, over manifests of growing size.

    .venv/bin/python benchmarks/manifest.py [--records 1000 10000 100000]

Texts are counted once each, as the strings that Python holds; the rest is objects, tuples and lists.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

from plantset.core.records import Record, read_records

_NUM_CLASSES = 100
_SENTENCE = "Des taches brunes, rondes, bordées de jaune, s'étendent le long des nervures. "


def main() -> None:
    """Print one row for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    sizes = parser.parse_args().records
    print(f"Python {platform.python_version()}, {_NUM_CLASSES} classes")
    print(f"{'records':>9} {'µs/record':>10} {'json µs':>8} {'B/record':>9} {'text B':>7} {'beyond text B':>14}")
    for count in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m.jsonl"
            write_synthetic(path, count)
            read_us, json_us = time_reading(path, count)
            total, text = memory_bytes(path)
        rest = (total - text) / count
        print(f"{count:9d} {read_us:10.1f} {json_us:8.1f} {total / count:9.0f} {text / count:7.0f} {rest:14.0f}")


def write_synthetic(path: Path, count: int) -> None:
    """Write rows as `map` does: 2 languages of texts per class, paths and hashes of each photo."""
    classes = [_class_fields(number) for number in range(_NUM_CLASSES)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            row = {
                **classes[number % _NUM_CLASSES],
                "image_path": f"train/class-{number % _NUM_CLASSES}/photo-{number:07d}.jpg",
                "source_path": f"class {number % _NUM_CLASSES}/IMG_{number:07d}.JPG",
                "split": ("train", "val", "test")[number % 3],
                "sha256": f"{number:064x}",
                "phash": f"{number:016x}",
                "group": f"g{number}",
                "original_size": [4000, 3000],
                "size": [512, 384],
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def time_reading(path: Path, count: int) -> tuple[float, float]:
    """Return CPU µs a record of reading the manifest, and of `json.loads` on the same lines."""
    start = time.process_time()
    records = read_records(path)
    read_s = time.process_time() - start
    assert len(records) == count
    start = time.process_time()
    with path.open(encoding="utf-8") as file:
        for line in file:
            json.loads(line)
    return read_s / count * 1e6, (time.process_time() - start) / count * 1e6


def memory_bytes(path: Path) -> tuple[int, int]:
    """Return (bytes held by the records, bytes of their distinct text objects)."""
    tracemalloc.start()
    records = read_records(path)
    gc.collect()
    total, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return total, text_bytes(records)


def text_bytes(records: list[Record]) -> int:
    """Return the size of every distinct text that the records hold."""
    seen: dict[str, int] = {}

    def visit(value: Any) -> None:
        if isinstance(value, str):
            seen.setdefault(value, sys.getsizeof(value))
        elif isinstance(value, dict):
            for item in value.values():
                visit(item)
        elif isinstance(value, tuple):
            for item in value:
                visit(item)
        elif hasattr(value, "__slots__"):
            for name in value.__slots__:
                visit(getattr(value, name))

    for record in records:
        visit(record)
    return sum(seen.values())


def _class_fields(number: int) -> dict[str, Any]:
    said = {
        "description": f"Classe {number}. " + _SENTENCE * 12,
        "symptoms": [f"{number}-{part} {_SENTENCE}" for part in range(8)],
        "management": [f"{number}-{part} {_SENTENCE}" for part in range(6)],
    }
    return {
        "label": f"Maladie {number}",
        "class_id": f"crop--disease-{number}",
        "text": said["description"],
        "texts": {"fr": said, "en": said},
        "text_source": {"description": "catalogue"},
        "mask_terms": [f"maladie {number}", f"disease {number}"],
        "match": {"how": "exact", "score": 1.0},
    }


if __name__ == "__main__":
    main()
