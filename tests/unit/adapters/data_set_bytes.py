"""Data sets for the readers of this folder, byte for byte, also such as pydicom would not write."""

import struct
import zlib
from dataclasses import dataclass

from seriesgate.series.model import InstanceHeader

UNDEFINED = 0xFFFFFFFF
LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.4"
SOP_INSTANCE = "1.2.3.1"
STUDY = "1.2.3.2"
SERIES = "1.2.3.3"
#: The header of `Encoding.data_set`.
HEADER = InstanceHeader(SOP_CLASS, SOP_INSTANCE, STUDY, SERIES, b"A/17", 7)


@dataclass(frozen=True)
class Encoding:
    """How to encode elements: one of the three of PS3.5 annex A."""

    name: str
    is_explicit: bool
    order: str
    transfer_syntax_uid: str

    def header(self, tag: int, vr: str, length: int) -> bytes:
        number = struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)
        if not self.is_explicit:
            return number + struct.pack("<L", length)
        if vr in LONG_VRS:
            return number + vr.encode() + b"\0\0" + struct.pack(f"{self.order}L", length)
        return number + vr.encode() + struct.pack(f"{self.order}H", length)

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        return self.header(tag, vr, len(value)) + value

    def bare(self, tag: int, length: int) -> bytes:
        """Return an item or a delimiter."""
        return struct.pack(f"{self.order}HHL", tag >> 16, tag & 0xFFFF, length)

    def item(self, content: bytes, *, is_defined: bool = False) -> bytes:
        if is_defined:
            return self.bare(0xFFFEE000, len(content)) + content
        return self.bare(0xFFFEE000, UNDEFINED) + content + self.bare(0xFFFEE00D, 0)

    def sequence(self, tag: int, *items: bytes, vr: str = "SQ", is_defined: bool = False) -> bytes:
        content = b"".join(items)
        if is_defined:
            return self.element(tag, vr, content)
        return self.header(tag, vr, UNDEFINED) + content + self.bare(0xFFFEE0DD, 0)

    def ui(self, tag: int, uid: str | bytes) -> bytes:
        value = uid.encode() if isinstance(uid, str) else uid
        return self.element(tag, "UI", value + b"\0" * (len(value) % 2))

    def before_uids(self) -> bytes:
        """Return what stands before (0020,000D) in a small data set."""
        return b"".join(
            (
                self.element(0x00080005, "CS", b"ISO_IR 100"),
                self.ui(0x00080016, SOP_CLASS),
                self.ui(0x00080018, SOP_INSTANCE),
                self.element(0x00080060, "CS", b"MR"),
                self.element(0x00100010, "PN", b"Doe^Jane"),
                self.element(0x00100020, "LO", b"A/17"),
            )
        )

    def uids(self) -> bytes:
        return self.ui(0x0020000D, STUDY) + self.ui(0x0020000E, SERIES)

    def instance_number(self, value: bytes = b"7 ") -> bytes:
        return self.element(0x00200013, "IS", value)

    def after(self) -> bytes:
        """Return what follows the head."""
        return self.element(0x00200020, "CS", b"L\\P ") + self.element(
            0x7FE00010, "OW", bytes(range(256))
        )

    def data_set(self, *extra: bytes) -> bytes:
        """Return a whole data set with `extra` elements before its Study Instance UID."""
        return b"".join(
            (self.before_uids(), *extra, self.uids(), self.instance_number(), self.after())
        )


EXPLICIT_LE = Encoding("explicit LE", True, "<", "1.2.840.10008.1.2.1")
IMPLICIT_LE = Encoding("implicit LE", False, "<", "1.2.840.10008.1.2")
EXPLICIT_BE = Encoding("explicit BE", True, ">", "1.2.840.10008.1.2.2")
ENCODINGS = (EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE)
DEFLATED = "1.2.840.10008.1.2.1.99"


def deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()
