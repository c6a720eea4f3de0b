"""A real OpenID Connect provider, the certified one from npm, and what a browser does there."""

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import aiohttp
import pytest

from tools.build_web import CannotBuildError, toolchain

HERE = Path(__file__).with_name("oidc_provider")
CLIENT_ID, CLIENT_SECRET = "hanmaru", "a secret for tests"


def install(folder: Path) -> Path:
    """Install the locked packages into a folder and return the server's path; skip where that cannot be done."""
    try:
        npm, node_folder = toolchain()
    except CannotBuildError as error:
        pytest.skip(str(error))
    for name in ("package.json", "package-lock.json", ".npmrc", "server.mjs"):
        shutil.copy(HERE / name, folder / name)
    path = node_folder + os.pathsep + os.environ.get("PATH", "")
    environment = {"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path}
    done = subprocess.run([*npm, "ci"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"oidc-provider cannot be installed: {done.stderr[-500:]}")
    return folder / "server.mjs"


@dataclass
class RealProvider:
    """A provider that listens."""

    issuer: str
    process: subprocess.Popen[str]

    def behave(self, **how: Any) -> Self:
        """Make it behave in a way that ``oidc_provider/server.mjs`` describes; well without arguments."""
        request = Request(f"{self.issuer}/test", json.dumps(how).encode(), method="POST")
        with urlopen(request, timeout=10) as answer:
            assert answer.read() == b"{}"
        return self


@contextmanager
def providing(server: Path, **environment: str) -> Iterator[RealProvider]:
    """Run the provider for as long as the block lasts."""
    _, node_folder = toolchain()
    process = subprocess.Popen(
        [str(Path(node_folder) / "node"), str(server)],
        cwd=server.parent,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield RealProvider(process.stdout.readline().strip(), process)
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def visit(address: str, person: str, *, until: str, refuse: bool = False) -> str:
    """Sign in at the provider as a browser does, and return the address beginning with ``until`` that it is sent to.

    ``refuse`` leaves at the question whether the application may know who one is.
    """
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        form: dict[str, str] | None = None
        for _ in range(20):
            method = "GET" if form is None else "POST"
            async with session.request(method, address, data=form, allow_redirects=False) as answer:
                page, location = await answer.text(), answer.headers.get("location")
            form = None
            if location:
                address = urljoin(address, location)
                if address.startswith(until):
                    return address
                continue
            prompt = re.search(r'name="prompt" value="(\w+)"', page)
            assert prompt, page
            if prompt[1] == "consent" and refuse:
                abort = re.search(r'href="([^"]+/abort)"', page)
                assert abort, page
                address = urljoin(address, html.unescape(abort[1]))
                continue
            action = re.search(r'action="([^"]+)"', page)
            assert action, page
            address = urljoin(address, html.unescape(action[1]))
            form = {"prompt": prompt[1], **({"login": person, "password": "any"} if prompt[1] == "login" else {})}
    raise AssertionError(f"the provider never went back to {until}")
