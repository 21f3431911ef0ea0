"""A modality simulator: sends files, or series that it makes."""
