"""The lines around the inspector's list: where we are, what is shown, which keys act."""

from __future__ import annotations

import time
from typing import Final

from rich.cells import cell_len

from qtui.bullmq.model import QueueStatus
from qtui.text import age, count, plain, plural
from qtui.ui.keys import key_of_id, keys_by_id
from qtui.ui.session import Session
from qtui.ui.widgets.bars import Bar, StateTabs, about, header
from qtui.views.lists.board import Board
from qtui.views.queues.bursts import Bursts
from qtui.views.queues.poll import Poll
from qtui.views.queues.pulse import Seen, pulse

_FRESH: Final = 5.0
"""Seconds up to which the age of counts is not shown."""


class Surroundings:
    """Draws the bars of a screen from what it looks at."""

    def __init__(self, session: Session, board: Board, poll: Poll, bursts: Bursts) -> None:
        self._session = session
        self._bursts = bursts
        self._board = board
        self._poll = poll
        self._first_key = min(keys_by_id(session.settings.keys, "move.first"), key=len)

    def draw_header(self, bar: Bar, lost: str) -> None:
        """The top line: address, server, round trip, mode, and how old the oldest counts are."""
        session, settings = self._session, self._session.settings
        mode = "live" if self._poll.hears else f"every {settings.refresh:g} s"
        mode = (
            "lost, reconnecting"
            if lost
            else mode
            if settings.refresh
            else f"manual: {key_of_id(settings.keys, 'inspector.refresh')}"
        )
        mode += self._oldest()
        prefixes = " ".join(settings.prefixes)
        where = session.target.shown + (f"  {prefixes}:*" if settings.prefixes != ("bull",) else "")
        mode_of = " cluster" if session.server.mode == "cluster" else ""
        server = f"{session.server.name} {session.server.version}{mode_of}".strip()
        right = [(" READ-ONLY ", "badge")] if session.read_only else []
        room = bar.app.size.width - 12 * len(right)
        left = header(settings.profile, where, server, self._poll.round_trip, mode, room)
        bar.say(left, right)

    def _oldest(self) -> str:
        """How old the oldest counts are, where that is older than the refresh suggests."""
        seconds = self._poll.oldest
        if seconds < max(_FRESH, 3 * self._session.settings.refresh):
            return ""
        whose = "counts" if self._poll.is_whole else "some counts"
        return f" · {whose} {age(1000 * seconds)} old"

    def status(self) -> QueueStatus | None:
        """The counts of the queue that is shown."""
        queue = self._board.queue
        return self._poll.statuses.get(queue) if queue is not None else None

    def draw_title(self, bar: Bar, tabs: StateTabs, opened: str, newer: int) -> None:
        """The queue's line above the list, and the states.

        Args:
            bar: the line.
            tabs: the states.
            opened: the job that has the whole screen, in words; empty for none.
            newer: jobs that came in above since the cursor left the first row.
        """
        status = self.status()
        tabs.show(status, self._board.state)
        if status is None:
            bar.say([])
            return
        release = about(status, self._poll.workers)
        left, right = [(f" {plain(status.queue.name)}  ", "strong")], self._condition(newer)
        if opened:
            left.append((f"· {opened}  ", "strong"))
        facts, poll = self._poll.facts, self._poll
        if facts is not None and facts.queue == status.queue:
            now, taken = time.time() * 1000, sum(cell_len(words) for words, _ in (*left, *right))
            burst = self._bursts.of(status.queue, now)
            old = now - facts.now if poll.oldest else 0
            seen = Seen(facts=facts, rates=poll.rates, meter=poll.meter, burst=burst, old=old)
            room = bar.size.width - taken
            words = pulse(seen, now=now, room=room, beside=2 + cell_len(release))
            left += [*words, ("  ", "")] if words else []
        elif status.paused:
            left.append(("paused  ", "warn"))
        room = bar.size.width - sum(cell_len(words) for words, _ in (*left, *right))
        while cell_len(release) > room and release:  # a whole part is left out, the last one first
            release = release.rpartition(" · ")[0]
        left.append((release, "faint"))
        bar.say(left, right)

    def window_title(self) -> str:
        """What the terminal's title says: failed jobs in all queues, and whether a burst is on."""
        name = f"qtui {plain(self._session.settings.profile)}".strip()
        failed = sum(status.failed for status in self._poll.statuses.values())
        words = [name, f"{count(failed)} failed"] if failed else [name]
        return " · ".join([*words, "burst"] if self._bursts.all(time.time() * 1000) else words)

    def _condition(self, newer: int) -> list[tuple[str, str]]:
        right = [(f" ▲ {count(newer)} newer ({self._first_key}) ", "warn")] if newer else []
        right += [] if self._board.newest_first else [(" oldest first ", "faint")]
        jobs = self._board.jobs
        if jobs is not None and jobs.held:
            # How results are closed is said beside the campaign that they are of.
            thaws = key_of_id(self._session.settings.keys, "inspector.freeze")
            frozen = ("frozen", f" · {thaws} resumes")
            what, how = ("results", "") if self._board.verdicts else frozen
            since = f" · {jobs.growth:+,} {'job' if abs(jobs.growth) == 1 else 'jobs'}"
            right.append((f" {what}{since if jobs.growth else ''}{how} ", "warn"))
        return right

    def draw_filter(self, bar: Bar) -> None:
        """The filter's line: the filter, and how far the search is."""
        found, wanted = self._board.found, self._board.filter
        bar.display = found is not None
        if found is None or wanted is None:
            return
        how = "faint" if found.searching or found.finished else "warn"
        left = [(" / ", "key"), (plain(wanted.source), "strong")]
        bar.say(left, [(f"  {found.words()} ", how)])

    def marked(self) -> str:
        """How many jobs are marked, in words; empty for none."""
        marks = self._board.marks
        if marks.everything is None:
            return f"{count(len(marks))} marked" if len(marks) else ""
        found, status = self._board.found, self.status()
        if found is None:
            jobs = status.count(self._board.state) if status is not None else 0
            return f"all {plural(jobs, 'job')} marked"
        least = "" if found.finished else "at least "
        return f"{least}{plural(found.found, 'match', 'matches')} marked"
