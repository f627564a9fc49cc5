"""The rows of the table, by what they work on. `ROWS` is their order."""

from __future__ import annotations

from typing import Final

from tests.bench.row import Row
from tests.bench.rows import busy, campaigns, jobs, keys, queues, screen

ROWS: Final[tuple[Row, ...]] = (
    *queues.ROWS,
    *jobs.ROWS,
    *busy.ROWS,
    *campaigns.ROWS,
    *screen.ROWS,
    *keys.ROWS,
)
