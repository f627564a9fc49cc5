"""Begins the journal of a campaign."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from qtui.operations.engine.action import JobAction
from qtui.operations.engine.campaign import Campaign
from qtui.operations.engine.pace import UNBOUNDED
from qtui.operations.journal.reading import JournalError
from qtui.operations.journal.writing import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Begins journals: their folder, and what the first line says about server and command."""

    folder: Path
    where: str
    """The server's address, without credentials."""
    how: str
    """The command or the key that started it."""
    reason: str = ""
    """Why the user does it, in their words."""

    def __call__(self, campaign: Campaign[JobAction]) -> Journal:
        """Begins a campaign's journal, and writes the chosen jobs to it.

        Raises:
            JournalError: it can't be written: nothing may be sent.
        """
        action, pace = campaign.action, campaign.pace
        bounds = {} if pace == UNBOUNDED else asdict(pace)
        header = replace(
            action.header(),
            where=self.where,
            how=self.how,
            reason=self.reason,
            pace=bounds,
            server=campaign.origin.members(),
        )
        journal = Journal.create(self.folder, header)
        try:
            journal.chosen(action.chosen())
        except JournalError:
            journal.close()
            raise
        return journal
