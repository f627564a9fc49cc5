"""Where to look when no queue was found: one line, for the shell and the screen."""

from __future__ import annotations

import shlex
from typing import Final

from qtui.bullmq.reads.queues.elsewhere import Elsewhere, Place
from qtui.text import count, plain, plural

_MOST_PLACES: Final = 5
"""Places named in the line."""

_POSTGRES: Final = "BullMQ 6 can also keep its queues in Postgres, which qtui does not read."


def elsewhere_words(found: Elsewhere, prefixes: tuple[str, ...]) -> str:
    """Advice for a database without queues; the names in it are plain already."""
    if found.places:
        places = [_place(one, found.database, prefixes) for one in found.places[:_MOST_PLACES]]
        if len(found.places) > _MOST_PLACES:
            places.append(f"and {plural(len(found.places) - _MOST_PLACES, 'more place')}")
        return f"Queues elsewhere: {'; '.join(places)}. {_POSTGRES}"
    return f"{_keys(found)} {_POSTGRES}"


def _place(place: Place, database: int, prefixes: tuple[str, ...]) -> str:
    how = []
    if place.prefix not in prefixes:
        how.append(f"--prefix {shlex.quote(plain(place.prefix))}")
    where = f"{plural(place.queues, 'queue')} under {plain(place.prefix)}:*"
    if place.database != database:
        where += f" in database {place.database}"
        how.append(f"redis://…/{place.database}")
    return f"{where} ({', '.join(how)})" if how else where


def _keys(found: Elsewhere) -> str:
    if found.keys is None:
        return "There are no queues under any other prefix." if found.whole else _partly()
    here = found.keys.get(found.database, 0)
    others = {one: keys for one, keys in found.keys.items() if one != found.database}
    said = f"Database {found.database} holds {plural(here, 'key')}"
    if others:
        some = ", ".join(
            f"{one} ({count(keys)})" for one, keys in sorted(others.items())[:_MOST_PLACES]
        )
        said += f"; other databases with keys: {some}"
    return f"{said}; none belongs to a queue." if found.whole else f"{said}. {_partly()}"


def _partly() -> str:
    return "Only part of the keys were read; none belongs to a queue."
