r"""What two failures have in common: an error text with all that varies replaced. Pure, stdlib only.

A group should be a cause that a person would name: what tells causes apart is kept, what tells
occurrences apart is replaced. Replaced are numbers, ids, digests, times, addresses, URLs, paths,
emails and quoted values. Kept are words, constants (``ECONNREFUSED``), codes (an HTTP status, an
errno, SQLSTATE, exit code or SMTP reply, told by the words around it), and quoted names of what
lives in code or schema and not in data: ``constraint "users_email_key"``.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 200
"""Characters in the longest signature."""
_HEAD: Final = 16_384
"""Characters at the start of a reason in which its first line is looked for."""
_LINE: Final = 2_000
"""Characters of that line that patterns see: half from each end, because wrapped errors and SQL
builders put the cause last. All that follows is linear in this, or at worst square."""
_PASSES: Final = 16
"""Every pass that changes anything swallows some text for good; in practice the second rests."""

# Where to look -------------------------------------------------------------------------------

_ANSI: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SAYS: Final = re.compile(r"[^\W_]")
_TRACEBACK: Final = "Traceback (most recent call last)"
_PRISMA: Final = re.compile(r"invocation(?: in|:)?$")
_FRAME: Final = re.compile(r"[\s→+~?{})\]]|(?:/|[A-Z]:\\)\S+:\d+$")
"""Lines of source or arguments that Prisma shows between its first line and the cause."""


def _speaking(lines: list[str]) -> list[str]:
    return [line for line in lines if _SAYS.search(line)]


def _headline(reason: str) -> str:
    """The line that names the cause; two lines in one where the first only announces it."""
    head = reason[:_HEAD] if reason[:1] > " " else reason.lstrip()[:_HEAD]
    if "\x1b" in head:
        head = _ANSI.sub("", head)
    lines = head.splitlines()
    if len(lines) < 2:
        return head
    spoken = _speaking(lines)
    if not spoken:
        return head.strip()[:_LINE].split("\n")[0]
    first = spoken[0].strip()
    if lines[0].strip() in ("{", "[", "[{"):
        return " ".join(head[:_LINE].split())
    if first.startswith(_TRACEBACK):
        return next((line for line in spoken[1:] if not line[0].isspace()), first)
    if _PRISMA.search(first):
        causes = [line for line in spoken[1:] if not _FRAME.match(line)]
        return f"{first.removesuffix(':').removesuffix(' in')}: {causes[0]}" if causes else first
    if first.startswith("Command failed:"):
        return f"{first} | {spoken[-1].strip()}" if spoken[1:] else first
    if first.endswith(":") and spoken[1:]:
        return f"{first} {spoken[1].strip()}"
    return first


# What to replace: whole phrases, each with a word without which there is no need to look ---------

_UNIT: Final = r"(?:milliseconds?|minutes?|seconds?|hours?|ms|mins?|secs?|us|µs|ns|[hmsd])"
_SPAN: Final = rf"\d+(?:\.\d+)?(?: ?{_UNIT}(?![a-z])|{_UNIT}(?=\d))"
_CLOCK: Final = r"\d\d?:\d\d:\d\d(?:[.,]\d+)?(?: ?[AaPp][Mm]\b)?"
_ZONE: Final = r"(?:Z| ?(?:UTC|GMT)?[+-]\d\d:?\d\d| (?:UTC|GMT))(?: \([A-Z][^()]{2,40}\))?"
_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_DAY: Final = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_LABEL: Final = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"

_PHRASES: Final = tuple(
    (needle, re.compile(pattern), put)
    for needle, pattern, put in (
        # BullMQ's own words (Scripts.finishedErrors and moveToFinished, 1.x to 6.x): any text may be
        # a job's id.
        (" for job ", r"\b((?:key|lock|mismatch) for job )\S+?(?=\.? |\.?$)", r"\1<id>"),
        ("parent job ", r"\b(parent job )\S+?(?=\. | cannot be )", r"\1<id>"),
        ("Job ", r"\b(Job )\S+(?= is not in the | has pending | belongs to )", r"\1<id>"),
        ("complete job ", r"\b(complete job )\S+(?= because )", r"\1<id>"),
        (" error for ", r"\b(Unknown code -?\d+ error for )\S+(?=\. )", r"\1<id>"),
        ("child ", r"\b(child \S+?:)(?:repeat:\S+|[^\s:]+)(?= failed)", r"\1<id>"),
        # Waits come in units that change with their length.
        ("again ", rf"\b(again (?:in|after) ){_SPAN}(?: ?{_SPAN})*", r"\1<time>"),
        ("etry", rf"\b([Rr]etry(?:ing)?(?: in| after)? ){_SPAN}(?: ?{_SPAN})*", r"\1<time>"),
        # A bare name is a host only after words that say so.
        (
            "E",
            r"\b((?:ENOTFOUND|EAI_[A-Z]+|ETIMEOUT|ESERVFAIL|ENODATA|EREFUSED) )"
            r"[\w.-]*(?:\w\.\w[\w.-]*|\w(?=$|[:,;)]| [\w-]+:\d))(?::\d+)?",
            r"\1<address>",
        ),
        ("lookup ", r"\b(lookup )[\w-][\w.-]*(?= on |: )", r"\1<address>"),
        ("Host: ", r"\b(Host: )[\w-][\w.-]*\w", r"\1<address>"),
        ("DNS:", r"\bDNS:[^\s,]+(?:, (?:DNS|IP Address):[^\s,]+)*", "DNS:<address>"),
        (" with url: ", r"( with url: )\S+", r"\1<url>"),
        ("Key (", r"\b(Key \([^()]{1,80}\)=)\([^()]*\)", r"\1(<quoted>)"),
        ("quest ID: ", r"\b(Request ID: )[^\s,;)]+", r"\1<id>"),
        (":error:", r"(?<!\w)[0-9A-F]{8,16}(?=:error:)", "<hex>"),
        (
            " 20",
            rf"(?<!\w)(?:{_DAY},? )?(?:{_MONTH} \d\d?(?:,? \d{{4}}|(?= \d\d:))"
            rf"|\d\d? {_MONTH} \d{{4}})(?: {_CLOCK}{_ZONE}?)?(?!\w)",
            "<time>",
        ),
    )
)

# What to replace: by its looks -----------------------------------------------------------------

_HEX: Final = "[0-9A-Fa-f]"
_FILES: Final = [
    "js",
    "ts",
    "mjs",
    "cjs",
    "mts",
    "jsx",
    "tsx",
    "vue",
    "py",
    "rb",
    "go",
    "rs",
    "java",
    "kt",
    "php",
    "cs",
    "c",
    "cc",
    "cpp",
    "h",
    "sql",
]
_NO_FILE: Final = "".join(rf"(?<!\.{extension})" for extension in _FILES)
_MODELS: Final = r"(?:gpt|claude|gemini|llama|mi[sx]tral|qwen|deepseek|text-embedding)"

_QUOTES: Final = r"""
  (?P<quote> "[^"\\]*+(?:\\.[^"\\]*+)*+" | '(?:[^']|'(?=\w))*+'(?!\w) | “[^”]*” | ‘[^’]*’ )
| (?P<code> `[^`]*` )
"""
_SLASHED: Final = r"""
  (?P<url> (?:/[\w.~%+-]*)++\?[^\s"'`<>()]+ )
| (?P<path> /(?:tmp|var|home|Users|usr|opt|mnt|srv|root|etc|private|run|proc|dev)
    /[^\s"'`:;,()<>\[\]]+(?::\d+){0,2}
  | (?:/[\w.@+~-]+)++(?:(?<=\.\w)|(?<=\.\w\w)|(?<=\.\w{3})|(?<=\.\w{4}))(?::\d+){0,2} )
"""
_COLONS: Final = rf"""
  (?P<ipv6> \[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*(?:%\w+)?\](?::\d+)?
  | (?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?::(?:{_HEX}{{1,4}}:){{0,7}}
    (?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?|{_HEX}{{1,5}}) (?![\w:])
  | (?:{_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}} (?![\w:]) | (?:{_HEX}{{2}}:){{5}}{_HEX}{{2}} (?![\w:]) )
"""
_DIGITS: Final = rf"""
  (?P<uuid> {_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}} (?!\w) )
| (?P<time> \d{{4}}-\d\d-\d\d(?:[T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?{_ZONE.replace(" ", "[ ]")}?)?
    (?!\w)
  | (?:\d{{4}}/\d\d/\d\d|\d\d?/\d\d?/\d{{4}})(?:,?[ ]{_CLOCK.replace(" ", "[ ]")})? (?!\w)
  | {_CLOCK.replace(" ", "[ ]")}{_ZONE.replace(" ", "[ ]")}? (?![\w:]) )
| (?P<address> (?:\d{{1,3}}\.){{3}}\d{{1,3}}(?:/\d\d?)?(?::\d+)? (?![\w.]\w|\w) )
| (?P<hex> 0[xX]{_HEX}+ (?!\w) )
| (?P<span> (?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs)){{2,}} (?!\w) )
| (?P<number> \d+(?:[.,]\d+)*+ (?=[A-Za-zµ%]{{0,4}}+(?![A-Za-z0-9_])) )
"""
_WORDS: Final = rf"""
  (?P<link> [A-Za-z][A-Za-z0-9+-]{{1,15}}://[^\s"'`<>()\[\]{{}}|]+(?<![.,:;!?]) )
| (?P<email> [\w+-]{{1,64}}(?:\.[\w+-]{{1,64}}){{0,6}}@(?:[\w-]{{1,63}}\.){{1,6}}[A-Za-z]{{2,24}}
    (?!\w) )
| (?P<arn> arn:[\w-]+:[^\s"'`,;()]* )
| (?P<keep> {_MODELS}-[\w.-]*\w | HTTP/\d(?:\.\d)? | (?:TLS|SSL)v\d(?:\.\d)? | error:{_HEX}{{8}} )
| (?P<digest> (?:sha\d{{1,3}}|md5)[:-]{_HEX}{{16,}} (?!\w) )
| (?P<port> (?:localhost|{_LABEL}(?:\.{_LABEL}){{1,9}}){_NO_FILE}:\d{{2,5}} (?!\w)
  | (?:(?<=\ to\ )|(?<=\ at\ )|(?<=tcp\ )|(?<=REFUSED\ )|(?<=TIMEDOUT\ )|(?<=UNREACH\ )
      |(?<=<address>\ )){_LABEL}:\d{{2,5}} (?!\w) )
| (?P<token> [A-Za-z0-9_]+(?:-+[A-Za-z0-9_]+)*+ )
"""
_LOOKS: Final = re.compile(
    rf"""
    (?<![A-Za-z0-9_\\]) (?:
      {_QUOTES}
    | (?=/) (?<![/.>]) (?: {_SLASHED} )
    | (?=[0-9A-Fa-f:\[]) (?<!:) (?: {_COLONS} )
    | (?P<drive> [A-Z]:\\[^\s"'`:;,()<>\[\]]+(?::\d+){{0,2}} )
    | (?=\d) (?: {_DIGITS} )
    | (?=[A-Za-z0-9_] [A-Za-z0-9_.+-]{{0,64}}? [0-9@:]) (?: {_WORDS} )
    | (?P<sign> (?<![\w).>\]-])[+-](?=\d) )
    | (?P<long> [A-Za-z][A-Za-z_-]{{18,}}[A-Za-z] (?![A-Za-z0-9_]) )
    )
    """,
    re.VERBOSE,
)
_PUT: Final = {
    "url": "<url>",
    "path": "<path>",
    "ipv6": "<address>",
    "drive": "<path>",
    "uuid": "<uuid>",
    "time": "<time>",
    "address": "<address>",
    "span": "<n>s",
    "link": "<url>",
    "email": "<email>",
    "arn": "<arn>",
    "digest": "<hex>",
    "port": "<address>",
    "sign": "",
}
"""What stands for a match, by the name of its pattern; for other names the words around decide."""
