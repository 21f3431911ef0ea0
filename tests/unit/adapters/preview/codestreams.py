"""Codestreams that declare what they are told to, whatever follows."""

from __future__ import annotations

import struct

JPEG_SOF, LOSSLESS_SOF, JPEG_LS_SOF = 0xC0, 0xC3, 0xF7


def segment(marker, payload=b""):
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(payload)) + payload


def jpeg(rows, columns, samples=1, bits=8, sof=JPEG_SOF):
    """The head of a JPEG or JPEG-LS."""
    components = b"".join(bytes([number, 0x11, 0]) for number in range(samples))
    header = struct.pack(">BHHB", bits, rows, columns, samples) + components
    return b"\xff\xd8" + segment(0xDB, bytes(65)) + segment(sof, header)


def jpeg_2000(right, bottom, samples=1, bits=8, tile=None, offset=(0, 0), steps=1):
    """The head of a JPEG 2000 or HTJ2K codestream."""
    width, height = tile or (right, bottom)
    size = struct.pack(">H8I", 0, right, bottom, *offset, width, height, 0, 0)
    components = bytes([bits - 1, steps, steps]) * samples
    return b"\xff\x4f" + segment(0x51, size + struct.pack(">H", samples) + components)


def rle(*segments):
    """A frame in RLE of these segments."""
    offsets = [64 + sum(map(len, segments[:number])) for number in range(len(segments))]
    header = [len(segments), *offsets, *[0] * (15 - len(segments))]
    return struct.pack("<16I", *header) + b"".join(segments)
