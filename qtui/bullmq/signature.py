r"""What two failures have in common: an error text with all that varies replaced. Pure, stdlib only.

A group should be a cause that a person would name: what tells causes apart is kept, what tells
occurrences apart is replaced. Replaced are numbers, ids, digests, times, addresses, URLs, paths,
emails and quoted values. Kept are words, constants (``ECONNREFUSED``), codes (an HTTP status, an
errno, SQLSTATE, exit code or SMTP reply, told by the words around it), and quoted names of what
lives in code or schema and not in data: ``constraint "users_email_key"``. In doubt about a number
or an id it is replaced: a thousand groups of one help nobody.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

LONGEST: Final = 200
"""Characters in the longest signature."""
_HEAD: Final = 16_384
"""Characters at the start of a reason in which its first line is looked for."""
_LINE: Final = 2_000
"""Characters of that line that patterns see: half from each end, because wrapped errors and SQL
builders put the cause last. Every pattern is at worst square in this, whatever the reason's size."""
_PASSES: Final = 16
"""A pass that changes anything swallows text for good; in practice the second finds nothing."""
_REMEMBERED: Final = 2_048
"""Lines whose signature is remembered: at worst 16 MB, commonly under 1 MB."""

# Where to look: the line that names the cause ----------------------------------------------------

_ANSI: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SAYS: Final = re.compile(r"[^\W_]")
_PRISMA: Final = re.compile(r"invocation(?: in|:)?$")
_FRAME: Final = re.compile(r"[\s→+~?{})\]]|(?:/|[A-Z]:\\)\S+:\d+$")
"""Lines of source or arguments that Prisma shows between its first line and the cause."""


def _headline(reason: str) -> str:
    """The first line that says something; joined by the cause where it only announces one."""
    head = _ANSI.sub("", reason.lstrip()[:_HEAD]) if "\x1b" in reason else reason.lstrip()[:_HEAD]
    lines = head.splitlines()
    if len(lines) < 2:
        return head
    spoken = [line for line in lines if _SAYS.search(line)]
    if not spoken:
        return lines[0]
    first, rest = spoken[0].strip(), spoken[1:]
    if lines[0].strip() in ("{", "[", "[{"):
        return " ".join(lines)
    if first.startswith("Traceback (most recent call last)"):
        return next((line for line in rest if not line[0].isspace()), first)
    if _PRISMA.search(first):
        first = first.removesuffix(":").removesuffix(" in") + ":"
        rest = [line for line in rest if not _FRAME.match(line)]
    elif first.startswith("Command failed:"):
        rest = rest[-1:]
    elif not first.endswith(":"):
        return first
    return f"{first} {rest[0].strip()}" if rest else first


# What to replace: phrases, each with a word without which there is no need to look ---------------

_UNIT: Final = r"(?:milliseconds?|minutes?|seconds?|hours?|ms|mins?|secs?|us|µs|ns|[hmsd])"
_SPAN: Final = rf"\d+(?:\.\d+)?(?: ?{_UNIT}(?![a-z])|{_UNIT}(?=\d))"
_WAIT: Final = rf"{_SPAN}(?: ?{_SPAN})*"
_CLOCK: Final = r"\d\d?:\d\d:\d\d(?:[.,]\d+)?(?:[ ]?[AaPp][Mm]\b)?"
_ZONE: Final = r"(?:Z|[ ]?(?:UTC|GMT)?[+-]\d\d:?\d\d|[ ](?:UTC|GMT))(?:[ ]\([A-Z][^()]{2,40}\))?"
_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_DAY: Final = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_DATE: Final = rf"(?:{_MONTH} \d\d?(?:,? \d{{4}})?|\d\d? {_MONTH} \d{{4}})"

_PHRASES: Final = tuple(
    (needle, re.compile(pattern), put)
    for needle, pattern, put in (
        # BullMQ's own (Scripts.finishedErrors, moveToFinished; 1.x to 6.x): an id may be any text.
        (" for job ", r"((?:key|lock|mismatch) for job )\S+?(?=\.? |\.?$)", r"\1<id>"),
        ("parent job ", r"(parent job )\S+?(?=\. | cannot be )", r"\1<id>"),
        ("Job ", r"(Job )\S+(?= is not in the | has pending | belongs to )", r"\1<id>"),
        ("complete job ", r"(complete job )\S+(?= because )", r"\1<id>"),
        (" error for ", r"(Unknown code -?\d+ error for )\S+(?=\. )", r"\1<id>"),
        ("child ", r"(child \S+?:)(?:repeat:\S+|[^\s:]+)(?= failed)", r"\1<id>"),
        # Waits come in units that change with their length.
        ("again ", rf"(again (?:in|after) ){_WAIT}", r"\1<time>"),
        ("etry", rf"([Rr]etry(?:ing)?(?: in| after)? ){_WAIT}", r"\1<time>"),
        # A bare name is a host only after words that say so.
        (
            "E",
            r"(E(?:NOTFOUND|AI_[A-Z]+|TIMEOUT|SERVFAIL|NODATA|REFUSED) )"
            r"(?:[\w-]+(?:\.[\w-]+)+|[\w-]+(?=$|[:,;)]| [\w-]+:\d))(?::\d+)?",
            r"\1<address>",
        ),
        ("lookup ", r"(lookup )[\w-][\w.-]*(?= on |: )", r"\1<address>"),
        ("Host: ", r"(Host: )[\w-][\w.-]*\w", r"\1<address>"),
        ("DNS:", r"DNS:[^\s,]+(?:, (?:DNS|IP Address):[^\s,]+)*", "DNS:<address>"),
        (" with url: ", r"( with url: )\S+", r"\1<url>"),
        ("Key (", r"(Key \([^()]{1,80}\)=)\([^()]*\)", r"\1(<quoted>)"),
        ("equest ID: ", r"(equest ID: )[^\s,;)]+", r"\1<id>"),
        (":error:", r"(?<!\w)[0-9A-F]{8,16}(?=:error:)", "<hex>"),
        (" 20", rf"(?<!\w)(?:{_DAY},? )?{_DATE}(?: {_CLOCK}{_ZONE}?)?(?!\w)", "<time>"),
    )
)

# What to replace: by its looks -------------------------------------------------------------------

_HEX: Final = "[0-9A-Fa-f]"
_LABEL: Final = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
_FILES: Final = "js ts mjs cjs mts jsx tsx vue py rb go rs java kt php cs c cc cpp h sql".split()
_NO_FILE: Final = "".join(rf"(?<!\.{extension})" for extension in _FILES)
_MODELS: Final = "(?:gpt|claude|gemini|llama|mi[sx]tral|qwen|deepseek|text-embedding)"

_SLASHED: Final = r"""
  (?P<url> (?:/[\w.~%+-]*)++\?[^\s"'`<>()]+ )
| (?P<path> /(?:tmp|var|home|Users|usr|opt|mnt|srv|root|etc|private|run|proc|dev)
    /[^\s"'`:;,()<>\[\]]+(?::\d+){0,2}
  | (?:/[\w.@+~-]+)++(?:(?<=\.\w)|(?<=\.\w\w)|(?<=\.\w{3})|(?<=\.\w{4}))(?::\d+){0,2} )
"""
_COLONED: Final = rf"""
  \[{_HEX}[0-9A-Fa-f:.]{{2,44}}(?:%\w+)?\](?::\d+)? | \[::[0-9A-Fa-f:.]{{1,44}}\](?::\d+)?
| (?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?::(?:{_HEX}{{1,4}}:){{0,7}}
  (?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?|{_HEX}{{1,5}}) (?![\w:])
| (?:{_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}} (?![\w:]) | (?:{_HEX}{{2}}:){{5}}{_HEX}{{2}} (?![\w:])
"""
_COUNTED: Final = rf"""
  (?P<time> \d{{4}}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?{_ZONE}?)? (?!\w)
  | (?:\d{{4}}/\d\d/\d\d|\d\d?/\d\d?/\d{{4}})(?:,?[ ]{_CLOCK})? (?!\w) | {_CLOCK}{_ZONE}? (?![\w:]) )
| (?P<address> (?:\d{{1,3}}\.){{3}}\d{{1,3}}(?:/\d\d?)?(?::\d+)? (?!\w|\.\w) )
| (?P<literal> 0[xX]{_HEX}+ (?!\w) )
| (?P<span> (?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs)){{2,}} (?!\w) )
| (?P<number> [+-]?\d+(?:[.,]\d+)*+ (?=[A-Za-zµ%]{{0,4}}+(?![A-Za-z0-9_])) )
"""
_WORDED: Final = rf"""
  (?P<url_2> [A-Za-z][A-Za-z0-9+-]{{1,15}}://[^\s"'`<>()\[\]{{}}|]+(?<![.,:;!?]) )
| (?P<email> [\w+-]{{1,64}}+(?:\.[\w+-]{{1,64}}+){{0,6}}+@(?:[\w-]{{1,63}}+\.){{1,6}}[A-Za-z]{{2,24}}
    (?!\w) )
| (?P<keep> {_MODELS}-[\w.-]*\w | (?:TLS|SSL)v\d(?:\.\d)? | error:{_HEX}{{8}} )
| (?P<hex_2> (?:sha\d{{1,3}}|md5)[:-]{_HEX}{{16,}} (?!\w) )
| (?P<address_2> (?:localhost|{_LABEL}(?:\.{_LABEL}){{1,9}}){_NO_FILE}:\d{{2,5}} (?!\w)
  | (?:(?<=\ to\ )|(?<=\ at\ )|(?<=tcp\ )|(?<=REFUSED\ )|(?<=TIMEDOUT\ )|(?<=UNREACH\ )
      |(?<=<address>\ )){_LABEL}:\d{{2,5}} (?!\w) )
| (?P<version> v\d+(?:\.\d+)+ (?!\w) )
| (?P<token> [A-Za-z0-9_]+(?:-+[A-Za-z0-9_]+)*+ )
"""
# A group's name up to "_" is its placeholder, unless `_replaced` says otherwise.
_LOOKS: Final = re.compile(
    rf"""
    (?<![A-Za-z0-9_\\]) (?:
      (?P<quote> "[^"\\]*+(?:\\.[^"\\]*+)*+" | '(?:[^']|'(?=\w))*+'(?!\w) | “[^”]*” | ‘[^’]*’ )
    | (?P<code> `[^`]*` )
    | (?=/) (?<![/.>]) (?: {_SLASHED} )
    | (?=[0-9A-Fa-f:\[]) (?=[^:]{{0,5}}:) (?<!:) (?=[\[0-9A-Fa-f:.]{{0,45}}\d) (?P<address_3> {_COLONED} )
    | (?P<path_2> [A-Z]:\\[^\s"'`:;,()<>\[\]]+(?::\d+){{0,2}} )
    | (?P<uuid> {_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}} (?!\w) )
    | (?=\d|(?<![\w).>\]])[+-]\d) (?: {_COUNTED} )
    | (?=[A-Za-z0-9_] [A-Za-z0-9_.+-]{{0,64}}? (?:[0-9@]|://|:\d)) (?: {_WORDED} )
    | (?P<arn> arn:[\w-]+:[^\s"'`,;()]* )
    | (?P<long> (?:[a-z]{{2,6}}[_-][A-Za-z]{{8,}}|[A-Za-z_-]{{20,}}) (?![A-Za-z0-9_]) )
    )
    """,
    re.VERBOSE,
)
# What to keep: by the words around it ------------------------------------------------------------


class _Around(NamedTuple):
    """The two words before a place, and the signs that join the last of them to it."""

    before: str
    word: str
    joins: str


_JOINS: Final = " :=#([\"'`"
_LAST_WORDS: Final = re.compile(r"(?:([\w./-]+)[^\w./-]+)?([\w./-]+)$")


def _around(line: str, start: int) -> _Around:
    text = line[max(0, start - 40) : start]
    bare = text.rstrip(_JOINS)
    cut = bare.rfind(" ", 0, max(0, bare.rfind(" ")))
    words = _LAST_WORDS.search(bare, cut + 1)
    if not words:
        return _Around("", "", text[len(bare) :] or text[-1:])
    return _Around(words[1] or "", words[2], text[len(bare) :])


_CODE_WORDS: Final = frozenset(
    "status statuscode httpstatus httpstatuscode httpcode http sqlstate errno errcode errorcode exit "
    "exitcode exitstatus returncode signal subcode errorsubcode err curl".split()
)
"""A number of up to six digits after one of these is a code (without underscores and hyphens)."""
_DATA_CODES: Final = frozenset(
    "zip postal post country area dial promo discount coupon voucher gift referral invite invitation "
    "verification confirmation security access auth pin tracking bar qr product item".split()
)
_REPLIES: Final = ("returned", "responded", "got", "received", "response", "rror", "failed", "with")
_REASON: Final = re.compile(
    r"[ -]\(?(?i:not |bad |unauth|forbid|internal |service |gateway |too many|conflict|gone|unproc|page"
    r" not|client e|server e|payment re|method n|request t|precond|locked|payload )"
)
"""The reason phrase behind an HTTP status."""
_OPENING: Final = re.compile(r"[ -]\(?(?:[A-Z][a-z']|OK\b)|[ -][245]\.\d{1,3}\.\d|[:,]? *[{\"<]| - |: \S")
"""What follows a status that opens a message: words, an SMTP sub-code, or a body."""
_CLOSING: Final = re.compile(r"$|[.,;:)\]}!]| for | from ")
_RPC: Final = re.compile(r" [A-Z][A-Z_]{4,}:")
_SUBCODE: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


def _is_status(number: str, line: str, end: int, around: _Around) -> bool:
    """Whether three digits are an HTTP status or an SMTP reply that tells of a failure."""
    if len(number) != 3 or number[0] not in "45":
        return False
    if _REASON.match(line, end):
        return True
    if (not around.word or ":" in around.joins) and _OPENING.match(line, end):
        return True
    replies = not around.word or around.word.endswith(_REPLIES)
    return replies and _CLOSING.match(line, end) is not None


def _is_code(number: str, line: str, end: int, around: _Around) -> bool:
    """Whether a number names a cause (status 404, errno 111, exit code 137) or counts something."""
    word = around.word.rpartition(".")[2].replace("_", "").replace("-", "").lower()
    if word in _CODE_WORDS or around.word.startswith("HTTP/"):
        return True
    if word == "code":
        return len(number) < 6 and around.before.lower() not in _DATA_CODES
    if word.endswith("error") and ":" not in around.joins:
        return True
    if (word == "number" and around.before == "alert") or around.joins.endswith("(#"):
        return True
    if len(number) > 3 and ("SQLSTATE[" in line or around.before == "ERROR"):
        return around.joins in (": ", " [", " (")
    if len(number) < 3 and (not word or ":" in around.joins):
        return _RPC.match(line, end) is not None
    return _is_status(number, line, end, around)


def _number(number: str, line: str, start: int, end: int) -> str:
    unit = line[end : end + 2]
    if unit == "xx" or line.startswith("HTTP/", start - 5):
        return number
    if unit[:1].isalpha() or unit[:1] == "%" or len(number) > 6:
        return "<n>"
    if not number.lstrip("+-").isdigit():
        is_subcode = _SUBCODE.fullmatch(number) and line[start - 4 : start - 1].isdigit()
        return number if is_subcode else "<n>"
    around = _around(line, start)
    if _is_code(number, line, end, around):
        return number
    return "<id>" if _is_label(around.word) else "<n>"


# Ids: runs of letters and digits that no person made up ------------------------------------------

_CODES: Final = re.compile(
    r"""
      [A-Z]{1,2}\d{1,5} | [A-Za-z]+\d | \d\d[A-Z]\d\d                    # E11000 P2002 http2 42P01
    | [A-Z][A-Z0-9]*(?:_(?:[A-Z]+\d{0,2}[A-Z]*|\d{1,2}))+                # ERR_HTTP2_STREAM_CANCEL
    | (?i:(?:sha|aes|es|rs|hs|x|h|u?int|float|cp|ed|pgrst|base|utf|arm|amd|win)\d{2,5})
    | (?i:(?:utf|sha|iso|aes|rfc|cve|ora|tns|http|err|error|status|code)[-_]\d+(?:-\w+)*)
    | (?:[a-z]{2}|us-gov)-(?:north|south|east|west|central)+-?[a-z]*\d[a-z]?         # us-east-1
    | utf8mb[34] | x86_64 | secp256[kr]1
    """,
    re.VERBOSE,
)
_TURNS: Final = re.compile(r"[a-z](?=[A-Z])|[0-9](?=[A-Za-z])|[A-Za-z](?=[0-9])")
_DIGIT: Final = re.compile(r"\d")
_PARTS: Final = re.compile(r"[_-]+")
_BEFORE_CODES: Final = frozenset("code sqlstate index constraint collection".split())
_CAMEL: Final = re.compile(r"(?=.*[a-z][A-Z]|.*\d[A-Z])[A-Za-z]+\d[A-Za-z]+")


def _is_label(word: str) -> bool:
    """Whether a word announces an id: ``id``, ``userId``, ``user_id``, ``ID``."""
    return word.endswith(("Id", "ID", "_id", "-id")) or word == "id"


def _is_random(text: str) -> bool:
    """Whether letters, capitals and digits alternate as they do in made-up ids, not in words."""
    turns = len(_TURNS.findall(text))
    return turns * 5 >= len(text) if turns > 2 else turns == 2 and text[2:7].find("_") >= 0


def _is_compound_id(parts: list[str]) -> bool:
    """Whether a name in parts holds a number (``order-44955``) or an id (``ch_3P2654fb44``)."""
    return any(
        (part.isdigit() and (len(part) > 1 or len(parts) == 2)) or (len(part) > 4 and not part.isalpha())
        for part in parts
        if not part.isalpha()
    )


def _token(token: str, around: _Around) -> str:
    """A code, a digest, an id, a numbered word, or just a word."""
    if not _DIGIT.search(token):
        return token
    if around.word.lower() in _BEFORE_CODES and len(token) < 40:
        return token
    if _is_label(around.word):
        return "<id>"
    if _CODES.fullmatch(token):
        return token
    if len(token) >= 16 and not token.strip("0123456789abcdefABCDEF"):
        return "<hex>"
    parts = _PARTS.split(token)
    if _is_random(token) or (len(parts) > 1 and _is_compound_id(parts)):
        return "<id>"
    letters = token.rstrip("0123456789")
    if letters.isalpha():
        return f"{letters}<n>"
    return token if len(parts) > 1 or len(token) < 5 or _CAMEL.fullmatch(token) else "<id>"


# Quotes: what is a name and what is a value -------------------------------------------------------

_LITERALS: Final = frozenset(
    "undefined null NaN None true false string number boolean object array function symbol bigint int "
    "str float list dict tuple set bytes bool NoneType".split()
) | {"[object Object]"}
_SCHEMA: Final = frozenset(
    "constraint index relation column table schema database collection view sequence field fields "
    "property properties attribute argument parameter param function method operator module package "
    "reading enum type model entity class option setting variable directive header scope extension "
    "role invoke topic queue metric limit service keyword env".split()
)
"""A quoted name after one of these belongs to code or schema, so it tells causes apart."""
_PAIRS: Final = frozenset(
    ("for key", "import name", "delete from", "* from", "insert into", "in object", "module named")
)
_EXACT: Final = frozenset(("constraint", "index", "key"))
"""Names that may be hashes (TypeORM) or numbered (``orders_ibfk_2``) and still mean one thing."""
_NAME: Final = re.compile(r"[\w$@.*<][\w $.:/<>@()\[\]*-]{0,79}")
_PLAIN: Final = re.compile(r"[A-Za-z_$][\w$.\[\]<>-]{0,63}(?:\(\))?")
_NAMED: Final = re.compile(
    r" (?:is (?:a )?required|is (?:not allowed|missing|not defined|null)|are required|must |should |"
    r"can ?not be |length must|field|column|property|parameter|argument|option|header|attribute|object "
    r"has|failed to satisfy)"
)
"""What follows a name: Joi, AWS, Python."""
_CONSTANT: Final = re.compile(r"[A-Z]+\d?(?:_[A-Z0-9]+)+|E[A-Z]{4,}")
_KEYS: Final = frozenset(
    "code type status reason name errno syscall error_code errorcode error_type kind title path expected "
    "received param".split()
)
"""Keys in an error's JSON whose value tells causes apart."""
_TELLING: Final = frozenset("message msg error detail details description reason cause".split())
"""Keys whose value is an error text of its own."""
_TROUBLE: Final = re.compile(
    r"\bE[A-Z]{4,}\b|(?i:error|exception|fail|timed out|timeout|refused|denied|invalid)|\bErrno\b"
)
_LONG_DIGITS: Final = re.compile(r"\d{3,}")


def _is_name(inner: str, line: str, end: int, around: _Around) -> bool:
    word = around.word.lower()
    pair = f"{around.before.lower()} {word}"
    assigned = ":" in around.joins or "=" in around.joins
    if word in _SCHEMA or pair in _PAIRS:
        return (_PLAIN if assigned else _NAME).fullmatch(inner) is not None
    if pair == "unexpected token":
        return len(inner) < 4 or inner.isalpha()
    if word == "near":
        return inner.isupper()
    keyed = word in _KEYS and (assigned or word == "path")
    return (keyed or _NAMED.match(line, end) is not None) and _PLAIN.fullmatch(inner) is not None


def _quote(quote: str, line: str, start: int, end: int) -> str:
    """A quoted text is a value unless what stands around it says that it is a name or an error."""
    inner = quote[1:-1]
    if inner in _LITERALS or not _SAYS.search(inner) or _CONSTANT.fullmatch(inner):
        return quote
    if start == 0 and end == len(line):
        return inner
    if line[end : end + 2].lstrip()[:1] == ":" and line[:start].rstrip()[-1:] in ("{", ","):
        return quote
    around = _around(line, start)
    word = around.word.lower()
    if _is_name(inner, line, end, around):
        return quote if word in _EXACT else _LONG_DIGITS.sub("<n>", quote)
    told = word in _TELLING and ":" in around.joins
    if told or (" " in inner and _TROUBLE.search(inner)):
        return quote[0] + _swept(inner) + quote[-1]
    return "<quoted>"


def _code(quote: str, line: str, end: int) -> str:
    """Backticks hold code and names (Prisma, MySQL, Mongoose), seldom a value."""
    if line.startswith(" is not a valid", end):
        return "<quoted>"
    return quote if _PLAIN.fullmatch(quote[1:-1]) else f"`{_swept(quote[1:-1])}`"


# All of it ---------------------------------------------------------------------------------------


def _replaced(match: re.Match[str]) -> str:
    text, line = match.group(), match.string
    start, end = match.span()
    match match.lastgroup:
        case "number":
            return _number(text, line, start, end)
        case "token":
            return _token(text, _around(line, start))
        case "quote":
            return _quote(text, line, start, end)
        case "code":
            return _code(text, line, end)
        case "literal":
            return text if _is_code("0", line, end, _around(line, start)) else "<hex>"
        case "long":
            return "<id>" if _is_random(text) else text
        case "keep":
            return text
        case "span":
            return "<n>s"
        case "version":
            return "v<n>"
        case kind:
            return f"<{(kind or '').partition('_')[0]}>"


def _swept(line: str) -> str:
    for needle, pattern, put in _PHRASES:
        if needle in line:
            line = pattern.sub(put, line)
    return _LOOKS.sub(_replaced, line)


_LISTED: Final = re.compile(r"(\(?\$?<[a-z]+>\)?)(?:, ?\1)+")


def _shortened(line: str, limit: int) -> str:
    """The line within a limit: its head and its tail, cut between words where that can be."""
    if len(line) <= limit:
        return line
    front = limit * 3 // 5
    head, tail = line[:front], line[front + 3 - limit :]
    blank = head.rfind(" ", front // 2)
    head = head[:blank] if blank > 0 else re.sub("<[a-z]*$", "", head)
    blank = tail.find(" ", 0, len(tail) // 2)
    tail = tail[blank + 1 :] if blank >= 0 else re.sub("^[a-z]*>", "", tail)
    return f"{head} … {tail}"


@lru_cache(maxsize=_REMEMBERED)
def _pass(line: str) -> str:
    line = " ".join(_swept(_ANSI.sub("", line) if "\x1b" in line else line).split())
    return _shortened(_LISTED.sub(r"\1", line) if "," in line else line, LONGEST)


def signature(reason: str) -> str:
    """What ``reason`` (a failedReason) has in common with other failures of the same cause.

    One line of at most `LONGEST` characters, empty if nothing is said; the signature of a signature
    is itself. Control characters other than white space and colours stay: show it through
    `qtui.text.plain`. Costs about 1 µs for a reason like one seen lately, else about 10 µs for a
    hundred characters and at most some ms, however long the text.
    """
    line = _shortened(_headline(reason).strip(), _LINE)
    for _ in range(_PASSES):
        settled = _pass(line)
        if settled == line:
            break
        line = settled
    return line
