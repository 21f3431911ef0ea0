"""AE titles, as people give them in settings and on the command line."""

_MAX_LENGTH = 16


def checked_ae_title(text: str) -> str:
    """Return the AE title without the spaces around it, which mean nothing (PS3.5 6.2, VR AE).

    Raises ValueError, with a text for people, when it is empty, too long, or has a character that
    the VR does not allow: anything but printable ASCII, and the backslash.
    """
    title = text.strip(" ")
    if not title:
        raise ValueError("an AE title must not be empty")
    if len(title) > _MAX_LENGTH:
        raise ValueError(
            f"an AE title has at most {_MAX_LENGTH} characters, {title[:32]!r} has {len(title)}"
        )
    if not (title.isascii() and title.isprintable()) or "\\" in title:
        raise ValueError(f"an AE title has printable ASCII without a backslash, not {title!a}")
    return title
