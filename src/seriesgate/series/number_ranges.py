"""Instance Numbers as ranges: what is there, and which are missing in between. Pure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class NumberRange(NamedTuple):
    """All numbers from `first` to `last`, both included."""

    first: int
    last: int


#: All that an IS can hold (PS3.5 6.2).
ANY_NUMBER = NumberRange(-(2**31), 2**31 - 1)


def ranges_of(numbers: Iterable[int]) -> list[NumberRange]:
    """Return the numbers as ranges, in order, which neither overlap nor touch."""
    ranges: list[NumberRange] = []
    first = last = None
    for number in sorted(numbers):
        if first is None or last is None:
            first = last = number
        elif number <= last + 1:
            last = number
        else:
            ranges.append(NumberRange(first, last))
            first = last = number
    if first is not None and last is not None:
        ranges.append(NumberRange(first, last))
    return ranges


def joined(known: Iterable[NumberRange], added: Iterable[NumberRange]) -> list[NumberRange]:
    """Return both as ranges, in order, which neither overlap nor touch."""
    ranges: list[NumberRange] = []
    for each in sorted({*known, *added}):
        if ranges and each.first <= ranges[-1].last + 1:
            ranges[-1] = NumberRange(ranges[-1].first, max(ranges[-1].last, each.last))
        else:
            ranges.append(each)
    return ranges


def missing_numbers(ranges: Iterable[NumberRange], most: int) -> list[int]:
    """Return the numbers between ordered ranges, the first `most` of them."""
    missing: list[int] = []
    for lower, upper in itertools.pairwise(ranges):
        # The hole is cut before it is walked: two hostile numbers may be 2**32 apart.
        end = min(upper.first, lower.last + 1 + most - len(missing))
        missing.extend(range(lower.last + 1, end))
        if len(missing) == most:
            break
    return missing
