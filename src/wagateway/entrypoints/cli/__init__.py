"""The command line. Importing it stays light: each command loads what it needs when it runs."""

from wagateway.entrypoints.cli.program import main

__all__ = ["main"]
