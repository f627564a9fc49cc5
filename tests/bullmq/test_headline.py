"""Which line of an error is shown, and what a stack says where the error is empty."""

from __future__ import annotations

import json
from typing import Final

import pytest

from qtui.bullmq.signature.headline import cut_reason, headline, reason_of, spoken
from qtui.bullmq.signature.signature import signature

_ZOD: Final = (
    '[\n  {\n    "code": "invalid_type",\n    "path": [\n      "email"\n    ],\n'
    '    "message": "Required"\n  }\n]'
)
_ARGUMENTS: Final = "".join(f"    field{at}: '{'x' * 60}',\n" for at in range(60))
_NODE_FRAMES: Final = (
    "    at internalConnectMultiple (node:net:1122:18)\n"
    "    at afterConnectMultiple (node:net:1689:7)"
)


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("\n  Timeout of 5000ms exceeded\n    at x", "Timeout of 5000ms exceeded"),
        (_ZOD, "Required at email (invalid_type)"),
        (_ZOD.replace("\n]", ",\n  1, 2\n]"), "Required at email (invalid_type) +2 more"),
        ('{\n  "error": {"message": "no such card", "code": 4}\n}', "no such card (4)"),
        ('{"a": 1}', '{"a": 1}'),
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head><title>\n502 Bad\n Gateway</title></head>',
            "502 Bad Gateway",
        ),
        ("<html><body><h1 class=x>Not here</h1>", "Not here"),
        ("Error: <!doctype html>\n<title>Log in</title>", "Error: Log in"),
        ("<!DOCTYPE html>\n<html>", "<!DOCTYPE html>"),
        ("Unexpected token '<', \"<!DOCTYPE \"...", "Unexpected token '<', \"<!DOCTYPE \"..."),
        ("[object Object]", "[object Object]"),
        (f"Validation failed: {_ZOD}", "Validation failed: " + " ".join(_ZOD.split())),
        (
            "\nInvalid `prisma.user.create()` invocation in\n/app/src/users.ts:12:34\n\n"
            "   9 const x = 1\n→ 12 await prisma.user.create(\n"
            "Unique constraint failed on the fields: (`email`)",
            "Invalid `prisma.user.create()` invocation: "
            "Unique constraint failed on the fields: (`email`)",
        ),
        (
            "Invalid `prisma.user.create()` invocation:\n\n{\n  data: {\n"
            f"{_ARGUMENTS}+   name: String\n  }}\n}}\n\nArgument `name` is missing.",
            "Invalid `prisma.user.create()` invocation: Argument `name` is missing.",
        ),
        (
            "\nselect *\nfrom orders\nwhere id = $1 - column orders.id does not exist",
            "column orders.id does not exist",
        ),
        (
            'insert into "users" ("email") values ($1) - duplicate key value violates unique '
            'constraint "users_email_key"',
            'duplicate key value violates unique constraint "users_email_key"',
        ),
        (
            "2 validation errors for User\nemail\n  Field required [type=missing]\nage\n  Int",
            "2 validation errors for User: email: Field required [type=missing]",
        ),
        (
            "An instance of User has failed the validation:\n - property email: isEmail",
            "An instance of User has failed the validation: - property email: isEmail",
        ),
        ("Error:\nthe card was declined\n    at f (/app/x.js:1:2)", "Error: the card was declined"),
        ("AxiosError\n    at settle (/app/axios.js:1:2)", "AxiosError"),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'id'", "KeyError: 'id'"),
        (
            "Command failed: ffmpeg\nversion 6\nout.mp4: No space left",
            "Command failed: ffmpeg out.mp4: No space left",
        ),
        ("Update of the order failed - try later", "Update of the order failed - try later"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
    ],
)
def test_a_person_reads_the_line_that_names_the_cause(reason: str, line: str) -> None:
    assert spoken(reason) == line


def test_an_empty_error_stays_empty() -> None:
    assert spoken("") == spoken(" \n\n ") == ""


def test_a_cause_at_the_end_of_a_very_long_error_is_found() -> None:
    reason = f"Invalid `prisma.a.b()` invocation:\n\n{{\n{_ARGUMENTS * 40}}}\n\nUnknown field `x`."
    assert len(reason) > 100_000
    assert headline(reason) == "Invalid `prisma.a.b()` invocation: Unknown field `x`."


def test_a_list_keeps_the_line_and_not_the_first_characters() -> None:
    reason = f"Invalid `prisma.a.b()` invocation:\n\n{{\n{_ARGUMENTS}}}\n\nUnknown field `x`."
    assert headline(cut_reason(reason, 2000)) == headline(reason)
    assert cut_reason("x" * 3000, 2000) == "x" * 2000


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        (f"AggregateError [ECONNREFUSED]: \n{_NODE_FRAMES}", "AggregateError [ECONNREFUSED]"),
        ("Error\n    at charge (/app/a.js:4:9)", "Error at charge (/app/a.js:4:9)"),
        ("TimeoutError: \n    at f (/a.js:1:2)", "TimeoutError at f (/a.js:1:2)"),
        (
            'Traceback (most recent call last):\n  File "/app/x.py", line 3\n    raise\n'
            "asyncio.exceptions.TimeoutError\n",
            "asyncio.exceptions.TimeoutError",
        ),
        ("    at f (/a.js:1:2)", ""),
        ("", ""),
    ],
)
def test_a_stack_speaks_for_an_error_without_a_message(stack: str, said: str) -> None:
    older = "Error: something else\n    at g (/a.js:1:2)"
    assert reason_of("", json.dumps([older, stack] if stack else [])) == said
    assert reason_of(" \n", json.dumps([stack])) == (said or " \n")


def test_a_reason_that_is_there_or_a_stack_that_is_garbage_changes_nothing() -> None:
    stack = json.dumps(["Error: other\n    at f (/a.js:1:2)"])
    assert reason_of("said", stack) == "said"
    assert reason_of(None, stack) is None
    for garbage in ("", "{", "null", "[1, 2]", "[[[[", '{"a": 1}'):
        assert reason_of("", garbage) == ""


def test_a_group_of_json_lists_or_pages_is_named_in_words() -> None:
    assert signature(_ZOD) == "Required at email (invalid_type)"
    assert signature(" ".join(_ZOD.split())) == signature(_ZOD)
    assert signature("<!DOCTYPE html><title>502 Bad Gateway</title>") == "502 Bad Gateway"
