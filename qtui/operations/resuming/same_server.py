"""Checks that an interrupted campaign ran on the data of this connection. Sends no commands."""

from __future__ import annotations

from qtui.bullmq.connection.origin import Origin, origin_of
from qtui.operations.journal.facts import Header
from qtui.operations.journal.reading import JournalError, Progress, is_same_address


class OtherServer(JournalError):
    """The campaign ran under another address, and nothing shows that its data is here too."""


def check_is_here(
    progress: Progress, where: str, origin: Origin | None, *, to: str = "resume"
) -> None:
    """Checks that a campaign's data is on this server: by address, or by the data's history.

    A wrong guess does no harm: each job is pinned to its finish, and any other is left alone.

    Args:
        progress: the campaign.
        where: the address of this connection.
        origin: the server there, None if it was not read.
        to: what is about to be done with it, for the error.

    Raises:
        OtherServer: neither the address nor the history is the same.
    """
    header: Header = progress.header
    if is_same_address(header.where, where):
        return
    if origin is not None and origin.shares_data_with(origin_of(progress.server)):
        return
    raise OtherServer(
        f"{header.id} ran on {header.where}: connect there to {to} it, or pass --yes if"
        f" {where} has the same data"
    )
