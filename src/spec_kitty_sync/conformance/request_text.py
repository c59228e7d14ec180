"""A request in words: the headers that matter, and the command that sends it again."""

from __future__ import annotations

import shlex
from typing import Final
from urllib.parse import urlsplit

from spec_kitty_sync.conformance.exchange import TOKEN_NAME, Exchange, Request

_ORDINARY: Final = {
    "content-type": "application/json",
    "content-encoding": "gzip",
    "accept-encoding": "identity",
    "x-spec-kitty-sync-protocol": "1.0",
    "authorization": f"Bearer {TOKEN_NAME}",
}
_OWN: Final = "user-agent"


def headers_of(exchange: Exchange) -> str:
    """Return the headers that may explain the answer, in one line.

    Those that every request of the kit has are left out, unless the request as a whole was refused.
    """
    answer = exchange.response
    refused = answer is not None and 400 <= answer.status < 500
    shown = [
        f"{name}: {value}"
        for name, value in exchange.request.headers
        if refused or not _is_ordinary(name, value)
    ]
    if exchange.request.method == "POST" and exchange.request.header("Authorization") is None:
        shown.append("no Authorization")
    return "; ".join(shown)


def body_file(stem: str, request: Request) -> str:
    """Return the name of the file for the body of *request*; nothing where it has none."""
    ending = "gz" if request.header("Content-Encoding") == "gzip" else "body"
    return f"{stem}.{ending}" if request.body else ""


def curl_command(request: Request, data: str, url: str) -> str:
    """Return the command that sends *request* to the server of *url*, the body from file *data*."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else url
    headers = "".join(f" -H {_quoted(f'{name}: {value}')}" for name, value in request.headers)
    how = f" --data-binary @{data}" if data else f" -X {request.method}"
    return f"curl -i{headers}{how} {shlex.quote(origin + request.path)}"


def _is_ordinary(name: str, value: str) -> bool:
    return name.lower() == _OWN or _ORDINARY.get(name.lower()) == value


def _quoted(header: str) -> str:
    if TOKEN_NAME not in header:
        return shlex.quote(header)
    # Double quotes, so that the shell puts the token in.
    kept = header.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`")
    return f'"{kept}"'
