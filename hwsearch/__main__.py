"""Start of the command: Ctrl-C while the modules are still being imported ends as quietly as later."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command: the entry point of ``hwsearch`` and of ``python -m hwsearch``."""
    try:
        from hwsearch.cli.main import main as command
    except KeyboardInterrupt:
        sys.stderr.write("interrupted before anything began.\n")
        raise SystemExit(130) from None
    command()


if __name__ == "__main__":
    main()
