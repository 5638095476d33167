"""All pairs of 64-bit hashes within 6 bits of each other in some orientation: exact, in NumPy, near linear in practice.

By the pigeonhole principle: cut the 63 bits into 9 blocks, and a difference of at most 6 bits leaves at least 3 of them
untouched, so every pair meets under one of the 84 triples of blocks (Norouzi, Punjani and Fleet 2012, "Fast search in
Hamming space with multi-index hashing"; there for one query, here for all pairs at once). A key of 21 bits instead of
the 16 of two bytes means a tenth of the candidates; 10 blocks, with 210 choices, are slower even for a million hashes.

The 8 orientations cost no 8 searches: each block is closed under transposition, mirroring only negates bits, so the
smallest of the 8 turned keys is one canonical key, and one self-join finds all orientations at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

MAX_DISTANCE = 6  # beyond it different photos collide: see the counts in `duplicates`

_LOW = 8
_BITS = _LOW * _LOW
_BLOCKS = 9
_CANDIDATES = 1 << 20  # compared at a time: about 30 MB
_ROWS = 1 << 16  # hashes unpacked to bits at a time: 34 MB

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.int64]


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

    Args:
        hashes: (N,) uint64, bit 63 unset (`duplicates.perceptual_hash`).
        max_distance: 0..6.

    Returns:
        (M, 2) int64 index pairs, first < second, sorted, unique. Of photos with one and the same hash each is paired
        with the first of them only: for grouping, that says all.
    """
    if not 0 <= max_distance <= MAX_DISTANCE:
        raise ValueError(f"max_distance is {max_distance}; untouched blocks are certain only up to {MAX_DISTANCE}")
    unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    everyone = np.arange(len(hashes), dtype=np.int64)
    repeated = first[inverse] != everyone
    same = np.stack([first[inverse], everyone], axis=1)[repeated]
    near = first[_near_unique(unique, max_distance)]
    pairs = np.sort(np.concatenate([same, near]), axis=1)
    in_order: Pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return in_order


def count_candidates(hashes: Hashes) -> int:
    """Return how many comparisons `near_pairs` makes for these hashes, all different: what crowding costs."""
    _, codes, _ = _prepare(hashes)
    return sum(int(_followers(keys).sum(dtype=np.int64)) for _, keys, _ in _passes(codes))


def _near_unique(hashes: Hashes, max_distance: int) -> Pairs:
    """(M, 2) pairs of indices into hashes that are all different."""
    oriented, codes, masks = _prepare(hashes)
    found = [np.empty(0, dtype=np.int64)]
    for blocks, keys, rows in _passes(codes):
        turned = oriented.ravel()[rows]
        for left, right in _meetings(_followers(keys)):
            difference = turned[left] ^ turned[right]
            close = np.flatnonzero(np.bitwise_count(difference) <= max_distance)
            untouched = (difference[close, None] & masks) == 0
            # A pair meets under every choice of its untouched blocks; it counts at the first of them.
            new = close[untouched[:, : blocks[-1] + 1].sum(axis=1) == len(blocks)]
            one, other = rows[left[new]] // 8, rows[right[new]] // 8
            found.append((np.minimum(one, other) * len(hashes) + np.maximum(one, other))[one != other])
    return np.stack(np.divmod(np.unique(np.concatenate(found)), max(1, len(hashes))), axis=1)


def _prepare(hashes: Hashes) -> tuple[Hashes, NDArray[np.uint8], Hashes]:
    """Return the (N, 8) turned hashes, the (blocks, N, 8) value of each of their blocks, and the blocks' masks."""
    layout = _layout()
    masks = np.array([sum(1 << (_BITS - 1 - bit) for bit in block) for block in layout], dtype=np.uint64)
    oriented = np.empty((len(hashes), 8), dtype=np.uint64)
    codes = np.empty((len(layout), len(hashes), 8), dtype=np.uint8)
    for start in range(0, len(hashes), _ROWS):
        part = slice(start, start + _ROWS)
        oriented[part] = orientation_hashes(hashes[part])
        octets = oriented[part].astype(">u8").view(np.uint8).reshape(-1, 8, 8)
        bits = np.unpackbits(octets, axis=2)
        for number, block in enumerate(layout):
            codes[number, part] = np.packbits(bits[:, :, block], axis=2)[:, :, 0] >> (8 - len(block))
    return oriented, codes, masks


@cache
def _layout() -> tuple[tuple[int, ...], ...]:
    """Deal the 63 bits out into blocks of 6 to 8: a block holds (u, v) with (v, u), and fine with coarse frequencies.

    Every block has bits of one odd frequency, so that the 4 mirrorings of a key all differ.
    """
    mirrored = sorted(
        ((row, column) for row in range(_LOW) for column in range(row + 1, _LOW)),
        key=lambda place: ((place[0] + place[1]) % 2 == 0, place[0] + place[1], place),
    )
    blocks: list[list[int]] = [[(_LOW + 1) * place] if place < _LOW else [] for place in range(1, _BLOCKS + 1)]
    for row, column in mirrored:
        emptiest = min(blocks, key=len)
        emptiest += [_LOW * row + column, _LOW * column + row]
    return tuple(tuple(block) for block in blocks)


def _passes(
    codes: NDArray[np.uint8],
) -> Iterator[tuple[tuple[int, ...], NDArray[np.int64], NDArray[np.int64]]]:
    """Yield for every choice of blocks: the choice, the sorted canonical keys, and their rows in `oriented.ravel()`.

    A photo whose key is its own mirror image has a row for each such orientation.
    """
    for blocks in combinations(range(_BLOCKS), _BLOCKS - MAX_DISTANCE):
        keys = codes[blocks[0]].astype(np.int32)
        for block in blocks[1:]:
            keys <<= 8
            keys |= codes[block]
        smallest = keys[:, 0].copy()
        for orientation in range(1, 8):
            np.minimum(smallest, keys[:, orientation], out=smallest)
        rows = np.flatnonzero(keys == smallest[:, None])
        packed = smallest[rows // 8].astype(np.int64) << 32 | rows
        packed.sort()
        yield blocks, packed >> 32, packed & 0xFFFFFFFF


def _followers(keys: NDArray[np.int64]) -> NDArray[np.int32]:
    """How many of the keys after each one are equal to it; the keys are sorted."""
    ends = np.flatnonzero(np.append(keys[1:] != keys[:-1], True)) if len(keys) else np.empty(0, dtype=np.int64)
    run_lengths = np.diff(ends, prepend=-1)
    return (np.repeat(ends, run_lengths) - np.arange(len(keys))).astype(np.int32)


def _meetings(followers: NDArray[np.int32]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Yield (left, right) positions of equal keys, left < right, about `_CANDIDATES` at a time."""
    total = np.cumsum(followers, dtype=np.int64)
    whole = int(total[-1]) if len(total) else 0
    edges = np.searchsorted(total, np.arange(_CANDIDATES, whole, _CANDIDATES), side="right")
    start = 0
    for stop in [*np.unique(edges).tolist(), len(followers)]:
        counts = followers[start:stop]
        left = np.repeat(np.arange(start, stop, dtype=np.int32), counts)
        if len(left):
            before = np.cumsum(counts, dtype=np.int32) - counts
            right = np.arange(1, len(left) + 1, dtype=np.int32) - np.repeat(before, counts) + left
            yield left, right
        start = stop
