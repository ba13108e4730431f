"""`python -m rlsd_cli` is the same as `rlsd`."""

from rlsd_cli.cli import main

main()
