"""Near copies by perceptual hash, in every orientation, found exactly and then confirmed.

The hash is the sign pattern of the 8×8 lowest DCT frequencies of a 32×32 grey image (pHash; Zauner 2010,
"Implementation and benchmarking of perceptual image hash functions"), the mean left out. Mirroring a photo negates its
odd frequencies and turning it also transposes them, so the hashes of all 8 orientations follow from the stored 64 bits.

Hashes alone merge different leaves: of 52 pairs within 6 bits among 5,454 real photos, 31 span two classes. So a pair
counts only when the two thumbnails also correlate: see `confirm_pairs`.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_DISTANCE = 6  # beyond it different photos collide: among 5,454, 6 pairs at 4, 22 at 6, 475 at 10

MIN_CORRELATION = 0.94  # at 0.92 three pairs of two classes remain of those 31, at 0.94 none
THUMBNAIL_SIDE = 16

_SIDE, _LOW = 32, 8
_BITS = _LOW * _LOW
_BLOCK_PAIRS = 1 << 21  # candidate pairs compared at a time: about 100 MB

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.int64]


def perceptual_hash(grey: NDArray[np.uint8]) -> int:
    """Return the 64-bit hash of a grey photo (H, W); bit 63 is the mean's and always 0."""
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_LOW, :_LOW]
    bits = (low > 0).ravel()
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def thumbnail(grey: NDArray[np.uint8]) -> bytes:
    """Return a 16×16 grey miniature as 256 bytes: what `confirm_pairs` compares."""
    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return cv2.resize(grey, side, interpolation=cv2.INTER_AREA).tobytes()


def orientation_hashes(hashes: Hashes) -> Hashes:
    """Return (N, 8): the hash that each photo would have, turned by 0, 90, 180, 270 degrees, and mirrored."""
    bits_NVU = np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1).reshape(-1, _LOW, _LOW)
    odd_V, odd_U = np.indices((_LOW, _LOW), dtype=np.uint8) % 2
    flips = (0 * odd_V, odd_V, odd_U, odd_V ^ odd_U)
    turned = [base ^ flip for base in (bits_NVU, bits_NVU.transpose(0, 2, 1)) for flip in flips]
    packed = np.packbits(np.stack(turned, axis=1).reshape(-1, 8, _BITS), axis=2)
    return packed.view(">u8")[:, :, 0].astype(np.uint64)


def near_pairs(hashes: Hashes, max_distance: int = MAX_DISTANCE) -> Pairs:
    """Find all pairs of photos whose hashes differ in at most `max_distance` bits in some orientation.

    Exact, by the pigeonhole principle: a difference of at most 6 bits leaves at least 2 of the 8 bytes untouched, so
    every pair meets under one of the 28 pairs of bytes. Equal hashes are collapsed before.

    Args:
        hashes: (N,) uint64.
        max_distance: 0..6.

    Returns:
        (M, 2) int64 index pairs, first < second, sorted, unique. Of photos with one and the same hash each is paired
        with the first of them only: for grouping, that says all.
    """
    if not 0 <= max_distance <= 6:
        raise ValueError(f"max_distance is {max_distance}; two untouched bytes are certain only up to 6")
    unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    everyone = np.arange(len(hashes), dtype=np.int64)
    repeated = first[inverse] != everyone
    same = np.stack([first[inverse], everyone], axis=1)[repeated]
    near = first[_near_unique(unique, max_distance)]
    pairs = np.sort(np.concatenate([same, near]).astype(np.int64), axis=1)
    return np.unique(pairs, axis=0)


def confirm_pairs(pairs: Pairs, thumbnails: NDArray[np.uint8], min_correlation: float = MIN_CORRELATION) -> Pairs:
    """Keep the pairs whose thumbnails correlate in some orientation.

    Args:
        pairs: (M, 2) indices.
        thumbnails: (N, 256) uint8.
        min_correlation: of the grey levels; it doesn't change with brightness and contrast.

    Returns:
        The rows of `pairs` that pass, in order. A thumbnail without any contrast correlates with none.
    """
    kept = [_correlated(block, thumbnails, min_correlation) for block in _split_rows(pairs, 1 << 16)]
    return np.concatenate([np.empty((0, 2), dtype=np.int64), *kept])


def _correlated(pairs: Pairs, thumbnails: NDArray[np.uint8], min_correlation: float) -> Pairs:
    left, right = (_standardised(thumbnails[pairs[:, side]]) for side in (0, 1))
    turned = (right, right.transpose(0, 2, 1))
    views = [view[:, ::down, ::across] for view in turned for down in (1, -1) for across in (1, -1)]
    best = np.max([np.einsum("nij,nij->n", left, view) for view in views], axis=0)
    kept: Pairs = pairs[best >= min_correlation]
    return kept


def _standardised(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values /= np.maximum(length, 1e-6)
    return values.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def _near_unique(hashes: Hashes, max_distance: int) -> Pairs:
    """(M, 2) pairs of indices into hashes that are all different."""
    oriented = orientation_hashes(hashes).ravel()
    owners = np.repeat(np.arange(len(hashes), dtype=np.int64), 8)
    found = [np.empty((0, 2), dtype=np.int64)]
    for low, high in combinations(range(8), 2):
        keys, oriented_keys = _key(hashes, low, high), _key(oriented, low, high)
        by_key = np.argsort(keys, kind="stable")
        counts = np.bincount(keys, minlength=1 << 16)
        starts = np.cumsum(counts) - counts
        meets = counts[oriented_keys]
        for block in _blocks(meets):
            rows, others = _expand(by_key, starts[oriented_keys[block]], meets[block])
            mine = owners[block][rows]
            close = np.bitwise_count(hashes[others] ^ oriented[block][rows]) <= max_distance
            close &= others < mine
            found.append(np.stack([others[close], mine[close]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _key(hashes: Hashes, low: int, high: int) -> NDArray[np.int64]:
    """Two bytes of each hash as one number in 0..65535."""
    octets = hashes.view(np.uint8).reshape(-1, 8)
    return octets[:, low].astype(np.int64) << 8 | octets[:, high]


def _expand(
    by_key: NDArray[np.int64], starts: NDArray[np.int64], meets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (row, other) for every pair that shares a key: row r meets `by_key[starts[r] : starts[r] + meets[r]]`."""
    rows = np.repeat(np.arange(len(meets)), meets)
    offsets = np.arange(len(rows)) - np.repeat(np.cumsum(meets) - meets, meets)
    return rows, by_key[starts[rows] + offsets]


def _blocks(meets: NDArray[np.int64]) -> list[slice]:
    """Cut the rows so that no block has many more than `_BLOCK_PAIRS` candidate pairs."""
    total = np.cumsum(meets)
    edges = np.searchsorted(total, np.arange(_BLOCK_PAIRS, int(meets.sum()), _BLOCK_PAIRS), side="right")
    return [slice(start, stop) for start, stop in pairwise([0, *np.unique(edges).tolist(), len(meets)]) if start < stop]


def _split_rows(pairs: Pairs, rows: int) -> list[Pairs]:
    return [pairs[start : start + rows] for start in range(0, len(pairs), rows)]
