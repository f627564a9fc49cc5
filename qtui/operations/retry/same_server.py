"""Whether a campaign that was cut off is about the data that is connected to. Asks nobody."""

from __future__ import annotations

from qtui.bullmq.connection.origin import Origin, origin_of
from qtui.operations.journal.lines import Header
from qtui.operations.journal.reading import JournalError, Progress, is_same_address


class OtherServer(JournalError):
    """The campaign ran under another address, and nothing shows that its data is here too."""


def check_is_here(progress: Progress, where: str, origin: Origin | None) -> None:
    """Lets a campaign pass whose data are here: by address, or by the history of the data.

    A wrong guess does no harm: each job is pinned to its finish, and others are left alone.

    Args:
        progress: the campaign.
        where: the address that is connected to.
        origin: the server there, None where it was not asked.

    Raises:
        OtherServer: neither is the same.
    """
    header: Header = progress.header
    if is_same_address(header.where, where):
        return
    if origin is not None and origin.shares_data_with(origin_of(progress.server)):
        return
    raise OtherServer(
        f"campaign {header.id} is about {header.where}: connect to that, or pass --yes if"
        f" {where} has the same data"
    )
