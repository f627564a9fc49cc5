"""The jobs of each queue during the outage: the lives of some thousands of jobs.

Pure: every function takes the moment at which the demo opens (ms) and returns what came before.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from qtui.demo import story
from qtui.demo.story import HOUR, MINUTE, OUTAGE, SECOND, Data, Failure, Life

QUEUES = ("payments", "emails", "webhooks", "orders", "shipping", "imports", "invoices", "reports")
"""All queues of the demo."""

FIRST_IDS = {"payments": 85_700, "emails": 412_300, "webhooks": 20_110, "invoices": 7_040}
"""The job counters of busy queues when the story begins."""

_RETRIED = {"attempts": 3, "backoff": {"type": "exponential", "delay": 2000}}
_PEOPLE = ("ada", "grace", "edsger", "barbara", "donald", "katherine", "alan", "radia")

HOSTILE = (
    "import \x1b[31mred\x1b[0m \x1b]52;c;cm0gLXJm\x07 \x1b]0;owned\x07 \x9b2J \x00 \x7f "
    "[/foo] [@click=app.quit]x[/] \u202egnp.exe\u202c"
)
"""A name that attacks terminals (colours, clipboard, title, clear), markup and eyes (bidi)."""

HOSTILE_REASON = b"broken \xff\xfe\x80 bytes \x1b[2J\x1b]0;owned\x07 [/foo] \x00 \xe2\x80\xae end"
"""An error text that is not UTF-8, too."""

CUT_OFF = "upload-3.csv"
"""The import whose return value is cut off."""

BROKEN_JSON = '{"rows": 3, "file": '
"""A return value that is not JSON."""


@dataclass(frozen=True)
class OrderFlow:
    """An order and the jobs that it waits for."""

    order: Life
    children: tuple[Life, ...]
    """Its jobs in `shipping`."""
    waits: bool
    """Whether a child failed in a manner that leaves the order waiting."""


def _between(dice: random.Random, begin: int, end: int, count: int) -> list[int]:
    """Moments at random, in order."""
    return sorted(dice.randrange(begin, end) for _ in range(count))


def _failed(name: str, data: Data, when: int, failure: Failure, **opts: object) -> Life:
    """A job that failed for good at `when`: at once if the failure is final, else three times."""
    runs = 1 if failure.final else 3
    took = 5_000 if "Timeout" in failure.reason else 220
    pause = took + 2 * SECOND
    return Life(
        name,
        data,
        added=when - runs * pause,
        started=when - (runs - 1) * pause - took,
        took=took,
        pause=pause,
        failures=(failure,) * runs,
        opts={**_RETRIED, **opts},
    )


def _completed(queue: str, name: str, data: Data, when: int, took: int) -> Life:
    """A job that ran well, once, a moment after it was added."""
    result = story.result(queue, f"{when}{name}")
    return Life(name, data, when - 40, when, took, result=result, opts=_RETRIED)


def _payment(dice: random.Random, **more: story.Payload) -> Data:
    return {
        "customer": f"cus_{dice.randrange(10**5):05d}",
        "order": f"order-{dice.randrange(40_000, 49_999)}",
        "amount": dice.randrange(5, 400) * 100 - 1,
        "currency": dice.choice(("EUR", "EUR", "EUR", "USD", "GBP")),
        "card": dice.choice(("pm_card_visa", "pm_card_mastercard", "pm_card_amex")),
        "gateway": "stripe",
        **more,
    }


def payments(now: int) -> list[Life]:
    """Charges as they came in: fine for hours, then most fail; a dozen wait.

    Of the 452 that failed, 268 were refused and 116 timed out (attempts used up), and 68 cards
    were declined (attempts left).
    """
    dice = random.Random(6)
    lives = []
    for when in _between(dice, now - 6 * HOUR, now - OUTAGE - 2 * MINUTE, 1500):
        name = dice.choice(("charge", "charge", "charge", "capture"))
        lives.append(
            _completed("payments", name, _payment(dice), when, took=dice.randrange(180, 900))
        )
    kinds = ["refused"] * 268 + ["timeout"] * 116 + ["declined"] * 68
    dice.shuffle(kinds)
    moments = _between(dice, now - OUTAGE, now - 14 * SECOND, len(kinds))
    for when, kind in zip(moments, kinds, strict=True):
        name = dice.choice(("charge", "charge", "capture"))
        if kind == "declined":
            data = _payment(dice, card=story.BAD["card"])
            lives.append(_failed(name, data, when, story.declined()))
        elif kind == "timeout":
            slow = {"gateway": story.BAD["gateway"]} if dice.random() < 0.1 else {}
            lives.append(_failed(name, _payment(dice, **slow), when, story.timeout()))
        else:
            address = dice.choice(("10.0.0.7:5432", "10.0.0.7:5432", "10.0.0.8:5432"))
            lives.append(_failed(name, _payment(dice), when, story.refused_by(address)))
    for when in _between(dice, now - 12 * SECOND, now - SECOND, 12):
        lives.append(Life("charge", _payment(dice), when, opts=_RETRIED))
    for when in _between(dice, now - 20 * SECOND, now - 2 * SECOND, 3):
        lives.append(Life("payout", _payment(dice), when, opts={**_RETRIED, "delay": 10 * MINUTE}))
    return lives


def refunds(now: int) -> list[Life]:
    """A batch of prioritized jobs, caught by the outage: all fail, 36 of 60 with attempts left."""
    dice = random.Random(2)
    lives = []
    for number, when in enumerate(_between(dice, now - OUTAGE, now - 20 * SECOND, 60)):
        failure = story.timeout(final=True) if number % 7 < 4 else story.refused_by()
        priority = 3 if number < 45 else 10
        slow = {"gateway": story.BAD["gateway"]} if number % 14 == 0 else {}
        life = _failed("refund", _payment(dice, **slow), when, failure, priority=priority)
        lives.append(replace(life, added=now - OUTAGE - MINUTE + number))
    return lives


def emails(now: int) -> list[Life]:
    """Receipts: nearly all were sent; 28 were throttled, nine have no mailbox any more."""
    dice = random.Random(3)
    lives = []
    failed = ["throttled"] * 28 + ["rejected"] * 9
    kinds = failed + ["sent"] * 900
    dice.shuffle(kinds)
    moments = _between(dice, now - 3 * HOUR, now - 5 * SECOND, len(kinds))
    for when, kind in zip(moments, kinds, strict=True):
        name = dice.choice(("receipt", "receipt", "welcome", "password-reset"))
        person = dice.choice(_PEOPLE)
        data: Data = {"to": f"{person}@example.org", "template": name, "locale": "en"}
        if kind == "sent":
            lives.append(_completed("emails", name, data, when, took=dice.randrange(60, 400)))
        elif kind == "throttled":
            lives.append(_failed(name, data, when, story.throttled()))
        else:
            gone = story.BAD["to"]
            lives.append(_failed(name, {**data, "to": gone}, when, story.rejected(gone)))
    return lives


def webhooks(now: int) -> list[Life]:
    """Deliveries: 260 arrived, one customer's endpoint has been down for long (backoff)."""
    dice = random.Random(4)
    host = story.BAD["host"]
    patient = {"attempts": 5, "backoff": {"type": "exponential", "delay": 4 * MINUTE}}
    lives = []
    for when in _between(dice, now - 4 * HOUR, now - 25 * MINUTE, 260):
        data: Data = {"host": f"hooks.{dice.choice(_PEOPLE)}.example", "event": "order.paid"}
        lives.append(_completed("webhooks", "deliver", data, when, took=dice.randrange(40, 700)))
    for number, when in enumerate(_between(dice, now - 20 * MINUTE, now - 15 * SECOND, 33)):
        event: Data = {"host": host, "event": "order.paid", "order": f"order-{41_000 + number}"}
        life = Life("deliver", event, when - 60, when, 900, opts=patient)
        if number % 11 == 0:
            lives.append(replace(life, failures=(story.unavailable(host),) * 5, pause=2 * SECOND))
        else:
            # Due 4 to 32 minutes from now, as after one to four failures.
            runs = 1 + number % 4
            due = now + 4 * MINUTE * 2 ** (runs - 1) - number * SECOND
            begun = when - 2 * SECOND * (runs - 1)
            last = begun + (runs - 1) * 2 * SECOND
            lives.append(
                replace(
                    life,
                    added=begun - 60,
                    started=begun,
                    pause=2 * SECOND,
                    failures=(story.unavailable(host),) * runs,
                    delayed=due - last,
                )
            )
    return sorted(lives, key=lambda life: life.added)


def invoices(now: int) -> list[Life]:
    """A paused queue: 140 jobs waiting, 18 more prioritized."""
    dice = random.Random(5)
    lives = [
        _completed("invoices", "render", {"order": f"order-{40_000 + n}"}, when, took=420)
        for n, when in enumerate(_between(dice, now - 5 * HOUR, now - 50 * MINUTE, 60))
    ]
    for number, when in enumerate(_between(dice, now - 45 * MINUTE, now - SECOND, 158)):
        data: Data = {"order": f"order-{41_000 + number}", "format": "pdf"}
        urgent = {"priority": 1 + number % 3} if number % 9 == 4 else {}
        lives.append(Life("render", data, when, opts={**_RETRIED, **urgent}))
    return lives


def reports(now: int) -> list[Life]:
    """The nightly reports: all done, the important ones first."""
    dice = random.Random(6)
    begin = now - 3 * HOUR
    lives = []
    for number in range(90):
        name = ("daily-sales", "stock", "tax", "churn")[number % 4]
        when = begin + number * 70 * SECOND
        data: Data = {"day": number % 30 + 1, "format": "csv"}
        life = _completed("reports", name, data, when, took=dice.randrange(4_000, 60_000))
        opts = {**_RETRIED, "priority": 1 + number * 3 // 90 * 4}
        log = (f"reading {name}", "writing csv", "uploaded")
        lives.append(replace(life, added=begin - MINUTE + number, opts=opts, log=log))
    return lives


def families(now: int) -> list[OrderFlow]:
    """Orders with their shipping jobs: 24 shipped, 6 wait for a failed child, 3 failed with it."""
    dice = random.Random(7)
    found = []
    for number, when in enumerate(_between(dice, now - 2 * HOUR, now - OUTAGE, 24)):
        found.append(_family(f"order-{40_100 + number}", when, None))
    for number, when in enumerate(_between(dice, now - OUTAGE + MINUTE, now - 30 * SECOND, 9)):
        fatal = number % 3 == 2
        found.append(_family(f"order-{40_124 + number}", when, "fatal" if fatal else "waits"))
    return found


def _family(order: str, when: int, trouble: str | None) -> OrderFlow:
    """One order, its label, and the courier that could or could not be booked."""
    label = _completed("shipping", "label", {"order": order, "carrier": "DHL"}, when, took=800)
    label = replace(label, opts={**_RETRIED, "jobId": f"{order}-label"})
    opts = {**_RETRIED, "jobId": f"{order}-courier"}
    if trouble == "fatal":
        opts["failParentOnFailure"] = True
    done = when + 20 * SECOND
    booking: Data = {"order": order, "pickup": "warehouse-2"}
    if trouble:
        courier = replace(_failed("courier", booking, done, story.no_courier()), opts=opts)
    else:
        courier = replace(_completed("shipping", "courier", booking, done, took=1_500), opts=opts)
    parent = replace(
        _completed("orders", "fulfil", {"order": order, "items": 2}, done + 2 * SECOND, took=120),
        added=when - SECOND,
        opts={"attempts": 1, "jobId": order},
    )
    return OrderFlow(parent, (label, courier), waits=trouble == "waits")


def imports(now: int) -> list[Life]:
    """Uploads: some fine, one of a megabyte with a bad row, and one made by an attacker."""
    dice = random.Random(8)
    moments = _between(dice, now - 5 * HOUR, now - 30 * MINUTE, 16)
    lives = [
        _completed("imports", "customers.csv", {"file": f"upload-{n}.csv"}, when, took=9_000)
        for n, when in enumerate(moments)
    ]
    rows: list[story.Payload] = [
        {"row": n, "name": f"{dice.choice(_PEOPLE)} {n}", "born": f"{n % 28 + 1:02d}/02/1990"}
        for n in range(18_000)
    ]
    big: Data = {"file": "all-customers.csv", "rows": rows}
    log = ("opened all-customers.csv", "18000 rows", "row 17233: stopped")
    large = _failed("all-customers.csv", big, now - 8 * MINUTE, story.bad_row(17_233))
    lives.append(replace(large, log=log))
    attack: Data = {"file": HOSTILE, HOSTILE: HOSTILE, "nested": {"[bold]": [HOSTILE, None, 1e308]}}
    evil = _failed(HOSTILE, attack, now - 6 * MINUTE, story.failure(HOSTILE, HOSTILE))
    lives.append(replace(evil, log=(HOSTILE,)))
    return lives
