"""The incident's facts: errors with their stacks, and which jobs succeed now.

Pure: it must know neither Redis nor BullMQ.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

Payload = str | int | float | bool | None | list["Payload"] | dict[str, "Payload"]
Data = dict[str, Payload]

SECOND = 1_000
"""Milliseconds; BullMQ's times are all milliseconds since 1970."""
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

OUTAGE = 20 * MINUTE
"""How long the payment provider was down: it came back the moment the demo opens."""


@dataclass(frozen=True)
class Failure:
    """How one run of a job ended badly."""

    reason: str
    """The message of the error, one line."""
    stack: str
    """The error as Node prints it, over several lines."""
    final: bool = False
    """Whether the job gives up at once, with attempts left (BullMQ's UnrecoverableError)."""


@dataclass(frozen=True)
class Life:
    """One job from the moment it was added to where it is when the demo opens. Times in ms."""

    name: str
    data: Data
    added: int
    started: int = 0
    """When it ran first; 0: it still waits for its first run."""
    took: int = 300
    """How long each run took."""
    pause: int = 4 * SECOND
    """Between the start of one run and of the next."""
    failures: tuple[Failure, ...] = ()
    """One for each run that failed, the oldest first."""
    result: Payload = None
    """What its last run returned; None: its last run failed."""
    delayed: int = 0
    """How long its last failure sent it to `delayed` for; 0: it failed for good."""
    opts: Mapping[str, object] = field(default_factory=dict)
    """BullMQ's job options."""
    log: tuple[str, ...] = ()
    """Lines that the job logged while it ran."""


def failure(reason: str, *frames: str, kind: str = "Error", final: bool = False) -> Failure:
    """A failure whose stack ends in the frames of every BullMQ worker."""
    everyone = (
        "async Worker.processJob (/app/node_modules/bullmq/dist/cjs/classes/worker.js:512:28)",
        "async Worker.retryIfFailed (/app/node_modules/bullmq/dist/cjs/classes/worker.js:806:24)",
    )
    lines = [f"{kind}: {reason}", *(f"    at {frame}" for frame in (*frames, *everyone))]
    return Failure(reason, "\n".join(lines), final)


def refused_by(address: str = "10.0.0.7:5432") -> Failure:
    """The provider's ledger refuses connections."""
    return failure(
        f"connect ECONNREFUSED {address}",
        "TCPConnectWrap.afterConnect [as oncomplete] (node:net:1607:16)",
        "async Ledger.connect (/app/src/payments/ledger.ts:58:22)",
        "async Ledger.reserve (/app/src/payments/ledger.ts:97:18)",
        "async charge (/app/src/payments/charge.ts:41:12)",
    )


def timeout(ms: int = 5000, final: bool = False) -> Failure:
    """The provider's gateway does not answer."""
    return failure(
        f"Timeout of {ms}ms exceeded",
        "Timeout._onTimeout (/app/src/payments/gateway.ts:41:12)",
        "listOnTimeout (node:internal/timers:581:17)",
        "process.processTimers (node:internal/timers:519:7)",
        "async Gateway.post (/app/src/payments/gateway.ts:73:20)",
        kind="TimeoutError",
        final=final,
    )


def declined() -> Failure:
    """Not the provider's fault: it fails on every attempt."""
    return failure(
        "Stripe: card_declined (insufficient_funds)",
        "StripeError.generate (/app/node_modules/stripe/cjs/Error.js:11:20)",
        "IncomingMessage.<anonymous> (/app/node_modules/stripe/cjs/RequestSender.js:108:54)",
        "async charge (/app/src/payments/charge.ts:52:20)",
        kind="UnrecoverableError",
        final=True,
    )


def unavailable(host: str) -> Failure:
    """A customer's endpoint that answers 503."""
    return failure(
        f"HTTP 503 Service Unavailable from https://{host}/hooks",
        "Deliverer.check (/app/src/webhooks/deliver.ts:88:11)",
        "async deliver (/app/src/webhooks/deliver.ts:34:16)",
        kind="HttpError",
    )


def throttled() -> Failure:
    """The mail relay throttles us."""
    return failure(
        "421 4.7.0 Too many concurrent SMTP connections",
        "SMTPConnection._formatError (/app/node_modules/nodemailer/lib/smtp-connection.js:809:19)",
        "async send (/app/src/emails/send.ts:27:18)",
    )


def rejected(address: str) -> Failure:
    """A mailbox that does not exist."""
    return failure(
        f"550 5.1.1 <{address}>: Recipient address rejected",
        "SMTPConnection._formatError (/app/node_modules/nodemailer/lib/smtp-connection.js:809:19)",
        "async send (/app/src/emails/send.ts:27:18)",
        kind="UnrecoverableError",
        final=True,
    )


def no_courier() -> Failure:
    """Booking a courier needs the payment provider too."""
    return failure(
        "courier not booked: payment provider unavailable",
        "Courier.book (/app/src/shipping/courier.ts:64:13)",
        "async book (/app/src/shipping/book.ts:22:9)",
    )


def bad_row(row: int) -> Failure:
    """A row of an import that cannot be read."""
    return failure(
        f'Row {row}: "31/02/2024" is not a date',
        "parseRow (/app/src/imports/csv.ts:118:11)",
        "async importFile (/app/src/imports/import.ts:45:7)",
        kind="RangeError",
    )


_DECLINED_CARD = "pm_card_chargeDeclinedInsufficientFunds"
_SLOW_GATEWAY = "adyen-eu-legacy"
_DEAD_HOST = "api.acme.example"
_GONE = "former.colleague@example.com"

BAD: Mapping[str, str] = {
    "card": _DECLINED_CARD,
    "gateway": _SLOW_GATEWAY,
    "host": _DEAD_HOST,
    "to": _GONE,
}
"""Job data of jobs that fail even now that the provider is back."""


def ruling(data: Payload) -> Failure | None:
    """How a job that has such data ends now that the provider is back; None: it completes."""
    if not isinstance(data, dict):
        return None
    if data.get("card") == _DECLINED_CARD:
        return declined()
    if data.get("gateway") == _SLOW_GATEWAY:
        return timeout(final=True)
    if data.get("host") == _DEAD_HOST:
        return unavailable(_DEAD_HOST)
    if data.get("to") == _GONE:
        return rejected(_GONE)
    return None


def duration(job_id: str) -> float:
    """Seconds that a run takes, 0.3 to 1.5, always the same for the same job."""
    return 0.3 + 1.2 * (zlib.crc32(job_id.encode(errors="surrogateescape")) % 1000) / 1000


def result(queue: str, job_id: str) -> Payload:
    """What a job of a queue returns when it completes."""
    token = f"{zlib.crc32(f'{queue} {job_id}'.encode(errors='surrogateescape')):08x}"
    results: dict[str, Payload] = {
        "payments": {"charge": f"ch_3P{token}", "status": "succeeded"},
        "emails": {"messageId": f"<{token}@mail.shop.example>", "response": "250 2.0.0 OK"},
        "invoices": {"pdf": f"s3://invoices/{token}.pdf", "pages": 2},
        "reports": {"rows": int(token[:4], 16), "file": f"s3://reports/{token}.csv"},
        "webhooks": {"status": 200, "ms": int(token[:2], 16) + 40},
        "shipping": {"tracking": f"JD0146{token}", "carrier": "DHL"},
        "orders": {"shipped": True},
        "imports": {"rows": 1200, "skipped": 0},
    }
    return results.get(queue)
