"""The layout of the head of a data set, remembered to read the next one like it in few steps.

The instances of a series have the same elements, most of them with the same length. So the headers
that a walk has read are expected in the same places of the next data set, and compared in bulk.
Where a value is wanted, or lengths have been seen to differ, the length is read instead; such a
place is called a joint. A layout repeats what a walk did and decides nothing: data in which any
header is another one is left to the walk.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from seriesgate.adapters.data_set.element_header import has_plain_length

if TYPE_CHECKING:
    from collections.abc import Sequence

# Heads of real images have 40 to 100 elements, with private ones some hundreds.
MAX_STEPS = 512
_MAX_PAUSE = 63

Step: TypeAlias = tuple[bytes, int, str, int | None]
"""What a walk did with one element: the header that it read; how many bytes it skipped after it;
how its reader unpacks lengths, "" if not always the same; the tag if it kept the value."""

Segment: TypeAlias = tuple[struct.Struct, list[bytes], int | None]
"""The headers after a joint up to the next one, whose header lacks its length; that is unpacked
behind them. The tag is that of the joint if its value is wanted."""


class HeadLayout(NamedTuple):
    """What heads like one that was walked have in common. It ends with a joint."""

    steps: Sequence[Step]
    joints: set[int]
    segments: list[Segment]
    max_value_bytes: int

    def values(self, data: memoryview) -> dict[int, bytes] | None:
        """Return what a walk would find in the head of `data`; None when only a walk can tell."""
        values = {}
        position = 0
        max_length = self.max_value_bytes
        try:
            for fields, headers, wanted_tag in self.segments:
                *found, length = fields.unpack_from(data, position)
                if found != headers or length > max_length:
                    return None
                start = position + fields.size
                position = start + length
                if wanted_tag is not None:
                    values[wanted_tag] = bytes(data[start:position])
        except struct.error:
            return None  # the head goes on beyond `data`
        return values if position <= len(data) else None


class HeadMemory:
    """The layout of a head that was walked, for heads that come one after the other.

    All of them are in one transfer syntax, and all walks have the same limits.
    """

    def __init__(self, max_value_bytes: int) -> None:
        self._max_value_bytes = max_value_bytes
        self._layout: HeadLayout | None = None
        # Learning costs more than a walk. So after each layout that was of no use, twice as many
        # heads go by before the next one is learnt.
        self._pause = 0
        self._next_pause = 0

    def values(self, data: memoryview) -> dict[int, bytes] | None:
        """Return what a walk would find in the head of `data`; None when it has to be walked."""
        if self._layout is None:
            return None
        values = self._layout.values(data)
        if values is not None:
            self._pause = self._next_pause = 0
        return values

    def new_steps(self) -> list[Step] | None:
        """Return a list for the steps of the next walk; None when nothing is to be learnt of it."""
        if self._pause:
            self._pause -= 1
            return None
        return []

    def learn(self, steps: Sequence[Step]) -> None:
        """Remember the layout of a head that was walked to its end."""
        self._layout = _layout(steps, self._max_value_bytes, self._layout)
        self._pause = self._next_pause
        self._next_pause = min(2 * self._next_pause + 1, _MAX_PAUSE)


def _layout(
    steps: Sequence[Step], max_value_bytes: int, previous: HeadLayout | None
) -> HeadLayout | None:
    """Return the layout of a head, or None when another one could not be read by its layout.

    `steps` are those of a walk that came to the end of the head and kept at most `max_value_bytes`
    of a value. `previous` is the layout that did not fit: what varies between the two is a joint.
    """
    wanted = [number for number, step in enumerate(steps) if step[3] is not None]
    joints = {*wanted, len(steps) - 1}
    is_repeatable = (
        0 < len(steps) <= MAX_STEPS
        and all(_is_joint(steps[number]) for number in joints)
        # Of duplicates the first one counts.
        and len({steps[number][3] for number in wanted}) == len(wanted)
    )
    if not is_repeatable:
        return None
    if previous is not None:
        joints |= _joints_between(previous, steps)
    edges = [0, *(number + 1 for number in sorted(joints))]
    segments = [_segment(steps[start:end]) for start, end in pairwise(edges)]
    return HeadLayout(steps, joints, segments, max_value_bytes)


def _is_joint(step: Step) -> bool:
    """Whether a walk would do just the same with any other length that is not undefined."""
    header, _, length_format, _ = step
    return bool(length_format) and has_plain_length(header, length_format)


def _joints_between(previous: HeadLayout, steps: Sequence[Step]) -> set[int]:
    """Return all joints known for two heads of the same elements, and none for any others."""
    joints = set(previous.joints)
    for number, (old, new) in enumerate(zip(previous.steps, steps, strict=False)):
        if old[0] != new[0]:
            if not (_is_joint(old) and _is_joint(new) and _name(old) == _name(new)):
                return set()
            joints.add(number)
    return joints


def _segment(steps: Sequence[Step]) -> Segment:
    *fixed, joint = steps
    _, _, length_format, wanted_tag = joint
    name = _name(joint)
    distances = "".join([f"{len(header)}s{length}x" for header, length, _, _ in fixed])
    fields = struct.Struct(f"{length_format[0]}{distances}{len(name)}s{length_format[1]}")
    return fields, [*(header for header, *_ in fixed), name], wanted_tag


def _name(step: Step) -> bytes:
    """Return the header of a joint without its length."""
    header, _, length_format, _ = step
    return header[: -struct.calcsize(length_format)]
