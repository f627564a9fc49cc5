"""What a process has used of the machine, and what programs that are measured are started with."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Final

_COMPILED: Final = Path(tempfile.gettempdir()) / f"qtui-bench-{os.getuid()}"
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def environment() -> dict[str, str]:
    """Where programs run as installed ones do, compiled from the second run on.

    They are not compiled into the folders of the code, which others run as well.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(_COMPILED)}


def megabytes(what: str, process: int | str = "self") -> float:
    """MB of a process's memory: ``VmRSS`` now, ``VmHWM`` at most; 0 once it has ended.

    Not ru_maxrss, which begins with what its parent had.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = re.search(rf"{what}:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


def cpu(process: int) -> float:
    """Seconds of CPU that a process has had."""
    text = Path(f"/proc/{process}/stat").read_text("ascii")
    parts = text.rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / _TICKS
