"""The picture of a series: which bytes are taken for one. Pure; nothing is decoded here.

PNG: W3C PNG, 5.2 and 11.2.2. WebP: RFC 9649, 2.4 to 2.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

#: How long a picture may be, in bytes, and how wide and high, in pixels.
MAX_BYTES = 256 * 1024
MAX_SIDE = 1024

PNG = "image/png"
WEBP = "image/webp"

_PNG_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_SIZE = slice(16, 24)
_WEBP_HEAD = 30
_LOSSLESS = b"\x2f"  # the signature of the lossless format


class NotAPicture(ValueError):
    """The bytes are neither PNG nor WebP."""


class PictureTooLarge(ValueError):
    """The picture is wider or higher than a preview may be, or has no size at all."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A small picture of a series, as it was sent. `media_type` is that of its content."""

    media_type: str
    content: bytes

    @property
    def entity_tag(self) -> str:
        """What tells this picture from every other, as an ETag (RFC 9110, 8.8.3)."""
        return f'"{sha256(self.content).hexdigest()[:32]}"'


def read_preview(content: bytes) -> Preview:
    """Take bytes for a picture. Raises NotAPicture and PictureTooLarge.

    Only its head is looked at: what it is and how large. A browser decodes it, and is told its
    type; no other of its formats is ever served.
    """
    if content.startswith(_PNG_HEAD) and len(content) >= _PNG_SIZE.stop:
        media_type = PNG
        size = content[_PNG_SIZE]
        width, height = int.from_bytes(size[:4]), int.from_bytes(size[4:])
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP" and len(content) >= _WEBP_HEAD:
        media_type = WEBP
        width, height = _webp_size(content)
    else:
        raise NotAPicture("a picture must be PNG or WebP")
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise PictureTooLarge(f"a picture must have from 1 to {MAX_SIDE} rows and columns")
    return Preview(media_type, content)


def _webp_size(content: bytes) -> tuple[int, int]:
    match content[12:16]:
        case b"VP8 " if content[23:26] == b"\x9d\x01\x2a":  # the start code of a key frame
            width, height = content[26:28], content[28:30]
            return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(
                height, "little"
            ) & 0x3FFF
        case b"VP8L" if content[20:21] == _LOSSLESS:
            bits = int.from_bytes(content[21:25], "little")
            return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
        case b"VP8X":
            return (
                int.from_bytes(content[24:27], "little") + 1,
                int.from_bytes(content[27:30], "little") + 1,
            )
        case _:
            raise NotAPicture("a picture must be PNG or WebP")
