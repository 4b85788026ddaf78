"""`python -m canari` is the command `canari`."""

from canari.cli import main

main()
