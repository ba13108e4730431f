"""`python -m rlsd_cli` is the same as `rlsd`."""

from rlsd_cli.cli import main

if __name__ == "__main__":
    main()
