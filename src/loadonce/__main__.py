"""`python -m loadonce`: the command, where its script is not on the path."""

from __future__ import annotations

from loadonce.cli import main

main()
