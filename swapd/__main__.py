"""`python -m swapd`: the command line, where ``swapd`` is not on PATH."""

from swapd.cli import main

main(prog_name="swapd")
