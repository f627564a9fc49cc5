"""How long the words beside a list stay."""

from __future__ import annotations

from redis.asyncio import Redis

from qtui.bullmq.keys import QueueKey
from qtui.views.lists.board import Board
from qtui.views.lists.saying import Saying

PAYMENTS, EMAILS = QueueKey.of("bull", "payments"), QueueKey.of("bull", "emails")


def test_words_about_a_list_stay_until_the_user_turns_to_another(client: Redis) -> None:
    board, saying = Board(client, 0), Saying()
    board.look_at(PAYMENTS)
    about = board.jobs
    saying.say("nothing can be undone", about)
    board.look_at(EMAILS)
    assert saying.is_true_of(board.jobs, [PAYMENTS, EMAILS])  # it turned by itself
    saying.user_acts()
    assert not saying.is_true_of(board.jobs, [PAYMENTS, EMAILS])
    assert saying.is_true_of(about, [PAYMENTS, EMAILS])
    assert saying.is_true_of(board.jobs, [EMAILS])  # theirs is gone
    saying.say("nothing can be undone", None)
    saying.user_acts()
    assert saying.is_true_of(board.jobs, [EMAILS])
