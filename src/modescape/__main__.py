"""``python -m modescape``: the command line."""

from modescape.app.cli.main import main

main()
