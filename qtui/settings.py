"""TEMPORARY placeholder of the lead until helper-1's file lands: helper-1, overwrite this freely."""

from __future__ import annotations
from dataclasses import dataclass, field
from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    redis: str = "redis://localhost:6379"
    prefixes: tuple[str, ...] = ("bull",)
    queues: tuple[str, ...] = ()
    read_only: bool = False
    refresh: float = 2.0
    profile: str = ""
    theme: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
