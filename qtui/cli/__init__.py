"""The command line: its commands and options, and the function that each command calls.

Nothing here imports textual or redis until a command needs them, so that ``--help`` and
``--version`` answer at once.
"""

from qtui.cli import jobs, past, queues, reading, retrying, shell
from qtui.cli.group import main

__all__ = ["jobs", "main", "past", "queues", "reading", "retrying", "shell"]
