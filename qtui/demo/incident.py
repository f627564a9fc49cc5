"""The process behind the demo: fills an empty server with the incident, then works its queues.

Run as `python -m qtui.demo.incident SOCKET`. It prints `READY` when the past is written and ends
when its stdin closes, so that it cannot outlive the one who holds the other end.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time

from qtui.demo import READY


def _end_with_stdin() -> None:
    """Exit at once when stdin closes, even if the event loop is busy."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def _fall_silent() -> None:
    """Discard further output: no process reads it, and it must not reach a terminal."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


async def _run(url: str) -> None:
    # Not before: these imports take a quarter of a second, and we may have to end meanwhile.
    from qtui.demo import past, present

    # A fifth of the time would go into looking for cycles that are not there yet.
    gc.disable()
    await past.write(url, round(time.time() * 1000))
    gc.enable()
    print(READY, flush=True)
    _fall_silent()
    present.start_workers(url)
    await present.trickle(url)


def main() -> None:
    """Write the past and play the present until stdin closes."""
    _end_with_stdin()
    asyncio.run(_run(f"unix://{sys.argv[1]}"))


if __name__ == "__main__":
    main()
