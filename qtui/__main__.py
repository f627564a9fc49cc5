"""`python -m qtui`."""

from qtui.cli import main

main(prog_name="qtui")
