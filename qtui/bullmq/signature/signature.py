r"""The signature of an error: its text with everything that varies from job to job replaced. Pure.

Errors with the same signature form a group, and a group should be a cause that a person would name.
Numbers, ids, digests, times, addresses, URLs, paths, emails and quoted values are replaced. Words,
constants (``ECONNREFUSED``), codes (an HTTP status, errno, SQLSTATE, exit code or SMTP reply,
recognised by the words around it) are kept, and so are quoted names from code or schema rather than
data: ``constraint "users_email_key"``. In doubt a number or an id is replaced and a word is kept:
ten thousand groups of one job each are useless.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from qtui.bullmq.signature.headline import headline

LONGEST_SIGNATURE: Final = 200  # characters
_LINE: Final = 2_000  # characters of the line that patterns see: none is worse than O(n²) in it
_PASSES: Final = 16  # a pass that changes anything shortens the text; the second seldom does
_REMEMBERED: Final = 2_048  # cached lines: 16 MB at worst, usually under 1 MB


_ANSI: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SAYS: Final = re.compile(r"[^\W_]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What to replace: phrases, each with a literal that a line must contain for the pattern to match --

_UNIT: Final = r"(?:milliseconds?|minutes?|seconds?|hours?|ms|mins?|secs?|us|µs|ns|[hmsd])"
_SPAN: Final = rf"\d+(?:\.\d+)?(?: ?{_UNIT}(?![a-z])|{_UNIT}(?=\d))"
_WAIT: Final = rf"{_SPAN}(?: ?{_SPAN})*"
_CLOCK: Final = r"\d\d?:\d\d:\d\d(?:[.,]\d+)?(?:[ ]?[AaPp][Mm]\b)?"
_ZONE: Final = (
    r"(?:(?:Z|[ ]?(?:UTC|GMT)?[+-]\d\d:?\d\d|[ ](?:UTC|GMT))(?:[ ]\([A-Z][^()]{2,40}\))?)?"
)
_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_DATE: Final = (
    rf"(?:[MTWFS][a-z]{{2,8}},? )?(?:{_MONTH} \d\d?(?:,? \d{{4}})?|\d\d? {_MONTH} \d{{4}})"
)
_HOST: Final = r"(?:[\w-]+(?:\.[\w-]+)+|[\w-]+(?=$|[:,;)]| [\w-]+:\d| on ))(?::\d+)?"

_PHRASES: Final = tuple(
    (needle, re.compile(pattern), put)
    for needle, pattern, put in (
        # BullMQ's errors (Scripts.finishedErrors, moveToFinished; 1.x to 6.x): an id may be any
        # text.
        (" for job ", r"((?:key|lock|mismatch) for job )\S+?(?=\.? |\.?$)", r"\1<id>"),
        ("Job ", r"(Job )\S+(?= is not in the | has pending | belongs to )", r"\1<id>"),
        (" job ", r"((?:parent|complete) job )\S+?(?=\. | cannot be | because )", r"\1<id>"),
        (" error for ", r"(Unknown code -?\d+ error for )\S+(?=\. )", r"\1<id>"),
        ("child ", r"(child \S+?:)(?:repeat:\S+|[^\s:]+)(?= failed)", r"\1<id>"),
        # The unit of a wait changes with its length.
        ("again ", rf"(again (?:in|after) ){_WAIT}", r"\1<time>"),
        ("etry", rf"([Rr]etry(?:ing)?(?: in| after)? ){_WAIT}", r"\1<time>"),
        # A bare name is a host only after words that announce one.
        ("E", rf"(E(?:NOTFOUND|AI_[A-Z]+|TIMEOUT|SERVFAIL) ){_HOST}", r"\1<address>"),
        ("lookup ", rf"(lookup ){_HOST}", r"\1<address>"),
        ("Host: ", r"(Host: )[\w-][\w.-]*\w", r"\1<address>"),
        ("DNS:", r"DNS:[^\s,]+(?:, (?:DNS|IP Address):[^\s,]+)*", "DNS:<address>"),
        (" with url: ", r"( with url: )\S+", r"\1<url>"),
        ("Key (", r"(Key \([^()]{1,80}\)=)\([^()]*\)", r"\1(<quoted>)"),
        ("equest ID: ", r"(equest ID: )[^\s,;)]+", r"\1<id>"),
        (":error:", r"(?<!\w)[0-9A-F]{8,16}(?=:error:)", "<hex>"),
        (" 20", rf"(?<!\w){_DATE}(?: {_CLOCK}{_ZONE})?(?!\w)", "<time>"),
    )
)

# What to replace: by its form --------------------------------------------------------------------

_HEX: Final = "[0-9A-Fa-f]"
_LABEL: Final = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
_NO_FILE: Final = r"(?<!\.\w)(?<!\.[jtr]s)(?<!\.[cm][jt]s)(?<!\.tsx)(?<!\.py)(?<!\.rb)(?<!\.go)"
_SUFFIX: Final = (
    "(?:[mnuµ]?s|[mhdwxkKMGT]|[kKMGT]?i?[bB](?:ps)?|min|secs?|px|st|nd|rd|th|[ap]m|[KMG]?Hz)"
)
_MODELS: Final = "(?:gpt|claude|gemini|llama|mi[sx]tral|qwen|deepseek|text-embedding)"
# A group's name up to "_" is its placeholder, unless `_DECIDED` has a function for it.
_LOOKS: Final = re.compile(
    rf"""(?<![A-Za-z0-9_\\]) (?:
      (?P<quote> "[^"\\]*+(?:\\.[^"\\]*+)*+" | '(?:[^']|'(?=\w))*+'(?!\w)
        | \u201c[^\u201d]*\u201d | \u2018[^\u2019]*\u2019 )
    | (?P<code> `[^`]*` )
    | (?=/) (?<![/.>]) (?:
        (?P<url> (?:/[\w.~%+-]*)++\?[^\s"'`<>()]+ )
      | (?P<path> /(?:tmp|var|home|Users|usr|opt|mnt|srv|root|etc|private|run|proc|dev)
          /[^\s"'`:;,()<>\[\]]+(?::\d+){{0,2}}
        | (?:/[\w.@+~-]+)++(?:(?<=\.\w)|(?<=\.\w\w)|(?<=\.\w{{3}})|(?<=\.\w{{4}}))
          (?::\d+){{0,2}} ) )
    | (?=[0-9A-Fa-f:\[]) (?=[^:]{{0,5}}:) (?<!:) (?=[\[0-9A-Fa-f:.]{{0,45}}\d) (?P<address>
        \[(?:{_HEX}|::)[0-9A-Fa-f:.]{{1,44}}(?:%\w+)?\](?::\d+)? | :::\d+
      | (?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?::(?:{_HEX}{{1,4}}:){{0,7}}
        (?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?::\d+)?|{_HEX}{{1,5}}) (?![\w:])
      | (?:{_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}}(?![\w:]) | (?:{_HEX}{{2}}:){{5}}{_HEX}{{2}}(?![\w:]) )
    | (?P<path_2> [A-Z]:\\[^\s"'`:;,()<>\[\]]+(?::\d+){{0,2}} )
    | (?P<uuid> {_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}} (?!\w) )
    | (?=\d|(?<![\w).>\]])[+-]\d) (?:
        (?P<time> \d{{4}}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?{_ZONE})?(?!\w)
        | (?:\d{{4}}/\d\d/\d\d|\d\d?/\d\d?/\d{{4}})(?:,?[ ]{_CLOCK})?(?!\w)
        | {_CLOCK}{_ZONE}(?![\w:]) )
      | (?P<address_2> (?:\d{{1,3}}\.){{3}}\d{{1,3}}(?:/\d\d?)?(?::\d+)?(?!\w|\.\w) )
      | (?P<keep_2> (?<=[245]\d\d[ -])[245]\.\d{{1,3}}\.\d{{1,3}}(?!\w) | [1-5]xx(?!\w)
        | (?<=HTTP/)\d(?:\.\d)?(?!\w) | (?:(?<=code[ ])|(?<=rror[ ]))0x{_HEX}{{8}}(?!\w) )
      | (?P<hex> 0[xX]{_HEX}+(?!\w) )
      | (?P<n> (?:\d+(?:\.\d+)?(?:h|ms?|s|us|µs)){{1,5}}\d+(?:\.\d+)?(?=(?:ms?|s|us|µs|ns)(?!\w)) )
      | (?P<number> [+-]?\d+(?:[.,]\d+)*+(?!-(?=[\w-]{{0,40}}?\d)[\d-]{{0,40}}[A-Za-z][\w-]{{2}})
          (?={_SUFFIX}?(?![A-Za-z0-9_])) ) )
    | (?=\w) (?=[A-Za-z0-9_.+-]{{0,64}}?(?:[0-9@]|://|:\d)) (?:
        (?P<url_2> [A-Za-z][A-Za-z0-9+-]{{1,15}}://[^\s"'`<>()\[\]{{}}|]+(?<![.,:;!?]) )
      | (?P<email> [\w+-]{{1,64}}+(?:\.[\w+-]{{1,64}}+){{0,6}}+
          @(?:[\w-]{{1,63}}+\.){{1,6}}[A-Za-z]+(?!\w) )
      | (?P<keep> {_MODELS}-[\w.-]*\w | (?:TLS|SSL)v\d(?:\.\d)? | error:{_HEX}{{8}} )
      | (?P<hex_2> (?:sha\d{{1,3}}|md5)[:-]{_HEX}{{16,}}(?!\w) )
      | (?P<address_3> (?:localhost|{_LABEL}(?:\.{_LABEL}){{1,9}}){_NO_FILE}:\d{{2,5}}(?!\w)
        | (?:(?<=\ to\ )|(?<=\ at\ )|(?<=tcp\ )|(?<=[A-Z]{{5}}\ )|(?<=ress>\ ))
          {_LABEL}:\d{{2,5}}(?!\w) )
      | (?P<id> (?=[A-Za-z0-9/]*[+=])[A-Za-z0-9+/]{{24,}}={{0,2}}(?!\w) )
      | (?P<token> [A-Za-z0-9_]+(?:-+[A-Za-z0-9_]+)*+ ) )
    | (?P<arn> arn:[\w-]+:[^\s"'`,;()]* )
    | (?P<long> (?:[a-z]{{2,6}}[_-])?(?=[A-Z]*[a-z]+[A-Z])[A-Za-z_-]{{10,}}(?![A-Za-z0-9_]) ) )""",
    re.VERBOSE,
)

# What to keep: by the words around it ------------------------------------------------------------

_JOINS: Final = " :=#([\"'`"
_LAST: Final = re.compile(r"[\w./-]+$")


def _around(line: str, start: int) -> tuple[str, str, str]:
    """The last two words before ``start``, and the characters between them and it."""
    text = line[max(0, start - 40) : start]
    bare = text.rstrip(_JOINS)
    word = bare[bare.rfind(" ") + 1 :]
    if not word.isalnum():
        last = _LAST.search(word)
        word = last[0] if last else word
    rest = bare[: len(bare) - len(word)].rstrip(_JOINS)
    return rest[rest.rfind(" ") + 1 :].lstrip("({[\"'"), word, text[len(bare) :]


# A number of up to six digits after one of these (without signs) is a code.
_CODE_WORDS: Final = _words(
    "status statuscode httpstatus httpstatuscode httpcode http sqlstate errno errcode errorcode "
    "exit exitcode exitstatus returncode signal subcode errorsubcode err curl"
)
_DATA_CODES: Final = _words(
    "zip postal post country area promo discount coupon voucher gift referral invite invitation "
    "verification confirmation security access auth pin tracking bar qr product"
)
_REPLIES: Final = ("returned", "responded", "got", "received", "response", "rror", "failed", "with")
# What follows an HTTP status or SMTP reply: its reason phrase; at the beginning of a message words,
# an SMTP sub-code or a body; and at the end of one.
_REASON: Final = re.compile(
    r"[ -]\(?(?:Not |Bad |Unauth|Forbid|Internal |Service |Gateway |Too Many|Conflict|Gone|Unproc|"
    r"Page Not|Client E|Server E|Payment R|Method N|Request T|Precond|Locked|Payload )"
)
_OPENING: Final = re.compile(
    r"[ -]\(?(?:[A-Z][a-z']|OK\b)|[ -][245]\.\d{1,3}\.\d|[:,]? *[{\"<]| - |: \S"
)
_CLOSING: Final = re.compile(r"$|[.,;:)\]}!]| for | from ")
_LABEL_OF_ID: Final = re.compile(r"id|.*(?:Id|ID|[_-]id)")


def _is_code(number: str, line: str, end: int, before: str, word: str, joins: str) -> bool:
    """Whether a number names a cause (status 404, errno 111, exit code 137) or counts something."""
    bare = word.rpartition(".")[2].replace("_", "").replace("-", "").lower()
    opens, assigned = not word, ":" in joins
    if bare in _CODE_WORDS or word.startswith("HTTP/") or joins.endswith("(#"):
        return True
    if bare == "code":
        return len(number) < 6 and before.lower() not in _DATA_CODES
    if (bare.endswith("error") and not assigned) or (bare == "number" and before == "alert"):
        return True
    if len(number) > 3:
        return joins in (": ", " [", " (") and ("SQLSTATE[" in line or before == "ERROR")
    if len(number) < 3:
        return (opens or assigned) and re.match(" [A-Z][A-Z_]{4,}:", line[end:]) is not None
    if number[0] not in "45":
        return False
    closes = _CLOSING.match(line, end) and (opens or (bare.endswith(_REPLIES) and "#" not in joins))
    ahead = line[end : end + 12]
    opening = (opens or assigned) and (_OPENING.match(ahead) or _REASON.match(ahead.title()))
    return bool(closes or opening or _REASON.match(ahead))


def _number(match: re.Match[str]) -> str:
    number, line, (start, end) = match.group(), match.string, match.span()
    if line[end : end + 1].isalpha() or line.startswith("%", end):
        return "<n>"
    around = _around(line, start)
    if len(number) < 7 and number.lstrip("+-").isdigit() and _is_code(number, line, end, *around):
        return number
    return "<id>" if _LABEL_OF_ID.fullmatch(around[1]) else "<n>"


_CODES: Final = re.compile(
    r"""
      [A-Z]{1,2}\d{1,5} | [A-Za-z]{1,5}\d | \d\d[A-Z]\d\d                # E11000 P2002 http2 42P01
    | [A-Z][A-Z0-9]*(?:_(?:[A-Z]+\d{0,2}[A-Z]*|\d{1,2}))+                # ERR_HTTP2_STREAM_CANCEL
    | (?i:(?:sha|aes|es|rs|hs|x|h|u?int|float|cp|ed|pgrst|base|utf|arm|amd|win|v)\d{2,5})
    | (?i:(?:utf|sha|iso|aes|rfc|cve|ora|tns|http|err|error|status|code)[-_]\d+(?:-\w+)*)
    | (?:[a-z]{2}|us-gov)-(?:north|south|east|west|central)+-?[a-z]*\d[a-z]? | x86_64 # us-east-1
    | utf8mb[34] | secp256[kr]1 | k8s | i18n | e2e | p2p | neo4j | log4j2?
    """,
    re.VERBOSE,
)
_CAMEL: Final = re.compile(r"[A-Z]{0,2}[a-z]{2,}(?:\d?[A-Z][a-z]{2,})+")
_TURNS: Final = re.compile(r"[a-z](?=[A-Z])")
_ODD: Final = re.compile("[jkqvwxzJKQVWXZ]")


def _is_random(word: str) -> bool:
    """Whether capitals or rare letters are spread as in generated ids, not as in words."""
    turns = len(_TURNS.findall(word))
    often = max(turns, len(_ODD.findall(word))) * 4 >= len(word)
    return turns > 1 and (often or "_" in word[2:7] or "-" in word[2:7])


def _token(match: re.Match[str]) -> str:
    """The token if it is a code or a word, else ``<hex>`` or ``<id>``."""
    token = match.group()
    if not any(map(str.isdigit, token)):
        return token
    before, word, _ = _around(match.string, match.start())
    if _LABEL_OF_ID.fullmatch(word):
        return "<id>"
    if _CODES.fullmatch(token) or word in ("index", "constraint", "collection"):
        return token
    if word in ("code", "SQLSTATE") and len(token) < 7 and before not in _DATA_CODES:
        return token
    if len(token) >= 16 and not token.strip("0123456789abcdefABCDEF"):
        return "<hex>"
    parts = token.replace("-", "_").split("_")
    mixed = [part for part in parts[:8] if not part.isalpha()]
    shortest = 1 if len(parts) == 2 else 2
    numbered = any(len(part) > 4 or (part.isdigit() and len(part) >= shortest) for part in mixed)
    is_word = not numbered and not _is_random(token) if parts[1:] else _CAMEL.fullmatch(token)
    return token if is_word else "<id>"


# Quotes: what is a name and what is a value ------------------------------------------------------

_LITERALS: Final = {"[object Object]"} | _words(
    "undefined null NaN None true false string number boolean object array function symbol bigint "
    "int str float list dict tuple set bytes bool NoneType"
)
# A quoted name after one of these belongs to code or schema, so it distinguishes causes.
_SCHEMA: Final = _words(
    "constraint index relation column table schema database collection view sequence field fields "
    "property properties attribute argument parameter param function method operator module class "
    "reading enum type model entity package option setting variable directive header scope role "
    "extension invoke topic queue metric limit service keyword env for_key import_name delete_from "
    "*_from insert_into in_object module_named keyerror"
)
# Keys in an error's JSON whose value distinguishes causes, and those whose value is an error text.
_KEYS: Final = _words(
    "code type status reason name errno syscall error_code errorcode error_type kind title path "
    "expected received param"
)
_EXACT: Final = _KEYS | {"constraint", "index", "key"}
_TELLING: Final = _words("message msg error detail details description reason cause")
_NAME: Final = re.compile(r"[\w$@.*<][\w $.:/<>@()\[\]*-]{0,79}")
_PLAIN: Final = re.compile(r"[A-Za-z_$][\w$.\[\]<>-]{0,63}(?:\(\))?")
# What follows a name: Joi, AWS, Python.
_NAMED: Final = re.compile(
    r" (?:is (?:a )?required|is (?:not allowed|missing|not defined|null)|are required|must |should "
    r"|can ?not be |length must|field|column|property|parameter|argument|option|header|attribute"
    r"|object has|failed to satisfy)"
)
_CONSTANT: Final = re.compile(r"[A-Z]+\d?(?:_[A-Z0-9]+)+|E[A-Z]{4,}")
_TROUBLE: Final = re.compile(
    r"\bE[A-Z]{4,}\b|(?i:error|exception|fail|timed out|timeout|refused|denied|invalid)|\bErrno\b"
)


def _is_name(inner: str, line: str, end: int, before: str, word: str, assigned: bool) -> bool:
    pair = f"{before.lower()}_{word}"
    if word in _SCHEMA or pair in _SCHEMA:
        return (_PLAIN if assigned else _NAME).fullmatch(inner) is not None
    if pair == "unexpected_token":
        return len(inner) < 4 or inner.isalpha()
    keyed = (word in _KEYS and assigned) or word == "path" or (word == "near" and inner.isupper())
    return bool((keyed or _NAMED.match(line, end)) and _PLAIN.fullmatch(inner))


def _quote(match: re.Match[str]) -> str:
    """``<quoted>``, unless the words around the quote show that it is a name or an error."""
    quote, line, (start, end) = match.group(), match.string, match.span()
    inner = quote[1:-1]
    if start == 0 and end == len(line):
        return inner
    if inner in _LITERALS or not _SAYS.search(inner) or _CONSTANT.fullmatch(inner):
        return quote
    if line[end : end + 2].lstrip()[:1] == ":" and line[:start].rstrip()[-1:] in ("{", ","):
        return quote
    before, word, joins = _around(line, start)
    word, assigned = word.lower(), ":" in joins or "=" in joins
    if _is_name(inner, line, end, before, word, assigned):
        # Numbers in these are not data but a code, a hash (TypeORM) or a count (orders_ibfk_2).
        return quote if word in _EXACT else re.sub(r"\d{3,}", "<n>", quote)
    if (word in _TELLING and assigned) or (" " in inner and _TROUBLE.search(inner)):
        return quote[0] + _swept(inner) + quote[-1]
    return "<quoted>"


def _code(match: re.Match[str]) -> str:
    """Text in backticks: mostly code and names (Prisma, MySQL, Mongoose), seldom a value."""
    if match.string.startswith(" is not a valid", match.end()):
        return "<quoted>"
    inner = match.group()[1:-1]
    return f"`{inner if _PLAIN.fullmatch(inner) else _swept(inner)}`"


_LISTED: Final = re.compile(r"(\(?\$?<[a-z]+>\)?)(?:, ?\1)+")

_DECIDED: Final[dict[str, Callable[[re.Match[str]], str]]] = {
    "code": _code,
    "keep": lambda match: match.group(),
    "long": lambda match: "<id>" if _is_random(match.group()) else match.group(),
    "number": _number,
    "quote": _quote,
    "token": _token,
}


def _replaced(match: re.Match[str]) -> str:
    kind = (match.lastgroup or "").partition("_")[0]
    decide = _DECIDED.get(kind)
    return decide(match) if decide else f"<{kind}>"


def _swept(line: str) -> str:
    for needle, pattern, put in _PHRASES:
        if needle in line:
            line = pattern.sub(put, line)
    return _LOOKS.sub(_replaced, line)


def _shortened(line: str, limit: int) -> str:
    """The line cut to ``limit``: its head and its tail, where wrapped errors put the cause."""
    if len(line) <= limit:
        return line
    front = limit * 3 // 5
    head, tail = line[:front], line[front + 3 - limit :]
    end, start = head.rfind(" ", front // 2), tail.find(" ", 0, len(tail) // 2) + 1
    return f"{head[:end] if end > 0 else head} … {tail[start:]}"


@lru_cache(maxsize=_REMEMBERED)
def _pass(line: str) -> str:
    line = " ".join(_swept(_ANSI.sub("", line) if "\x1b" in line else line).split())
    return _shortened(_LISTED.sub(r"\1", line) if "," in line else line, LONGEST_SIGNATURE)


def signature(reason: str) -> str:
    """Returns the signature of ``reason`` (a failedReason), equal for failures of one cause.

    One line of at most `LONGEST_SIGNATURE` characters, empty if the reason has no words; the
    signature of a signature is itself. Control characters other than white space and colours stay
    in: show it through `qtui.text.plain`. Costs about 1 µs for a line in the cache, else 10 to
    30 µs per hundred characters, and never more than some 30 ms, however long or hostile the text.
    """
    is_line = reason.isprintable() and reason[:1] not in ("[", "<")
    line = reason if is_line else headline(reason).strip()
    line = _shortened(line, _LINE)
    for _ in range(_PASSES):
        settled = _pass(line)
        if settled == line:
            break
        line = settled
    return line
