"""`python -m orchestration` is the `tailrace` command."""

from orchestration.cli import main

main()
