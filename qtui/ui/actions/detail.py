"""The details of a job, and other documents in sections."""

from __future__ import annotations

from typing import Final

from qtui.ui.actions.action import Action, Where

DETAIL: Final = (
    Action(
        id="detail.next-section",
        keys=("right_square_bracket",),
        does="next_section",
        label="next section",
        help="go to the next section",
        where=Where.DETAIL,
    ),
    Action(
        id="detail.previous-section",
        keys=("left_square_bracket",),
        does="previous_section",
        label="previous section",
        help="go to the previous section",
        where=Where.DETAIL,
    ),
)
