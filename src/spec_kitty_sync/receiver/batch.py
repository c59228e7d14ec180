"""`POST /api/v1/events/batch/` (CONTRACT 5, Receivers)."""

from __future__ import annotations

from collections import Counter

from starlette.requests import Request
from starlette.responses import Response

from spec_kitty_sync.receiver.intake import check_framing, check_media_type, read_body
from spec_kitty_sync.receiver.parts import Reply
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.service import Receiver
from spec_kitty_sync.receiver.throttle import Throttle

PROTOCOL_HEADER = "X-Spec-Kitty-Sync-Protocol"


class BatchEndpoint:
    """Who asks is settled before the body is read, the body is whole before it is parsed."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._throttle = Throttle(receiver.parts.limits, receiver.clock)

    async def __call__(self, request: Request) -> Response:
        receiver, limits = self._receiver, self._receiver.parts.limits
        check_framing(request)
        principal = receiver.authenticate(request.headers.get("authorization"))
        self._check_protocol(request)
        self._throttle.spend(principal.username)
        check_media_type(request)
        encoding = request.headers.get("content-encoding", "")
        decoder = receiver.parts.decoder(encoding, limits.max_body_bytes)
        with self._throttle.arriving():
            body = await read_body(request, decoder, limits)
        with self._throttle.running():
            results = await receiver.take(principal, body)
        # For the log: who, and how it went; never what.
        tally = Counter(result.status for result in results)
        request.state.told = {"user": principal.username, "bytes": len(body), "events": tally}
        content = {"results": [result.content() for result in results]}
        return receiver.reply(Reply("batch", 200, content, {}))

    def _check_protocol(self, request: Request) -> None:
        spoken = self._receiver.settings.protocols
        asked = request.headers.get(PROTOCOL_HEADER)
        if spoken is None or asked is None or asked.strip() in spoken:
            return
        guidance = f"This receiver speaks {', '.join(spoken)}; install a client that does."
        raise Refusal(
            412,
            "the sync protocol of the request is not spoken here",
            extra={
                "error_code": "protocol_mismatch",
                "sync_protocol": {"supported": list(spoken), "upgrade_guidance": guidance},
            },
        )
