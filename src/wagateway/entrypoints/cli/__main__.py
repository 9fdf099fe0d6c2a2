"""``python -m wagateway.entrypoints.cli``: the program ``wagateway``."""

from wagateway.entrypoints.cli.program import main

if __name__ == "__main__":
    main()
