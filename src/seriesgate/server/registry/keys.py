"""The short forms of values that the database finds series by. Pure.

DICOM limits each of these values (PS3.5 6.2), reports hardly do. A key is cut, so that an index of
any database can hold it: PostgreSQL's takes rows of 2,704 bytes at most.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from unicodedata import normalize
from zlib import crc32

from seriesgate.server.registry.query import Attribute, OneOf, Wildcard

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from seriesgate.server.registry.query import Condition, SeriesFilter

KEY_LENGTH = 64
_NAME_LENGTH = 200  # three components of 64 characters, and what stands between them
_SEARCHED = (
    Attribute.PATIENT_NAME,
    Attribute.PATIENT_ID,
    Attribute.ACCESSION_NUMBER,
    Attribute.STUDY_DESCRIPTION,
    Attribute.SERIES_DESCRIPTION,
)
_INDEXED = (*_SEARCHED, Attribute.BODY_PART, Attribute.MANUFACTURER)
#: What is looked for as a whole only. Many series have each value of these.
_NAMED = (Attribute.GATEWAY, Attribute.MODALITY)
#: In no value: a report has no control characters.
_BETWEEN = "\n"
_SIGN, _PRIVATE = "\x01", 0xE000

# Characters in the order of their code points; surrogates, in between, are none.
_BEFORE_SURROGATES, _AFTER_SURROGATES, _LAST = "\ud7ff", "\ue000", "\U0010ffff"


def key(attribute: Attribute, value: str) -> str:
    """Give the form in which a value of `attribute`, or a pattern for it, is compared."""
    match attribute:
        case Attribute.PATIENT_NAME:
            return folded(value.strip(" "))[:_NAME_LENGTH]
        case Attribute.SERIES | Attribute.STUDY:
            return value
        case _:
            return composed(value.strip(" "))[:KEY_LENGTH]


def composed(text: str) -> str:
    """Return text in the form in which it makes no difference how accents are written.

    A letter with an accent is one character or two, by whoever has typed it; they are canonically
    equivalent (Unicode Standard Annex 15), and this is Normalization Form C.
    """
    return text if text.isascii() else normalize("NFC", text)


def same_text(one: str, other: str) -> bool:
    """Return whether two values are equal, however accents are written.

    Leading and trailing spaces of an LO are not significant (PS3.5 6.2).
    """
    return composed(one.strip(" ")) == composed(other.strip(" "))


def folded(text: str) -> str:
    """Return text in the form in which the case of letters makes no difference, nor do accents.

    As Unicode's canonical caseless matching has it (3.13, D145), composed.
    """
    return text.lower() if text.isascii() else normalize("NFC", normalize("NFD", text).casefold())


def search_text(row: Mapping[str, Any]) -> str:
    """Give what a search for text looks into, case folded."""
    return folded(_BETWEEN.join(row[attribute] for attribute in _SEARCHED))


def indexed_text(row: Mapping[str, Any]) -> str:
    """Give the texts that series are found by in the index of texts, case folded.

    At the end are signs of what a search for text is often limited to, so that the index knows
    which series meet both. None of these is part of any other text.
    """
    texts = [folded(row[attribute]) for attribute in _INDEXED]
    texts += [_sign(attribute, key(attribute, row[attribute])) for attribute in _NAMED]
    return _BETWEEN.join(texts)


@lru_cache(1024)
def _sign(attribute: Attribute, value: str) -> str:
    """Give three letters for a value, which the index of texts takes for one entry.

    The last two are of Unicode's private use area, as is nothing else here. Some values share a
    sign, and a series that is found by it may have the other one.
    """
    number = crc32(f"{attribute}={value}".encode())
    return _SIGN + "".join(chr(_PRIVATE + each) for each in divmod(number % 2**24, 2**12))


def contained_texts(wanted: SeriesFilter) -> list[str]:
    """Give texts that `indexed_text` contains of each series that is wanted; there may be more."""
    texts = [folded(wanted.text)]
    for condition in wanted.conditions:
        if condition.attribute in _NAMED and isinstance(condition, OneOf):
            if len(condition.values) == 1:
                value = key(condition.attribute, condition.values[0])
                texts.append(_sign(condition.attribute, value))
        elif condition.attribute in _INDEXED:
            match condition:
                case OneOf(values=(value,)):
                    texts.append(folded(key(condition.attribute, value)))
                case Wildcard(pattern=pattern):
                    texts += re.split(r"[*?]", folded(key(condition.attribute, pattern)))
    return texts


def searched_text(condition: Condition) -> str:
    """Give a text that `search_text` contains of each series that meets a condition; it may be "".

    It is the longest one that is known.
    """
    if condition.attribute not in _SEARCHED:
        return ""
    match condition:
        case OneOf(values=(value,)):
            return folded(key(condition.attribute, value))
        case Wildcard(pattern=pattern):
            parts = re.split(r"[*?]", folded(key(condition.attribute, pattern)))
            return max(parts, key=len)
        case _:
            return ""


def after_prefix(prefix: str) -> str | None:
    """Give the least text that comes after all that start with `prefix`, None if there is none."""
    for end in range(len(prefix), 0, -1):
        last = prefix[end - 1]
        if last < _LAST:
            following = _AFTER_SURROGATES if last == _BEFORE_SURROGATES else chr(ord(last) + 1)
            return prefix[: end - 1] + following
    return None
