"""TEMPORARY placeholder of the lead until helper-1's file lands: helper-1, overwrite this freely."""
from __future__ import annotations
from dataclasses import dataclass
from typing import TypeAlias
import redis.asyncio
from redis.asyncio.cluster import RedisCluster
Client: TypeAlias = "redis.asyncio.Redis | RedisCluster"
class RedisFault(Exception): ...
@dataclass(frozen=True)
class Target:
    url: str
    @property
    def shown(self) -> str: return self.url
@dataclass(frozen=True)
class Server:
    name: str = ""
    version: str = ""
def parse(url: str) -> Target: return Target(url)
def connect(target: Target, *, read_only: bool, timeout: float = 5.0) -> Client:
    return redis.asyncio.Redis.from_url(target.url, decode_responses=True, encoding_errors="surrogateescape")
async def identify(client: Client) -> Server:
    return Server("Valkey", "9.1")
def explain(error: BaseException, target: Target) -> RedisFault: return RedisFault(str(error))
