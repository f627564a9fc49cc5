"""`python -m qtui.cli`: the same as `qtui`."""

from qtui.cli import main

if __name__ == "__main__":
    main(prog_name="qtui")
