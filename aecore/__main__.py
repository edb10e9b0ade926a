"""Entry point of `python -m aecore`."""

from __future__ import annotations

from aecore.cli import main

if __name__ == "__main__":
    main()
