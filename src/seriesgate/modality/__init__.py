"""The other side of the wire: a modality simulator that sends files, or series that it makes."""
