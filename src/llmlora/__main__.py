"""`python -m llmlora` is the `llmlora` command."""

from llmlora.cli.main import main

main()
