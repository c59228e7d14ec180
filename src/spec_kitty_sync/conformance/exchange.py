"""What was sent and what came back, as frozen records that can be shown and replayed."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

_SHOWN = 8
TOKEN_NAME = "$SK_TOKEN"
RUN = "RUN"
"""The method of a step that ran a command: its path is the command line, its status the code."""


@dataclass(frozen=True)
class Request:
    """One HTTP request as it goes on the wire; `headers` keep their order."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    note: str = ""

    def header(self, name: str) -> str | None:
        """Return the first value of *name*, compared without case."""
        return _find(self.headers, name)

    @property
    def text(self) -> str:
        """The body as text, decompressed where it can be."""
        return _readable(self.body, self.header("Content-Encoding"))

    @property
    def event_count(self) -> int | None:
        """How many events the body holds, where it can be counted."""
        return _count_events(self.text)

    @property
    def size(self) -> str:
        """How large the body is: events where they can be counted, bytes, encoding."""
        encoding = self.header("Content-Encoding") or "identity"
        if not self.body:
            return "no body"
        count = self.event_count
        events = "" if count is None else f"{count} event{'s' * (count != 1)}, "
        return f"{events}{_bytes(len(self.body))} {encoding}"


@dataclass(frozen=True)
class Response:
    """One HTTP answer, read to its end."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of *name*, compared without case."""
        return _find(self.headers, name)

    @property
    def text(self) -> str:
        return _readable(self.body, self.header("Content-Encoding"))


@dataclass(frozen=True)
class Exchange:
    """A request with its answer, or with the reason why there is none.

    `broke` is empty when an answer came; `elapsed_ms` ends with the last byte of the answer.
    """

    request: Request
    response: Response | None
    broke: str
    started_ms: int
    elapsed_ms: float

    @property
    def is_command(self) -> bool:
        """Whether a command was run, and nothing sent."""
        return self.request.method == RUN

    @property
    def is_cut_off(self) -> bool:
        """Whether fewer bytes came than the answer's Content-Length promises."""
        told = self.response.header("Content-Length") if self.response else None
        if self.response is None or told is None or self.request.method == "HEAD":
            return False
        return told.isdecimal() and int(told) > len(self.response.body)

    @property
    def summary(self) -> str:
        """One line: method, path, size, status, time."""
        if self.is_command:
            return f"{self.request.path}  → {self.gist} in {self.elapsed_ms:.0f} ms"
        ask = f"{self.request.method} {self.request.path}  ({self.request.size})"
        answer = str(self.response.status) if self.response else self.broke
        return f"{ask}  → {answer} in {self.elapsed_ms:.0f} ms"

    @property
    def gist(self) -> str:
        """The answer in a few words: status code and result statuses, or what broke."""
        if self.response is None:
            return self.broke
        if self.is_command:
            return f"exit code {self.response.status}"
        try:
            rows = json.loads(self.response.text)["results"]
            said = [str(row["status"]) for row in rows]
        except (ValueError, KeyError, TypeError, RecursionError):
            return str(self.response.status)
        more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
        return f"{self.response.status} [{', '.join(said[:_SHOWN])}{more}]"


def redact(exchange: Exchange, secrets: tuple[str, ...]) -> Exchange:
    """Return *exchange* with every secret replaced by `$SK_TOKEN`, in headers and bodies."""
    if not secrets:
        return exchange
    request = replace(
        exchange.request,
        headers=_redact_headers(exchange.request.headers, secrets),
        body=_redact_bytes(exchange.request.body, secrets),
    )
    response = exchange.response
    if response is not None:
        response = replace(
            response,
            headers=_redact_headers(response.headers, secrets),
            body=_redact_bytes(response.body, secrets),
        )
    return replace(
        exchange, request=request, response=response, broke=_redact_text(exchange.broke, secrets)
    )


def to_json(exchange: Exchange) -> dict[str, Any]:
    """Return *exchange* as JSON values; bodies that are not UTF-8 text travel as base64."""
    response = exchange.response
    return {
        "request": {
            "method": exchange.request.method,
            "path": exchange.request.path,
            "headers": [list(pair) for pair in exchange.request.headers],
            "note": exchange.request.note,
            **_body_json(exchange.request.body),
        },
        "response": None
        if response is None
        else {
            "status": response.status,
            "headers": [list(pair) for pair in response.headers],
            **_body_json(response.body),
        },
        "broke": exchange.broke,
        "started_ms": exchange.started_ms,
        "elapsed_ms": round(exchange.elapsed_ms, 2),
    }


def from_json(data: Mapping[str, Any]) -> Exchange:
    """Return the exchange that `to_json` wrote."""
    ask, answer = data["request"], data["response"]
    request = Request(
        ask["method"],
        ask["path"],
        tuple((name, value) for name, value in ask["headers"]),
        _body_from(ask),
        ask["note"],
    )
    response = None
    if answer is not None:
        headers = tuple((name, value) for name, value in answer["headers"])
        response = Response(answer["status"], headers, _body_from(answer))
    return Exchange(request, response, data["broke"], data["started_ms"], data["elapsed_ms"])


def _body_json(body: bytes) -> dict[str, Any]:
    try:
        return {"text": body.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode("ascii")}


def _body_from(data: Mapping[str, Any]) -> bytes:
    if "text" in data:
        return str(data["text"]).encode("utf-8")
    return base64.b64decode(data["base64"])


def _find(headers: tuple[tuple[str, str], ...], name: str) -> str | None:
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)


def _readable(body: bytes, encoding: str | None) -> str:
    if encoding == "gzip":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError, zlib.error):
            return f"<{len(body)} bytes that are not gzip>"
    return body.decode("utf-8", "backslashreplace")


def _count_events(text: str) -> int | None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    events = parsed.get("events") if isinstance(parsed, dict) else None
    return len(events) if isinstance(events, list) else None


def _bytes(size: int) -> str:
    if size < 10_000:
        return f"{size} B"
    return f"{size / 1024:.0f} KiB" if size < 10_000_000 else f"{size / 1_048_576:.0f} MiB"


def _redact_text(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, TOKEN_NAME)
    return text


def _redact_headers(
    headers: tuple[tuple[str, str], ...], secrets: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    return tuple((name, _redact_text(value, secrets)) for name, value in headers)


def _redact_bytes(body: bytes, secrets: tuple[str, ...]) -> bytes:
    for secret in secrets:
        body = body.replace(secret.encode("utf-8"), TOKEN_NAME.encode("ascii"))
    return body
