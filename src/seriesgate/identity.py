"""Who this program says it is on the network and in the files that it writes."""

from seriesgate import __version__

#: Implementation Class UID (PS3.7 D.3.3.2): derived from a UUID of our own (PS3.5 B.2).
IMPLEMENTATION_CLASS_UID = "2.25.327271304304161172578507696713778251855"

#: Implementation Version Name: at most 16 characters.
IMPLEMENTATION_VERSION_NAME = f"SERIESGATE_{__version__.replace('.', '')}"[:16]
