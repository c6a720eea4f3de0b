"""What ``hanmaru up`` prints once it answers: addresses, demo accounts, and a warning when login is off."""

import socket
import sys
from collections.abc import Sequence

from hanmaru.config import Settings
from hanmaru.platform.accounts import DemoAccount, demo_accounts

WIDE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown, not bound


def demo_made(settings: Settings) -> list[DemoAccount]:
    """Return the demo's accounts, made at the first start; none without the demo or with login off."""
    return demo_accounts(settings.data) if settings.demo and settings.auth == "on" else []


def announce(settings: Settings, sockets: Sequence[socket.socket], accounts: Sequence[DemoAccount]) -> None:
    """Print where the hub answers and how to sign in, in English and Korean."""
    scheme = "https" if settings.tls.certificate else "http"
    address = _address(scheme, settings.host, sockets[0].getsockname()[1])
    lines = [
        "",
        "  Hanmaru is up. Stop it with ctrl-C.      한마루가 시작되었습니다. 종료: ctrl-C",
        "",
        f"    map and centre  지도와 관제 화면   {address}/",
        f"    NGSI-LD         데이터 허브        {address}/ngsi-ld/v1/",
        f"    HTTP reference  인터페이스 문서    {address}/docs",
    ]
    lines += [f"    demo account    데모 계정          {a.name} / {a.password}" for a in accounts]
    if settings.auth == "off":
        lines += ["", "  WARNING  Login is off: whoever reaches this machine's loopback address may change everything."]
        lines += ["  경고  로그인이 꺼져 있습니다. 이 컴퓨터의 모든 사용자가 모든 데이터를 바꿀 수 있습니다."]
    elif not accounts:
        lines += ["", "    Add an account: hanmaru user add NAME --role admin      위 명령으로 계정을 만드세요."]
    print(*lines, "", sep="\n", flush=True)
    if settings.auth == "off":
        print("hanmaru: WARNING: login is off (HANMARU_AUTH=off)", file=sys.stderr, flush=True)


def _address(scheme: str, host: str, port: int) -> str:
    shown = WIDE.get(host, host)
    return f"{scheme}://[{shown}]:{port}" if ":" in shown else f"{scheme}://{shown}:{port}"
