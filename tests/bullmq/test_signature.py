"""Real errors fall into the causes that a person would name, and different causes stay apart."""

from __future__ import annotations

import random
import string
import time
from collections import Counter

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from qtui.bullmq.signature.signature import LONGEST_SIGNATURE, signature

# A signature at the margin, below it what must come to it; deeper lines continue the one above.
CAUSES = """
connect ECONNREFUSED <address>
    connect ECONNREFUSED 10.0.0.7:5432
    connect ECONNREFUSED ::1:6379
    connect ECONNREFUSED [2001:db8::7]:443
    connect ECONNREFUSED localhost:5432
    connect ECONNREFUSED redis-1.internal:6379
    connect ECONNREFUSED redis:6379
connect EHOSTUNREACH <address> - Local (<address>)
    connect EHOSTUNREACH 10.0.0.7:443 - Local (192.168.1.4:51234)
    connect EHOSTUNREACH fe80::1:443 - Local (:::0)
connect ENOENT <path>
    connect ENOENT /var/run/postgresql/.s.PGSQL.5432
getaddrinfo ENOTFOUND <address>
    getaddrinfo ENOTFOUND api.stripe.com
    getaddrinfo ENOTFOUND postgres
querySrv ETIMEOUT <address>
    querySrv ETIMEOUT _mongodb._tcp.cluster0.ab1cd.mongodb.net
write EPROTO <hex>:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:\
../deps/openssl/openssl/ssl/record/rec_layer_s3.c:<n>:SSL alert number 40
    write EPROTO C0C7E4A9F87F0000:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake
        failure:../deps/openssl/openssl/ssl/record/rec_layer_s3.c:1605:SSL alert number 40
Hostname/IP does not match certificate's altnames: Host: <address>. is not in the cert's altnames: \
DNS:<address>
    Hostname/IP does not match certificate's altnames: Host: api.example.com. is not in the cert's
        altnames: DNS:example.com
    Hostname/IP does not match certificate's altnames: Host: b.example.org. is not in the cert's
        altnames: DNS:*.example.net, DNS:example.net, IP Address:10.0.0.1
Timeout of <n>ms exceeded
    Timeout of 5000ms exceeded
    Timeout of 30000ms exceeded
Task timed out after <n> seconds
    Task timed out after 900.10 seconds
    Task timed out after 3 seconds
Request failed with status code 404
    Request failed with status code 404
    \x1b[31mRequest failed with status code 404\x1b[39m
request to <url> failed, reason: connect ETIMEDOUT <address>
    request to https://api.example.com/v1/users/17?full=1 failed, reason: connect ETIMEDOUT
        10.1.2.3:443
    request to http://10.0.0.4:8080/ failed, reason: connect ETIMEDOUT 10.0.0.4:8080
404 Client Error: Not Found for url: <url>
    404 Client Error: Not Found for url: https://api.example.com/v1/users/17
    404 Client Error: Not Found for url: https://api.example.com/v1/users/alice
POST <url> 502 (Bad Gateway)
    POST https://hooks.example.com/a 502 (Bad Gateway)
Cannot POST /v1/customers/<id>/charges
    Cannot POST /v1/customers/cus_18/charges
    Cannot POST /v1/customers/cus_NffrFeUfNV2Hib/charges
duplicate key value violates unique constraint "UQ_97672ac88f789774dd47f7c8be3"
    duplicate key value violates unique constraint "UQ_97672ac88f789774dd47f7c8be3"
relation "events_<n>_05" does not exist
    relation "events_2024_05" does not exist
    relation "events_2025_05" does not exist
invalid input syntax for type uuid: <quoted>
    invalid input syntax for type uuid: "alice"
    invalid input syntax for type uuid: "17"
Process <n> waits for ShareLock on transaction <n>; blocked by process <n>.
    Process 123 waits for ShareLock on transaction 4567; blocked by process 89.
insert into "orders" (<quoted>) values (<n>) - deadlock detected
    insert into "orders" ("id", "total", "note") values (1, 2, 3) - deadlock detected
    insert into "orders" ("id", "total") values (10, 20), (30, 40) - deadlock detected
Key (email)=(<quoted>) already exists.
    Key (email)=(bob@example.com) already exists.
ER_DUP_ENTRY: Duplicate entry <quoted> for key 'users.email'
    ER_DUP_ENTRY: Duplicate entry 'bob@example.com' for key 'users.email'
    ER_DUP_ENTRY: Duplicate entry '17-4' for key 'users.email'
SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry <quoted> for key 'PRIMARY'
    SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry '5' for key 'PRIMARY'
Access denied for user <quoted>@<quoted> (using password: YES)
    Access denied for user 'app'@'10.0.0.3' (using password: YES)
E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: <quoted> }
    E11000 duplicate key error collection: shop.users index: email_1 dup key: { email: "a@b.io" }
connection <n> to <address> closed
    connection 7 to 10.0.0.7:27017 closed
Cast to ObjectId failed for value <quoted> (type string) at path "_id" for model "User"
    Cast to ObjectId failed for value "abc" (type string) at path "_id" for model "User"
Reached the max retries per request limit (which is <n>). Refer to "maxRetriesPerRequest" option \
for details.
    Reached the max retries per request limit (which is 20). Refer to "maxRetriesPerRequest" option
        for details.
MOVED <n> <address>
    MOVED 3999 127.0.0.1:6381
ERR Error running script (call to <id>): @user_script:<n>: boom
    ERR Error running script (call to f_4b2f0a1f8f3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e):
        @user_script:12: boom
User: <arn> is not authorized to perform: s3:GetObject on resource: <arn>
    User: arn:aws:iam::123456789012:user/bob is not authorized to perform: s3:GetObject on resource:
        arn:aws:s3:::invoices/2024/1.pdf
Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: <id>; \
S3 Extended Request ID: <id>; Proxy: null)
    Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID:
        4442587FB7D0A2F9; S3 Extended Request ID: MzRISOwyjmnup4FB2B/c=; Proxy: null)
    Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID:
        ABCDEFABCDEFABCD; S3 Extended Request ID: ab+c/d; Proxy: null)
No such customer: <quoted>
    No such customer: 'cus_18'
    No such customer: 'cus_NffrFeUfNV2Hib'
No such charge: <id>
    No such charge: ch_3P2654fb44
    No such charge: ch_NffrFeUfNVaHib
Order <id> was shipped on <time>
    Order order-44955 was shipped on 2024-05-01
    Order order-7 was shipped on 2024-05-01T12:34:56.789Z
    Order ord_9f8a7b6c was shipped on Wed May 01 2024 12:34:56 GMT+0000 (Coordinated Universal
        Time)
User <n> not found
    User 17 not found
User <uuid> not found
    User 5f07aeb4-3e07-4f84-be27-905074e61db7 not found
User <hex> not found
    User 64b8f0c2e1d3a4b5c6d7e8f9 not found
    User 0x7f12ab not found
    User sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 not found
user with id <id> not found
    user with id 17 not found
    user with id k3x9 not found
items.<n>.price of <email> must be at least <n>%
    items.12.price of b.o-b+tag@mail.example.co.uk must be at least 2.5%
Unexpected token '<', <quoted>... is not valid JSON
    Unexpected token '<', "<!DOCTYPE "... is not valid JSON
    Unexpected token '<', "<html>"... is not valid JSON
Unexpected token < in JSON at position <n>
    Unexpected token < in JSON at position 0
ENOENT: no such file or directory, open <quoted>
    ENOENT: no such file or directory, open '/tmp/upload_123.csv'
    ENOENT: no such file or directory, open 'C:\\Users\\bob\\a b.csv'
Missing lock for job <id>. moveToFinished
    Missing lock for job 123. moveToFinished
    Missing lock for job send:alice. moveToFinished
could not renew lock for job <id>
    could not renew lock for job 12
child bull:emails:<id> failed
    child bull:emails:12 failed
    child bull:emails:repeat:2a:1700000000000 failed
HTTPSConnectionPool(host=<quoted>, port=<n>): Read timed out. (read timeout=<n>)
    HTTPSConnectionPool(host='api.example.com', port=443): Read timed out. (read timeout=30)
'NoneType' object has no attribute 'get'
    'NoneType' object has no attribute 'get'
user_id
    'user_id'
java.lang.NullPointerException: Cannot invoke "String.length()" because <quoted> is null
    java.lang.NullPointerException: Cannot invoke "String.length()" because "<local1>" is null
dial tcp: lookup <address> on <address>: no such host
    dial tcp: lookup api.example.com on 10.0.0.2:53: no such host
    dial tcp: lookup redis on 127.0.0.11:53: no such host
read tcp <address>-><address>: read: connection reset by peer
    read tcp 10.0.0.1:51234->10.0.0.2:443: read: connection reset by peer
x509: certificate has expired or is not yet valid: current time <time> is after <time>
    x509: certificate has expired or is not yet valid: current time 2024-05-01T00:00:00Z is after
        2024-04-01T10:11:12+02:00
context deadline exceeded after <n>s
    context deadline exceeded after 1m30.5s
14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED <address>
    14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED 10.0.0.1:50051
550 5.1.1 <<email>>: Recipient address rejected: User unknown
    550 5.1.1 <bob@example.com>: Recipient address rejected: User unknown
GraphQL error: Variable "$id" got invalid value <quoted>; Expected type "ID"
    GraphQL error: Variable "$id" got invalid value "17"; Expected type "ID"
Connection error: connect ETIMEDOUT <address> (broker: <address>, attempt <n>)
    Connection error: connect ETIMEDOUT 10.0.0.3:9092 (broker: kafka-1.internal:9092, attempt 3)
429 Rate limit reached for gpt-4o in organization <id> on tokens per min (TPM): Limit <n>, Used \
<n>, Requested <n>. Please try again in <time>.
    429 Rate limit reached for gpt-4o in organization org-uOtiSEwvUnroadaOnJJquBEC on tokens per min
        (TPM): Limit 30000, Used 29937, Requested 385. Please try again in 644ms.
    429 Rate limit reached for gpt-4o in organization org-gvAzf6Q9pR7y2UAiI9owd3LF on tokens per min
        (TPM): Limit 30000, Used 9, Requested 85. Please try again in 6m1.2s.
529 {"type":"error","error":{"type":"overloaded_error","message":"Busy"},"request_id":<quoted>}
    529 {"type":"error","error":{"type":"overloaded_error","message":"Busy"},"request_id":"req_011"}
exited with code 137 after <n>s
    exited with code 137 after 12s
订单<n>不存在
    订单123不存在
"""

# What must stay apart, or the wrong thing is run again: all of a line.
APART = """
connect ECONNREFUSED 10.0.0.7:5432 | connect ETIMEDOUT 10.0.0.7:5432 | read ECONNRESET
getaddrinfo ENOTFOUND db.internal | getaddrinfo EAI_AGAIN db.internal | queryA ETIMEOUT db.internal
Request failed with status code 404 | Request failed with status code 500 | HTTP 502 | HTTP 503
HTTP/1.1 502 Bad Gateway | HTTP/1.1 504 Gateway Timeout | HTTP error! status: 429
Server returned 503 | Server returned 504 | Got 404 from upstream | Got 410 from upstream
{"statusCode":503} | {"statusCode":429} | Unexpected server response: 502 | Bad response: 504
429 Too Many Requests | 401 Unauthorized | 404 page not found | 500 internal server error | 502
[Errno 111] Connection refused | [Errno 110] Connection refused | errno: -104 | errno: -110
cURL error 28: failed | cURL error 6: failed | exited with code 1 | exited with code 137
killed by signal 9 | killed by signal 15 | closed with code 1006 | closed with code 1011
Failed with exit code 0xC0000005 | Failed with exit code 0xC0000409 | Failed with exit code 5
error P2002 | error P2025 | code: 'P2002' | code: 'P2025'
Query failed (SQLSTATE 23505) | Query failed (SQLSTATE 40001) | code: 42P01 | code: 42703
ERROR 1062 (23000): x | ERROR 1205 (HY000): x | ORA-00001: failed | ORA-01017: failed
SQLSTATE[HY000] [2002] x | SQLSTATE[HY000] [1045] x | E11000 failed | E11001 failed
DiscordAPIError[50013]: x | DiscordAPIError[10008]: x | (#100) Unsupported | (#190) Unsupported
14 UNAVAILABLE: failed | 4 DEADLINE_EXCEEDED: failed | SSL alert number 40 | SSL alert number 46
550 5.1.1 rejected | 550 5.7.1 rejected | Failed: 554 No | Failed: 452 No | 535-5.7.8 No
ERR_HTTP2_STREAM_CANCEL | ERR_HTTP2_STREAM_ERROR | ERR_TLS_CERT_ALTNAME_INVALID
unique constraint "a_1_key" | unique constraint "a_2_key" | unique constraint "UQ_97672ac88f78"
Duplicate entry 'x' for key 'a.email' | Duplicate entry 'x' for key 'a.phone'
CONSTRAINT `orders_ibfk_1` FOREIGN | CONSTRAINT `orders_ibfk_2` FOREIGN
E11000 index: email_1 dup key | E11000 index: phone_1 dup key
column "a" does not exist | column "b" does not exist | relation "a" does not exist
syntax error at or near "WHERE" | syntax error at or near "FROM"
failed on the fields: (`email`) | failed on the fields: (`phone`) | failed on the fields: (`a`,`b`)
Path `email` is required. | Path `name` is required. | "email" is required | "amount" is required
of undefined (reading 'id') | of undefined (reading 'name') | of null (reading 'id')
Cannot find module './a' | Cannot find module './b' | ENOENT: open '/a' | ENOENT: scandir '/a'
Unexpected token '<' | Unexpected token 'I' | Unexpected token < in JSON | Unexpected end of JSON
"undefined" is not valid JSON | "[object Object]" is not valid JSON | '{"a' is not valid JSON
{"type":"overloaded_error"} | {"type":"rate_limit_error"} | {'message': 'No'} | {'message': 'Busy'}
Rate limit for gpt-4o in | Rate limit for gpt-3.5-turbo in | Rate limit for claude-3-5-haiku in
no: s3:GetObject | no: s3:PutObject | throttled in us-east-1 | throttled in eu-west-1
child bull:emails:12 failed | child bull:invoices:12 failed | job stalled more than allowable limit
Missing lock for job 1. moveToFinished | Missing key for job 1. moveToFinished
x (NewConnectionError('[Errno 111] no')) | x (NewConnectionError('[Errno 113] no'))
User 17 not found | Order 17 not found | User 17 not paid
"""

# Lines that only announce, and the cause that belongs to them.
_INVALID = "Invalid `prisma.user.create()` invocation"
ANNOUNCED = {
    "\n\n  ====\n\tboom at 12\nmore": "boom at <n>",
    "\x1b[1m\n\x1b[31mboom\x1b[0m": "boom",
    f"\n{_INVALID} in\n/app/a.ts:9:30\n\n  6 try {{\n→ 9   await x(\nUnique failed: (`a`)": (
        f"{_INVALID}: Unique failed: (`a`)"
    ),
    f"\n{_INVALID}:\n\n\nCan't reach server at `db-1.internal:5432`\n\nPlease make sure.": (
        f"{_INVALID}: Can't reach server at `<address>`"
    ),
    f"{_INVALID}:\n\n{{\n  data: {{\n+   id: 7\n  }}\n}}\n\nUnknown argument `n`.": (
        f"{_INVALID}: Unknown argument `n`."
    ),
    "Traceback (most recent call last):\n  File 'x.py', line 1\n    main()\nKeyError: 'a'\n": (
        "KeyError: 'a'"
    ),
    "Command failed: ffmpeg -i /tmp/a1b2.mp4\nffmpeg version 4.4\nConversion failed!\n": (
        "Command failed: ffmpeg -i <path> Conversion failed!"
    ),
    '[\n  {\n    "code": "invalid_type",\n    "path": [\n      "email"\n    ]\n  }\n]': (
        '[ { "code": "invalid_type", "path": [ "email" ] } ]'
    ),
}

LETTERS = string.ascii_letters + string.digits
IDS = {
    "nanoid": (LETTERS + "_-", 21, ""),
    "base 62": (LETTERS, 20, ""),
    "cuid": (string.ascii_lowercase + string.digits, 24, "c"),
    "ulid": ("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 24, "01"),
    "object id": ("0123456789abcdef", 24, ""),
    "stripe": (LETTERS, 14, "cus_"),
    "upper case": (string.ascii_uppercase + string.digits, 12, ""),
    "order": (string.digits, 6, "order-"),
    "invoice": (string.digits, 6, "INV"),
    "pod": ("bcdf4567", 8, "payments-7d9f8b6c5-"),
}

HOSTILE = [
    "a", "1", "a-", "1-", "-1", "a.", "1.", "a_", "aA", "a1 ", "1 ", "1h", "0x", "+-", "v1.", "\\",
    "'", '"', "`", " 'a", '"\\', "“", "(", "[", "[1:", "{'", '{"a":', '[{\n"message":"', "<n>, ",
    ":", "1:", "a:", "::", "/", "/a", " /a.b", "/a?", "@", "a@", "a@a.", "a.a@", "http://", "arn:",
    "gpt-", "error ", "code ", "\n", " ", "\0", "\x1b[", "lock for job ", "Job ", "child a:",
    "DNS:a", "again in 1 ", "ENOTFOUND a", "Key (", "May 1 20", "Traceback (most recent call",
]  # fmt: skip

PIECES = st.lists(st.sampled_from([*HOSTILE, *CAUSES.split(" ")]))
ANY_TEXT = st.one_of(
    PIECES.map("".join),
    PIECES.map(" ".join),
    st.text(st.characters(categories=None)),
    st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)


def causes() -> list[tuple[str, str]]:
    """Each raw text of the table with the signature above it."""
    found: list[tuple[str, str]] = []
    cause = ""
    for line in CAUSES.strip("\n").split("\n"):
        text = line.lstrip(" ")
        if text == line:
            cause = text
        elif line.startswith(" " * 8):
            found[-1] = (f"{found[-1][0]} {text}", cause)
        else:
            found.append((text, cause))
    return found


@pytest.mark.parametrize(("reason", "cause"), causes())
def test_real_errors_fall_into_the_cause_a_person_would_name(reason: str, cause: str) -> None:
    assert signature(reason) == cause
    assert signature(cause) == cause


@pytest.mark.parametrize("line", APART.strip("\n").split("\n"))
def test_different_causes_never_fall_together(line: str) -> None:
    reasons = line.split(" | ")
    assert len(reasons) > 1
    assert len({signature(reason) for reason in reasons}) == len(reasons)


@pytest.mark.parametrize(("reason", "cause"), ANNOUNCED.items())
def test_a_line_that_only_announces_brings_its_cause(reason: str, cause: str) -> None:
    assert signature(reason) == cause


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_any_make_leave_one_group(kind: str) -> None:
    alphabet, length, prefix = IDS[kind]
    dice = random.Random(kind)
    ids = (prefix + "".join(dice.choices(alphabet, k=length)) for _ in range(500))
    groups = Counter(signature(f"Thing {each} is gone") for each in ids)
    # Some ids happen to have no digit, or a hyphen at an end.
    assert max(groups.values()) >= 450


COUNTED = """
Only {} left | Import returned {} rows | sent {} mails | {} of 900 failed | {}ms | Limit: {}
User {} not found | Balance: {} EUR missing | Invalid verification code {} | upload failed #{}
charged (again) {} | job <b> {} | id {} is bad | retry in 5s, {} | row: {} items | {}% done
"""


@pytest.mark.parametrize("text", COUNTED.replace("\n", " | ").strip(" |").split(" | "))
def test_a_number_that_only_counts_is_no_code(text: str) -> None:
    assert len({signature(text.format(number)) for number in (7, 404, 500, 123_456)}) == 1


def test_an_outage_at_three_in_the_morning_is_a_handful_of_causes() -> None:
    dice = random.Random(3)
    kinds = {
        "connect ECONNREFUSED <address>": "connect ECONNREFUSED 10.0.0.{:.3}:5432",
        "No such customer: <quoted>": "No such customer: 'cus_{}'",
        "Timeout of <n>ms exceeded": "Timeout of {}ms exceeded",
        "<id> has no <email>": "order-{0} has no bob{0}@example.com",
        "Request failed with status code 503": "Request failed with status code 503",
    }
    names = dice.choices(list(kinds), k=40_000)
    reasons = (kinds[name].format(str(dice.randrange(100, 100_000))) for name in names)
    assert Counter(map(signature, reasons)) == Counter(names)


@given(ANY_TEXT)
@example("")
@example(" \n\t ")
@example("---")
@example("\x1b[\x1b[0m31m7")
def test_a_signature_is_one_short_line_and_its_own_signature(reason: str) -> None:
    found = signature(reason)
    assert len(found) <= LONGEST_SIGNATURE
    assert len(found.splitlines()) <= 1
    assert found == found.strip()
    assert signature(found) == found


@given(ANY_TEXT, ANY_TEXT)
def test_only_the_first_line_counts(first: str, rest: str) -> None:
    first = f"boom {' '.join(first.split())} happened"
    assert signature(f"\n{first}\n{rest}") == signature(first)


@given(st.sampled_from(HOSTILE), st.sampled_from(HOSTILE))
def test_the_middle_of_a_huge_line_is_never_looked_at(ends: str, middle: str) -> None:
    ends, middle = "".join(filter(str.isprintable, ends)), "".join(filter(str.isprintable, middle))
    one, other = (ends * 20_000 + filler * 20_000 + ends * 20_000 for filler in ("x", middle))
    assume(ends)
    assert signature(one) == signature(other)


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_of_anything_costs_milliseconds(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    began = time.process_time()
    signature(text)
    assert time.process_time() - began < 0.5
