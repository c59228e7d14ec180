"""Sessions of the page: a signed token in a cookie that no script can read."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from spec_kitty_sync.receiver.inflate import Identity
from spec_kitty_sync.receiver.intake import check_framing, read_body
from spec_kitty_sync.receiver.principals import Principal, anyone
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.service import Receiver

_COOKIE = "spec_kitty_receiver"
_MAX_FORM_BYTES = 4096


class Sessions:
    """Who looks at the page."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def principal(self, request: Request) -> Principal:
        """Return whose session the request belongs to.

        Raises:
            Refusal: 401.
        """
        if self._receiver.settings.open_to_all:
            return anyone(None)
        return self._receiver.directory.verify(request.cookies.get(_COOKIE, ""), "page")

    async def log_in(self, request: Request) -> Response:
        """Start a session with the name and password of the form.

        Raises:
            Refusal: 401, 403 for a form of another site, 503 for too many at once.
        """
        _check_origin(request)
        check_framing(request)
        form = await read_body(request, Identity(_MAX_FORM_BYTES), self._receiver.parts.limits)
        fields = parse_qs(form.decode("utf-8", "replace"), max_num_fields=10)
        name, password = (fields.get(each, [""])[0] for each in ("username", "password"))
        principal = await self._receiver.log_in(name, password)
        directory = self._receiver.directory
        lifetime_s = directory.lifetimes.page_s
        return self._go("/", directory.sign(principal, "page", lifetime_s), lifetime_s)

    async def log_out(self, request: Request) -> Response:
        """End the session of this browser.

        Raises:
            Refusal: 403 for a form of another site.
        """
        _check_origin(request)
        return self._go("/login", "", 0)

    def _go(self, path: str, token: str, lifetime_s: int) -> Response:
        response = RedirectResponse(path, 303, {"Cache-Control": "no-store"})
        response.set_cookie(
            _COOKIE,
            token,
            max_age=lifetime_s,
            httponly=True,
            samesite="strict",
            secure=(self._receiver.settings.public_url or "").startswith("https://"),
        )
        return response


def _check_origin(request: Request) -> None:
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    same_host = origin in (None, "null") or urlsplit(origin).netloc == request.url.netloc
    if site not in ("same-origin", "none") or not same_host:
        raise Refusal(403, "The form was sent by another site.")
