"""Chance that a seed decides: the same on every machine and every version of Python."""

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Random choices made from a seed.

    Python promises that a seed gives the same ``random()`` on every version, but not the same
    ``choice`` or ``shuffle``; so everything here is built on ``random()`` alone.
    Source: Python docs, random, Notes on Reproducibility.
    """

    def __init__(self, *seed: object) -> None:
        self._random = Random("/".join(map(str, seed))).random  # noqa: S311 - not for secrets

    def chance(self, probability: float) -> bool:
        """Return True in *probability* (0 to 1) of all calls."""
        return self._random() < probability

    def between(self, low: float, high: float) -> float:
        """Return a number from *low* up to, but not including, *high*."""
        return low + (high - low) * self._random()

    def number(self, low: int, high: int) -> int:
        """Return an integer from *low* to *high*, both included."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, items: Sequence[T]) -> T:
        """Return one of *items*, which must not be empty."""
        return items[int(self._random() * len(items))]

    def weighted(self, items: Sequence[T], weights: Sequence[float]) -> T:
        """Return one of *items*, each as likely as its weight says."""
        mark = self.between(0, sum(weights))
        for item, weight in zip(items, weights, strict=True):
            mark -= weight
            if mark < 0:
                return item
        return items[-1]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """Return *count* different ones of *items* in any order, or all when there are fewer."""
        return self.shuffled(items)[:count]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return all *items* in any order."""
        keyed = [(self._random(), position, item) for position, item in enumerate(items)]
        return [item for _, _, item in sorted(keyed, key=lambda entry: entry[:2])]


def digest(size: int, *parts: object) -> bytes:
    """Return *size* bytes (1 to 64) that depend on *parts* only and look random."""
    return blake2b("/".join(map(str, parts)).encode(), digest_size=size).digest()
