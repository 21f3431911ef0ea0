"""How much one query looks at: so much that its answer comes in time, whatever is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SearchBounds:
    """Numbers of series. A walk over `examined` of them takes some 20 ms."""

    examined: int = 20_000
    #: Where there may be a shortcut: a page of what many have is full by then.
    before_a_shortcut: int = 2_000
    #: Where a condition has to look up each of them in another place.
    elsewhere: int = 1_000
    #: Where the index has all that is tried: there may be a shortcut, and need not.
    in_an_index: int = 10_000
    #: So many more where there turns out to be none: what many series have, but not the newest.
    without_a_shortcut: int = 10_000
    #: So many series are read and sorted in some 20 ms.
    few: int = 4_000
    #: Of so many times `few` series on, a look at some of them tells of many that have a text.
    sampled_from: int = 50
    has_shortcuts: bool = True


DEFAULT_BOUNDS = SearchBounds()
