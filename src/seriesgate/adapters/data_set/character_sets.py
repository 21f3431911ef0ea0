"""Decodes the bytes of a text in any Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1).

Best effort by design: a wrong or missing declaration gives the most likely text, a byte that fits
nothing U+FFFD. Nothing is raised, warned of or logged, for the text is a patient's.
"""

from __future__ import annotations

import re
from contextlib import suppress

# The defined terms of PS3.3 tables C.12-2 to C.12-5, by ISO-IR number or name, and Python's codec
# for them. Where a Windows code page decodes all that the standard has and also what senders put
# there in practice, it is the code page. All of them decode ASCII as ASCII.
_CODECS = {
    "13": "cp932",
    "58": "gb18030",
    "87": "cp932",
    "100": "cp1252",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "149": "cp949",
    "159": "cp932",
    "166": "iso8859_11",
    "192": "utf_8",
    "203": "iso8859_15",
    "GB2312": "gb18030",
    "GB18030": "gb18030",
    "GBK": "gb18030",
}
_WESTERN = frozenset({"cp1252", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_9", "iso8859_15"})
# In these, two bytes of a letter can be UTF-8 by chance.
_OF_SEVERAL_BYTES = frozenset({"cp932", "cp949", "gb18030"})
_HAS_LETTERS_OF_UTF_8 = re.compile(r"[^\x00-\x7f\ufffd]")
_WITHOUT_CODE_EXTENSIONS = frozenset({"192", "GB18030", "GBK"})

# PS3.3 tables C.12-3 and C.12-4: what an escape sequence puts into G1, the bytes from 0x80 on.
_G1_CODECS = {
    b"\x1b-A": "cp1252",
    b"\x1b-B": "iso8859_2",
    b"\x1b-C": "iso8859_3",
    b"\x1b-D": "iso8859_4",
    b"\x1b-F": "iso8859_7",
    b"\x1b-G": "iso8859_6",
    b"\x1b-H": "iso8859_8",
    b"\x1b-L": "iso8859_5",
    b"\x1b-M": "iso8859_9",
    b"\x1b-T": "iso8859_11",
    b"\x1b-b": "iso8859_15",
    b"\x1b)I": "cp932",
    b"\x1b$)C": "cp949",
    b"\x1b$)A": "gb18030",
}
# And what it puts into G0, the bytes below 0x80: ASCII or JIS X 0201, two-byte JIS X 0208 or 0212.
_G0_ASCII = frozenset({b"\x1b(B", b"\x1b(J"})
_G0_TWO_BYTE = frozenset({b"\x1b$B", b"\x1b$@", b"\x1b$(D"})
_ESCAPE_SEQUENCE = re.compile(rb"(\x1b(?:\$[()]?[@-D]|[()-][A-Za-z]))")
_G1_START = 0x80
_HALVES = re.compile(rb"[\x00-\x7f]+|[\x80-\xff]+")

# PS3.5 6.1.2.5.3: each of these ends what an escape sequence began; '^' and '=' in names only.
_TEXT_DELIMITER = re.compile(rb"[\t\n\f\r\\]")
_NAME_DELIMITER = re.compile(rb"[\t\n\f\r\\^=]")


def decode_text(value: bytes, specific_character_set: bytes, *, is_name: bool = False) -> str:
    """Return a raw value as text, padding and control characters included.

    `specific_character_set` is the raw value of (0008,0005); `is_name` tells a PN. Characters are
    whole even where their bytes contain a backslash, so that values are to be split afterwards.
    """
    terms = [_canonical(term) for term in specific_character_set.split(b"\\")]
    # The first term is for bytes without an escape sequence before them. Where it is empty, such
    # bytes break the rule, but senders send them.
    default = next((_CODECS[term] for term in terms if term in _CODECS), "")
    if b"\x1b" not in value or terms[0] in _WITHOUT_CODE_EXTENSIONS:
        return _decode_plain(value, default)
    return _decode_extended(value, default, _NAME_DELIMITER if is_name else _TEXT_DELIMITER)


def _canonical(term: bytes) -> str:
    """Return the ISO-IR number or the name in a defined term, also in a misspelt one."""
    letters = re.sub(r"[^A-Z0-9]", "", term.decode("ascii", "replace").upper())
    return re.sub(r"^(ISO)?(2022)?(IR)?(?=\d|GB)", "", letters)


def _decode_plain(value: bytes, codec: str) -> str:
    """Decode a value without escape sequences, also one that is not in the declared set."""
    if value.isascii():
        return value.decode("ascii")
    with suppress(UnicodeDecodeError):
        text = value.decode("utf_8")
        if _is_meant(text, codec):
            return text
    text = _decode(value, codec)
    if codec == "utf_8" and not _HAS_LETTERS_OF_UTF_8.search(text):
        return _decode(value, "")  # declared, and not a letter of it: mostly western
    return text


def _is_meant(text: str, codec: str) -> bool:
    """Whether a text that is valid UTF-8 is that, although another set is declared.

    In a western set, two letters that make one of UTF-8 hardly ever stand together. In others they
    do, and then the letter is not one of that set.
    """
    if codec in {"", "utf_8"}:
        return True
    if codec in _WESTERN:
        return all(character.isascii() or character.isalpha() for character in text)
    if codec in _OF_SEVERAL_BYTES:
        return False
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _decode(value: bytes, codec: str) -> str:
    return value.decode(codec or "cp1252", "replace")


def _decode_extended(value: bytes, default: str, delimiter: re.Pattern[bytes]) -> str:
    """Decode a value that switches its character sets by ISO 2022 escape sequences."""
    parts: list[str] = []
    two_byte = b""
    codec = default
    for piece in _ESCAPE_SEQUENCE.split(value):
        if piece in _G1_CODECS:
            codec = _G1_CODECS[piece]
            # ISO 2022 would leave G0 as it is. Programs that write and read DICOM do not.
            two_byte = b""
        elif piece in _G0_TWO_BYTE:
            two_byte = piece
        elif piece in _G0_ASCII:
            two_byte = b""
        elif two_byte:
            parts += [_decode_two_byte(half, two_byte, codec) for half in _HALVES.findall(piece)]
        else:
            reset = delimiter.search(piece)
            end = reset.start() if reset else len(piece)
            parts += (_decode(piece[:end], codec), _decode(piece[end:], default))
            if reset:
                codec = default
    return "".join(parts)


def _decode_two_byte(half: bytes, escape_sequence: bytes, codec: str) -> str:
    """Decode bytes that are all below 0x80, and so in G0, or all from it on."""
    if half[0] < _G1_START:
        return (escape_sequence + half).decode("iso2022_jp_2", "replace")
    return _decode(half, codec)
