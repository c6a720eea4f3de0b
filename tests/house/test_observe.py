"""What a running hub tells about itself: metrics over all workers, structured logs, traces."""

import re
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.running import Running, running


def get(hub: Running, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    parts = urlsplit(hub.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


def test_metrics_are_added_up_over_workers_and_survive_one_that_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path, "--web-workers", "2", AUTH="off", SERVICES="") as hub:
        for _ in range(20):
            assert get(hub, "/healthz")[0] == 200
        next(w for w in hub.workers() if w.net_connections()).kill()
        hub.logged("worker ended")
        told = get(hub, "/metrics")[2]
    counted = re.search(r'hanmaru_http_request_seconds_count{.*route="/healthz",status="200"} (\S+)', told)
    assert counted
    assert float(counted[1]) == 20


def test_log_lines_are_json_with_the_workers_name_and_slow_requests_are_among_them(tmp_path: Path) -> None:
    with running(tmp_path, AUTH="off", SERVICES="", LOG__SLOW_REQUEST_S="0.000001") as hub:
        headers = get(hub, "/healthz", **{"X-Request-Id": "from-outside"})[1]
        assert headers["x-request-id"] == "from-outside"
        line = hub.logged("slow request")
    assert (line["worker"], line["path"], line["request_id"]) == ("web-1", "/healthz", "from-outside")
    assert line["timestamp"].endswith("Z")


@pytest.fixture
def collector() -> Iterator[tuple[str, "Queue[ExportTraceServiceRequest]"]]:
    received: Queue[ExportTraceServiceRequest] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") is None:
                received.put(ExportTraceServiceRequest.FromString(raw))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


def test_a_request_becomes_a_span_under_the_callers_trace(
    tmp_path: Path, collector: tuple[str, "Queue[ExportTraceServiceRequest]"]
) -> None:
    endpoint, received = collector
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with running(tmp_path, AUTH="off", SERVICES="", OTEL_ENDPOINT=endpoint) as hub:
        get(hub, "/ngsi-ld/v1/entities/urn:x:1", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
        request = received.get(timeout=30)
    (span,) = [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
    assert span.trace_id.hex() == trace
    assert span.name == "GET /ngsi-ld/v1/entities/{id:path}"
    assert {a.key: a.value.int_value for a in span.attributes}["http.response.status_code"] == 404
