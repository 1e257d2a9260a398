"""Entry point of ``python -m hwsearch.cli``."""

from hwsearch.cli.main import main

main()
