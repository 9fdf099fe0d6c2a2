"""Where this machine reaches a gateway that listens as the settings say."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where the gateway is told to listen


def local_url(host: str, port: int) -> str:
    """Return the ``http://`` address of a gateway that listens on *host* and *port*."""
    reached = _EVERYWHERE.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
