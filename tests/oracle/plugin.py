"""The option that extends the list of releases, and the mark that narrows it for a case."""

from __future__ import annotations

import pytest

MARK = "releases"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --oracle-releases."""
    parser.addoption(
        "--oracle-releases",
        metavar="LIST",
        help="BullMQ releases that tests/oracle asks: all, or names such as 5.76.0,6.7.0,python",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declares the mark."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(since=, before=): the BullMQ releases for which a case makes sense",
    )
