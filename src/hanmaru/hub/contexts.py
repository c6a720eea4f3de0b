"""User @contexts: fetched within limits, resolved once by a JSON-LD processor, compiled to term maps and cached.

A fetched document is kept in the store, so that a restart, or a context server that is away, costs nothing.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from hanmaru.hub.terms import CORE_TERMS, TermMap, is_core
from hanmaru.platform.egress import EVERYWHERE, Egress
from hanmaru.platform.problems import CORE_ERRORS, Problem, bad_request

Context = str | dict[str, Any] | list[Any]

MAX_BYTES = 1 << 20
TIMEOUT_S = 5.0
MAX_REMOTE = 10
CACHED_MAPS = 1_000
CACHED_TERMS = 500_000
"""Most terms of all maps that are remembered; some 350 bytes each."""
LONGEST_KEY = 64 << 10
"""What is longer in a request is compiled each time, and not remembered."""
RETRY_AFTER_S = 10.0


class DocumentStore(Protocol):
    """Where fetched context documents are kept; the hub's store is one."""

    async def get_document(self, kind: str, tenant: str, id: str) -> bytes | None: ...

    async def put_document(self, kind: str, tenant: str, id: str, doc: bytes) -> bool: ...


def unavailable(url: str, why: str) -> Problem:
    """Say that a context could not be had."""
    remedy = "Check the address, or store it at /ngsi-ld/v1/jsonldContexts."
    detail = f"The @context {url} could not be fetched: {why}. {remedy}"
    return Problem(504, "JSON-LD context not available", detail, type=CORE_ERRORS + "LdContextNotAvailable")


class Contexts:
    """Term maps by @context. ``await resolve(context)`` is a dictionary look-up for every context met before."""

    def __init__(
        self,
        store: DocumentStore,
        *,
        max_bytes: int = MAX_BYTES,
        timeout_s: float = TIMEOUT_S,
        egress: Egress = EVERYWHERE,
    ) -> None:
        """Keep fetched documents in ``store``; larger (bytes) or slower (seconds) ones are refused."""
        self._store, self._egress = store, egress
        self._max_bytes, self._timeout_s = max_bytes, timeout_s
        self._maps: OrderedDict[str, TermMap] = OrderedDict()
        self._terms = 0
        self._pending: dict[str, asyncio.Future[TermMap]] = {}
        self._failed: dict[str, tuple[float, Problem]] = {}

    async def resolve(self, context: Context | None) -> TermMap:
        """Return the term map of an @context: None or the core URL, another URL, an object, or a list of these.

        Raises a 400 problem for what is no context and a 504 problem for one that cannot be fetched.
        """
        if context is None or (isinstance(context, str) and is_core(context)):
            return CORE_TERMS
        if isinstance(context, list):
            context = [part for part in context if not (isinstance(part, str) and is_core(part))]
            if len(context) <= 1:
                return await self.resolve(context[0] if context else None)
        key = context if isinstance(context, str) else msgspec.json.encode(context).decode()
        if len(key) > self._max_bytes:
            raise bad_request(f"An @context has at most {self._max_bytes} bytes.")
        if known := self._maps.get(key):
            self._maps.move_to_end(key)
            return known
        if key in self._pending:
            return await asyncio.shield(self._pending[key])
        return await self._compile_once(key, context)

    async def _compile_once(self, key: str, context: Context) -> TermMap:
        failed = self._failed.get(key)
        if failed and time.monotonic() - failed[0] < RETRY_AFTER_S:
            raise failed[1]
        future: asyncio.Future[TermMap] = asyncio.get_running_loop().create_future()
        self._pending[key] = future
        try:
            loop = asyncio.get_running_loop()
            compiled = await asyncio.to_thread(compile_context, context, partial(self._load_from_thread, loop))
        except BaseException as error:
            if isinstance(error, Problem) and len(self._failed) < CACHED_MAPS and len(key) <= LONGEST_KEY:
                self._failed[key] = (time.monotonic(), error)
            future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            future.exception()  # nobody else may be waiting
            raise
        else:
            self._failed.pop(key, None)
            if len(key) <= LONGEST_KEY:
                self._maps[key] = compiled
                self._terms += compiled.size
            while len(self._maps) > CACHED_MAPS or self._terms > CACHED_TERMS:
                self._terms -= self._maps.popitem(last=False)[1].size
            future.set_result(compiled)
            return compiled
        finally:
            del self._pending[key]

    async def known(self, context: Context) -> bool:
        """Return whether an @context can be had without asking anybody: the core one, and what the hub keeps by URL."""
        for part in context if isinstance(context, list) else [context]:
            if not isinstance(part, str):
                return False
            if not (is_core(part) or part in self._maps or await self._store.get_document("context", "", part)):
                return False
        return True

    def forget(self, url: str) -> None:
        """Drop every compiled map that was made with the document at ``url``."""
        for key in [key for key in self._maps if url in key]:
            self._terms -= self._maps.pop(key).size
        self._failed.clear()

    def _load_from_thread(self, loop: asyncio.AbstractEventLoop, url: str) -> dict[str, Any]:
        return asyncio.run_coroutine_threadsafe(self.document(url), loop).result(self._timeout_s * 4)

    async def document(self, url: str, *, reload: bool = False) -> dict[str, Any]:
        """Return the context document at ``url``, from the store or fetched and then stored."""
        if not reload and (kept := await self._store.get_document("context", "", url)):
            return msgspec.json.decode(kept)["body"]
        body = await self._fetch(url)
        record = {"body": body, "kind": "Cached", "createdAt": time.time()}
        await self._store.put_document("context", "", url, msgspec.json.encode(record))
        return body

    async def _fetch(self, url: str) -> dict[str, Any]:
        if urlsplit(url).scheme not in ("http", "https"):
            raise unavailable(url, "only http and https addresses are fetched")
        accept = {"Accept": "application/ld+json, application/json;q=0.9"}
        try:
            timeout = aiohttp.ClientTimeout(total=self._timeout_s)
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=self._egress.connector()) as session,
                session.get(url, headers=accept, max_redirects=3) as response,
            ):
                if response.status != 200:
                    raise unavailable(url, f"the server answered {response.status}")
                raw = await response.content.read(self._max_bytes + 1)
                while len(raw) <= self._max_bytes and (more := await response.content.read(self._max_bytes)):
                    raw += more
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise unavailable(url, str(error) or type(error).__name__) from None
        if len(raw) > self._max_bytes:
            raise unavailable(url, f"it is larger than {self._max_bytes} bytes")
        try:
            body = msgspec.json.decode(raw)
        except msgspec.DecodeError as error:
            raise unavailable(url, f"it is not JSON ({error})") from None
        if not isinstance(body, dict) or "@context" not in body:
            raise unavailable(url, "it holds no @context")
        return cast("dict[str, Any]", body)


def compile_context(context: Context, load: Any) -> TermMap:
    """Compile an @context with PyLD; ``load(url)`` returns a remote context document. Runs outside the event loop."""
    pyld: Any = import_module("pyld.jsonld")  # PyLD carries no types
    resolver_class: Any = import_module("pyld.context_resolver").ContextResolver

    has_core = False

    def loader(url: str, options: object) -> dict[str, Any]:
        nonlocal has_core
        has_core = has_core or is_core(url)
        document: dict[str, Any] = {"@context": {}} if is_core(url) else load(url)
        return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": document}

    resolver = resolver_class(dict[str, Any](), loader, max_context_urls=MAX_REMOTE)
    options: dict[str, Any] = {
        "processingMode": "json-ld-1.1",
        "base": "",
        "documentLoader": loader,
        "contextResolver": resolver,
    }
    initial: dict[str, Any] = {"mappings": {}, "processingMode": "json-ld-1.1"}
    try:
        active: Mapping[str, Any] = pyld.JsonLdProcessor().process_context(initial, context, options)
    except pyld.JsonLdError as error:
        cause: Any = error
        while cause is not None and not isinstance(cause, Problem):
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise cause or bad_request(f"The @context is not valid: {_reason(error)}") from None
    except (TypeError, KeyError, ValueError, AttributeError, RecursionError) as error:
        raise bad_request(f"The @context is not valid: {error}") from None
    terms: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    for term, mapping in active["mappings"].items():
        iri = mapping and mapping.get("@id")
        if not iri or iri.startswith("@") or mapping.get("reverse"):
            continue
        terms[term] = iri
        if mapping.get("_prefix"):
            prefixes[term] = iri
    return TermMap(terms, prefixes, active.get("@vocab"), context, has_core=has_core)


def _reason(error: Any) -> str:
    return str(getattr(error, "args", [""])[0] or error).split("\n")[0]
