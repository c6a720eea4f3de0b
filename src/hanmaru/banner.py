"""What ``hanmaru up`` prints once it answers: addresses, demo accounts, and a warning when login is off."""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from hanmaru.config import Settings
from hanmaru.platform.identity.accounts import ROLES, Accounts, DemoAccount, demo_accounts, setup_link

WIDE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown, not bound


def open_accounts(settings: Settings) -> Accounts:
    """Return the accounts of the data folder; the city's name is no password."""
    return Accounts(settings.data, settings.keys_folder, context=[Path(settings.city).stem])


def demo_made(settings: Settings) -> list[DemoAccount]:
    """Return the demo's accounts, one for each role, made at the first start; none otherwise or with login off."""
    if not settings.demo or settings.auth == "off":
        return []
    from hanmaru.composition import services_of

    roles = dict.fromkeys([*ROLES, *(role for service in services_of(settings) for role in service.roles)])
    return demo_accounts(settings.data, list(roles), settings.keys_folder)


def first_token(settings: Settings) -> str | None:
    """Return the token of a link to make the first account with, an administrator's; None where there are accounts."""
    if settings.auth == "off":
        return None
    accounts = open_accounts(settings)
    try:
        return None if accounts.all() else accounts.setup_token(None, ["admin"])
    finally:
        accounts.close()


def announce(
    settings: Settings, sockets: Sequence[socket.socket], accounts: Sequence[DemoAccount], token: str | None = None
) -> None:
    """Print where the hub answers and how to sign in, in English and Korean; ``token`` makes the first account."""
    here = address(settings, sockets[0].getsockname()[1])
    lines = [
        "",
        "  Hanmaru is up. Stop it with ctrl-C.      한마루가 시작되었습니다. 종료: ctrl-C",
        "",
        f"    map and centre  지도와 관제 화면   {here}/",
        f"    NGSI-LD         데이터 허브        {here}/ngsi-ld/v1/",
        f"    HTTP reference  인터페이스 문서    {here}/docs",
    ]
    lines += [f"    demo account    데모 계정          {a.name} / {a.password}" for a in accounts]
    if settings.auth == "off":
        lines += ["", "  WARNING  Login is off: whoever reaches this machine's loopback address may change everything."]
        lines += ["  경고  로그인이 꺼져 있습니다. 이 컴퓨터의 모든 사용자가 모든 데이터를 바꿀 수 있습니다."]
    elif token:
        lines += ["", "  Make the first account here (good once, for 24 hours):   첫 계정 만들기 (한 번, 24시간):"]
        lines += [f"    {setup_link(settings.public_url or here, token)}"]
    print(*lines, "", sep="\n", flush=True)
    if settings.auth == "off":
        print("hanmaru: WARNING: login is off (HANMARU_AUTH=off)", file=sys.stderr, flush=True)


def address(settings: Settings, port: int) -> str:
    """Return where a browser on this machine finds the hub."""
    scheme, shown = "https" if settings.tls.certificate else "http", WIDE.get(settings.host, settings.host)
    return f"{scheme}://[{shown}]:{port}" if ":" in shown else f"{scheme}://{shown}:{port}"
