"""Jobs and campaigns for the journal, and processes of their own that write one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from qtui.bullmq.codes import Code, Result
from qtui.bullmq.writers.batch import Picked
from qtui.operations.journal.facts import Header, Snapshot, WrittenSelection
from tests.patience import PATIENCE

WHERE = "redis://cache-1:6379/0"


def header(jobs: int | None = None, *, where: str = WHERE) -> Header:
    """A campaign of chosen jobs, or of all failed ones."""
    kind = "query" if jobs is None else "ids"
    return Header(
        where=where,
        queue="bull:pay",
        prefix="bull",
        state="failed",
        selection=WrittenSelection(kind=kind, jobs=jobs),
        how="key r",
    )


def failed(number: int) -> Snapshot:
    """A job with a stack trace."""
    stack = json.dumps(
        [f"Error: no\n    at charge{line} (/app/a.js:{line}:1)" for line in range(9)]
    )
    fields = {"name": "charge", "failedReason": f"no {number}", "stacktrace": stack}
    return Snapshot(str(number), 1e12 + number, fields)


def picked(*numbers: int) -> list[Picked]:
    """Jobs as they are chosen."""
    return [Picked(str(number), 1e12 + number) for number in numbers]


def retried(*numbers: int) -> list[Result]:
    """Codes of jobs that went through."""
    return [Result(str(number), Code.DONE, "wait") for number in numbers]


TEXTS = st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape")) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=60
)
"""Texts as Redis's replies are decoded: bytes that are no UTF-8 among them."""


_PRELUDE = """
import os, resource, sys, tempfile
from pathlib import Path
from qtui.bullmq.codes import Code
from qtui.operations.journal.writing import Journal
from qtui.operations.journal.lines import snapshot_lines
from qtui.operations.journal.reading import JournalError
from tests.operations.journals import failed, header, retried
"""


def child(code: str, *args: object) -> subprocess.Popen[str]:
    """A process of its own, with all that writes a journal at hand."""
    return subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + code, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@contextmanager
def running(code: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """A process that is not left behind."""
    process = child(code, *args)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def said(code: str, *args: object) -> list[str]:
    """What a process says, line by line."""
    process = child(code, *args)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    return out.splitlines()
