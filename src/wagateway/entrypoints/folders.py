"""Folders that `wagateway doctor` may try, without making or spoiling any."""

import os
from pathlib import Path

from wagateway.adapters.embedded.account import user_name


def why_not_tried(folder: Path, *, maker: str) -> str | None:
    """Return why nothing is tried in *folder*, which *maker* makes; None where it can be."""
    folder = folder.expanduser()
    try:
        owner = folder.stat().st_uid
    except FileNotFoundError:
        return f"{folder} is not there yet; {maker} makes it"
    except OSError:
        return None  # trying tells more
    if os.geteuid() == 0 and owner != 0:  # what root makes there, its owner could not use
        return f"{folder} belongs to {user_name(owner)}: run this as that user"
    return None
