"""URLs, read and shown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qtui.bullmq.connection.faults import BadUrl
from qtui.bullmq.connection.target import Address, Credentials, Target, Topology, parse_target

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://", "redis://localhost:6379/0"),
        ("redis://cache-1", "redis://cache-1:6379/0"),
        ("  redis://cache-1:6380/3/\n", "redis://cache-1:6380/3"),
        ("REDIS://cache-1", "redis://cache-1:6379/0"),
        ("redis://cache_1.svc.local:1?db=7", "redis://cache_1.svc.local:1/7"),
        ("redis:///2", "redis://localhost:6379/2"),
        ("redis://[::1]/1", "redis://[::1]:6379/1"),
        ("rediss://[fe80::1%25eth0]:6390", "rediss://[fe80::1%eth0]:6390/0"),
        ("redis://user:hunter2@cache-1/1", "redis://cache-1:6379/1"),
        ("redis://:hunter2@cache-1", "redis://cache-1:6379/0"),
        ("redis://:p@hunter2@cache-1", "redis://cache-1:6379/0"),
        ("redis://:hunter2#1@cache-1", "redis://cache-1:6379/0"),
        ("redis://cache-1?username=user&password=hunter2", "redis://cache-1:6379/0"),
        ("redis://cache-1?family=6&socket_timeout=3", "redis://cache-1:6379/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix://user:hunter2@/run/a@b.sock?db=2", "unix:///run/a@b.sock?db=2"),
        ("unix:///run/a%1bb%20c?password=hunter2", "unix:///run/a␛b c"),
        ("redis+sentinel://a,b:1,[::2]:3/main", "redis+sentinel://a:26379,b:1,[::2]:3/main/0"),
        (
            "rediss+sentinel://u:hunter2@a/my%20master/4?sentinel_password=hunter2",
            "rediss+sentinel://a:26379/my master/4",
        ),
        ("redis+cluster://:hunter2@a:1,b:2/0", "redis+cluster://a:1,b:2"),
        ("rediss+cluster://a?ssl_password=hunter2", "rediss+cluster://a:6379"),
    ],
)
def test_a_url_is_shown_in_one_form_and_without_secrets(url: str, shown: str) -> None:
    target = parse_target(url)
    assert target.shown == shown
    assert str(target) == shown
    assert repr(target) == f"Target({shown!r})"
    for part in (target, target.credentials, target.sentinel_credentials, target.tls):
        assert SECRET not in repr(part)
        assert "user" not in repr(part).replace("username", "")


def test_what_is_shown_can_be_parsed_again() -> None:
    for url in ("redis://a/1", "unix:///a?db=2", "redis+sentinel://a,b/m/1", "redis+cluster://a,b"):
        target = parse_target(url)
        assert parse_target(target.shown) == target


def test_credentials_are_percent_decoded_and_a_plus_is_a_plus() -> None:
    assert parse_target("redis://us%40er:p%2Fa%3Fs%23s+%25@h").credentials == Credentials(
        "us@er", "p/a?s#s+%"
    )
    assert parse_target("redis://h?username=a%40b&password=1+1%26").credentials == Credentials(
        "a@b", "1+1&"
    )
    assert parse_target("redis://:%ff@h").credentials.password == "\udcff"
    assert not parse_target("redis://h").credentials
    assert parse_target("redis://only-user@h").credentials == Credentials("only-user", "")
    both = parse_target("redis+sentinel://u:p@h/m?sentinel_username=su&sentinel_password=sp")
    assert both.credentials == Credentials("u", "p")
    assert both.sentinel_credentials == Credentials("su", "sp")


def test_the_parts_of_a_url_are_where_they_belong() -> None:
    target = parse_target("redis+sentinel://h1,h2:7/main/5")
    assert target == Target(
        "redis+sentinel",
        Topology.SENTINEL,
        hosts=(Address("h1", 26379), Address("h2", 7)),
        master="main",
        db=5,
    )
    assert parse_target("unix:///a/b%20c?db=1") == Target(
        "unix", Topology.UNIX, path="/a/b c", db=1
    )
    assert parse_target("redis://[::1]:9").hosts == (Address("::1", 9),)


def test_tls_options_are_read_in_the_ways_in_which_people_write_them() -> None:
    tls = parse_target(
        "rediss://h?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=False&ssl_ca_certs=/a%20b.pem"
        "&ssl_ca_path=/c&ssl_certfile=d&ssl_keyfile=e&ssl_password=f"
    ).tls
    assert tls is not None
    assert (tls.verify, tls.check_hostname) == ("none", False)
    assert (tls.ca_file, tls.ca_path) == ("/a b.pem", "/c")
    assert (tls.certificate, tls.key, tls.key_password) == ("d", "e", "f")
    default = parse_target("rediss://h").tls
    assert default is not None
    assert (default.verify, default.check_hostname) == ("required", True)
    assert parse_target("redis://h").tls is None


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("", "must start with redis://"),
        ("http://localhost:6379", "must start with redis://"),
        ("http://hunter2@h", "must start with redis://"),
        ("redis:/h", "must start with redis://"),
        ("redis://h:hunter2", "a number up to 65535"),
        ("redis://h:0", "from 1 to 65535"),
        ("redis://h:65536", "from 1 to 65535"),
        ("redis://h:٣", "a number up to 65535"),
        ("redis://::1", "in brackets"),
        ("redis://[hunter2]", "IPv6"),
        ("redis://[::1", "host:port"),
        ("redis://a,b", "redis+cluster://"),
        ("redis+cluster://a,,b", "a host is missing"),
        ("redis://h/hunter2", "database number"),
        ("redis://h/-1", "database number"),
        ("redis://h?db=x", "database number"),
        ("redis+cluster://h/1", "database 0 only"),
        ("redis+sentinel://h", "master's name is missing"),
        ("redis+sentinel://h/main/x", "database number"),
        ("unix://", "path is missing"),
        ("unix://run/redis.sock", "three slashes"),
        ("redis://:hunter2/x@h", "%2F"),
        ("redis://:a?hunter2@h", "%3F"),
        ("redis://:1/hunter2@h", "%2F"),
        ("redis://:p@1?hunter2=@h:1", "unknown option"),
        ("redis://h?ssl_cert_req=none", "did you mean ssl_cert_reqs?"),
        ("redis://h?hunter2=hunter2", "known are"),
        ("redis://h?ssl_cert_reqs=none", "rediss://"),
        ("redis://h?sentinel_password=hunter2", "redis+sentinel://"),
        ("rediss://h?ssl_cert_reqs=hunter2", "none, optional or required"),
        ("rediss://h?ssl_check_hostname=hunter2", "true or false"),
        ("redis://:hunter2 @h", "percent-encode"),
        ("redis://h\x1b]0;x", "percent-encode"),
    ],
)
def test_a_bad_url_says_what_to_write_and_quotes_nothing(url: str, advice: str) -> None:
    with pytest.raises(BadUrl) as caught:
        parse_target(url)
    message = str(caught.value)
    assert advice in message
    assert SECRET not in message
    assert "\n" not in message
    assert caught.value.exit_code == 2


def test_parsing_a_url_imports_no_redis() -> None:
    code = "import sys, qtui.bullmq.connection.target; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "url", ["redis://cache-1:7000/0", "rediss://cache-1:7000/0", "unix:///run/redis.sock"]
)
def test_a_cluster_that_was_recognised_keeps_the_name_it_was_given(url: str) -> None:
    """Journals and screens name a server as it was typed."""
    target = parse_target(url)
    cluster = target.as_cluster([Address("10.0.0.5", 7000)])
    assert cluster.shown == target.shown == url
    assert cluster.kind is Topology.CLUSTER
    assert cluster.hosts == (target.hosts or (Address("10.0.0.5", 7000),))
