"""Where the hub itself may send requests: the address that is connected to counts, whatever name or URL led there."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.hub.contexts import Contexts
from hanmaru.platform.egress import EVERYWHERE, KINDS, Egress, EgressError
from hanmaru.platform.problems import Problem
from hanmaru.platform.sender import Sender

NEVER = (
    "169.254.169.254 fe80::1 fe80::1%eth0 224.0.0.1 ff02::1 0.0.0.0 :: 240.0.0.1 255.255.255.255 192.0.2.1 "
    "fd00:ec2::254 100.100.100.200 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe:: ::a9fe:a9fe "
    "0.0.0.7 no-address 1 2130706433"
).split()


@pytest.mark.parametrize("address", NEVER)
def test_cloud_metadata_and_the_like_are_never_reached_however_written(address: str) -> None:
    assert not EVERYWHERE.permits(address)
    assert not Egress([*KINDS, "0.0.0.0/0", "::/0"]).permits(address)


@pytest.mark.parametrize(
    ("kind", "addresses"),
    [
        ("loopback", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "::7f00:1"]),
        ("private", ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::1", "64:ff9b::a01:203"]),
        ("public", ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808"]),
    ],
)
def test_each_kind_is_allowed_by_its_name_only(kind: str, addresses: list[str]) -> None:
    others = Egress([other for other in KINDS if other != kind])
    for address in addresses:
        assert EVERYWHERE.permits(address)
        assert Egress([kind]).permits(address)
        assert not others.permits(address)


def test_a_network_is_allowed_by_its_range() -> None:
    rule = Egress(["public", "10.20.0.0/16", "fd00:1::/32"])
    assert rule.permits("10.20.3.4")
    assert rule.permits("fd00:1::9")
    assert not rule.permits("10.21.3.4")
    with pytest.raises(EgressError, match="give loopback, private, public or networks"):
        Egress(["10.20.0.0/99"])


@given(st.one_of(st.ip_addresses(), st.text(max_size=40)))
def test_any_text_gets_an_answer_and_link_local_never_yes(address: IPv4Address | IPv6Address | str) -> None:
    if EVERYWHERE.permits(str(address)):
        assert not ip_address(str(address)).is_link_local


@asynccontextmanager
async def receiver(answer: Any) -> AsyncGenerator[tuple[int, list[str]]]:
    """Serve on 127.0.0.1 and note the paths asked for."""
    seen: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return answer(request)

    server = web.Server(serve)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1], seen
    finally:
        await runner.cleanup()


class NoDocuments:
    """A store of context documents that holds none."""

    async def get_document(self, kind: str, tenant: str, id: str) -> bytes | None:
        return None

    async def put_document(self, kind: str, tenant: str, id: str, doc: bytes) -> bool:
        return True


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_a_context_at_an_address_that_is_not_permitted_is_not_fetched(host: str) -> None:
    async with receiver(lambda _: web.json_response({"@context": {}})) as (port, seen):
        url = f"http://{host}:{port}/context.jsonld"
        with pytest.raises(Problem, match=r"egress\.allow does not permit"):
            await Contexts(NoDocuments(), egress=Egress(["public"])).document(url)
        assert seen == []


async def test_a_redirect_does_not_lead_to_where_the_address_itself_may_not() -> None:
    async with receiver(lambda _: web.Response(status=302, headers={"location": "http://169.254.169.254/"})) as (
        port,
        _,
    ):
        with pytest.raises(Problem, match=r"egress\.allow does not permit the address 169\.254\.169\.254"):
            await Contexts(NoDocuments()).document(f"http://127.0.0.1:{port}/")


async def test_a_notification_goes_where_it_may_and_fails_where_not() -> None:
    async with receiver(lambda _: web.Response()) as (port, seen):
        open_, strict = Sender(per_endpoint=1, ssl=None), Sender(per_endpoint=1, ssl=None, egress=Egress(["public"]))
        try:
            uri = f"http://localhost:{port}/notify"
            assert (await open_.send(uri, {}, b"{}", 5)).verdict == "delivered"
            refused = await strict.send(uri, {}, b"{}", 5)
            assert refused.verdict == "failed"
            assert "egress.allow" in refused.reason
            assert seen == ["/notify"]
        finally:
            await open_.close()
            await strict.close()


class Rebinding(aiohttp.abc.AbstractResolver):
    """A name server that says one thing at first and another after."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[Any]:
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0},
        ]

    async def close(self) -> None:
        pass


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    async with receiver(lambda _: web.Response()) as (port, seen):
        connector = Egress(["127.0.0.1/32"]).connector(
            resolver=Rebinding("127.0.0.1", "127.0.0.2"), use_dns_cache=False
        )
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(f"http://rebinding.example:{port}/1", headers={"connection": "close"}) as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientConnectorError, match=r"does not permit the address 127\.0\.0\.2"):
                await session.get(f"http://rebinding.example:{port}/2")
        assert seen == ["/1"]
