"""Why a file could not be read."""


class Unreadable(Exception):
    """A part of a file cannot be had; the text says why, for people, and never quotes the file."""
