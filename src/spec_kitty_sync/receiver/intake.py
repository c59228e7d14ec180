"""Reading a request's body: bounded in size and time, whole before it is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from spec_kitty_sync.receiver.inflate import BodyDecoder
from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.refusal import Refusal, malformed


def check_framing(request: Request) -> None:
    """Refuse a request that two servers could cut differently.

    Raises:
        Refusal: 400, both Content-Length and Transfer-Encoding.
    """
    if "content-length" in request.headers and "transfer-encoding" in request.headers:
        refusal = malformed("both Content-Length and Transfer-Encoding were sent")
        refusal.close = True
        raise refusal


def check_media_type(request: Request) -> None:
    """Refuse a body that says it is not JSON; parameters and a missing header are fine.

    Raises:
        Refusal: 415.
    """
    media_type = request.headers.get("content-type", "application/json").partition(";")[0]
    if media_type.strip().lower() != "application/json":
        raise Refusal(415, "Content-Type is not application/json")


async def read_body(request: Request, decoder: BodyDecoder, limits: Limits) -> bytes:
    """Return the decoded body.

    Raises:
        Refusal: 400, 413, or 408 when it takes longer than `limits.body_s`.
        ClientDisconnect
    """
    try:
        async with asyncio.timeout(limits.body_s):
            async for chunk in _chunks(request):
                decoder.feed(chunk)
    except TimeoutError:
        raise Refusal(408, f"no whole body within {limits.body_s:g} s", close=True) from None
    return decoder.finish()


async def discard_body(request: Request, limits: Limits) -> bool:
    """Read what is left of the body, unparsed; False if that is too much to wait for.

    A client that is still sending would lose the answer to a closed connection.
    """
    size = 0
    try:
        async with asyncio.timeout(limits.body_s):
            async for chunk in _chunks(request):
                size += len(chunk)
                if size > limits.max_discard_bytes:
                    return False
    except TimeoutError:
        return False
    return True


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield what has not been read of the body; may be called again after an interruption."""
    while not getattr(request.state, "body_read", False):
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        request.state.body_read = not message.get("more_body", False)
        yield message.get("body", b"")
