"""The rows of the table, a module each. `ROWS` is their order."""

from __future__ import annotations

from typing import Final

from tests.bench.row import Row
from tests.bench.rows import jobs, queues, retry, screen

ROWS: Final[tuple[Row, ...]] = (*queues.ROWS, *jobs.ROWS, *retry.ROWS, *screen.ROWS)
