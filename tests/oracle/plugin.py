"""The option that extends the list of releases that tests/oracle asks."""

from __future__ import annotations

import pytest

OPTION = "--oracle-releases"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option; only a plugin that is loaded before the arguments are read can do so."""
    parser.addoption(
        OPTION,
        metavar="LIST",
        help="BullMQ releases that tests/oracle asks: all, or names such as 5.76.0,6.7.0,python",
    )
