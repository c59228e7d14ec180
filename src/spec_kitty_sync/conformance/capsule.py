"""A failure in a file: what was asked and answered, to be sent again anywhere."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spec_kitty_sync.conformance import exchange
from spec_kitty_sync.conformance.builder import Namespace
from spec_kitty_sync.conformance.catalogue import Requirement
from spec_kitty_sync.conformance.client import Address, Client
from spec_kitty_sync.conformance.exchange import TOKEN_NAME, Exchange, Request
from spec_kitty_sync.conformance.failure_text import capsule_stem, render
from spec_kitty_sync.conformance.outcome import CheckResult
from spec_kitty_sync.conformance.replay_ending import (
    UNCLEAR,
    ReplayEnding,
    ending,
    is_race,
    obstacle,
    race_ending,
)
from spec_kitty_sync.conformance.report import versions
from spec_kitty_sync.conformance.request_text import body_file

FORMAT = "spec-kitty-conformance-capsule/1"
_ULID = re.compile(rb"[0-7][0-9A-HJKMNP-TV-Z]{25}")


class CapsuleError(Exception):
    """The file is no capsule; the text says why."""


@dataclass(frozen=True)
class Replayed:
    """One step, then and now."""

    then: Exchange
    now: Exchange

    @property
    def line(self) -> str:
        """The step in one line."""
        then, now = self.then.gist, self.now.gist
        tail = f"{then} (as before)" if then == now else f"then {then}, now {now}"
        return (
            f"{self.now.request.method} {self.now.request.path}  ({self.now.request.size})  {tail}"
        )


def write_capsule(
    folder: Path, requirement: Requirement, result: CheckResult, namespace: Namespace, url: str
) -> Path:
    """Write the capsule of *result* and, beside it, the body of the step that failed."""
    stem = capsule_stem(result)
    finding = result.finding
    step = finding.step if finding and finding.step else len(result.exchanges)
    content = {
        "format": FORMAT,
        "check": result.check_id,
        "case": result.case,
        "level": requirement.level,
        "title": requirement.title,
        "requirement": f"{requirement.clause}: {requirement.sentence}",
        "finding": None if finding is None else dict(vars(finding)),
        "text": render(requirement, result, folder, url),
        "step": step,
        "url": url,
        "seed": namespace.seed,
        "started_ms": namespace.started_ms,
        "versions": versions(),
        "exchanges": [exchange.to_json(one) for one in result.exchanges],
    }
    path = folder / f"{stem}.json"
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    if result.exchanges:
        request = result.exchanges[step - 1].request
        if name := body_file(f"{stem}.{step}", request):
            (folder / name).write_bytes(request.body)
    return path


def read_capsule(path: Path) -> dict[str, Any]:
    """Return the content of a capsule.

    Raises:
        CapsuleError: it cannot be read, or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise CapsuleError(f"{path} cannot be read as a capsule: {exc}") from exc
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CapsuleError(f"{path} is no replay capsule (its format is not {FORMAT})")
    return content


def replay(
    content: dict[str, Any],
    url: str,
    *,
    token: str | None,
    namespace: Namespace | None,
    tell: Callable[[Replayed], None],
) -> ReplayEnding:
    """Send the requests of a capsule to *url*, up to the failing step, and say how that ended.

    *namespace* gives the events new ids, the same one for the same old id; without it the ids
    stay, and a receiver that has seen them answers duplicate.

    Raises:
        NoConnection: nothing listens there.
    """
    if is_race(content["check"]):
        return race_ending(content, url)
    address = Address.parse(url)
    client = Client(address)
    secrets = (token,) if token else ()
    old_ids = _old_ids(content)

    def rename(event_id: str) -> str:
        ours = event_id.encode().startswith(old_ids)
        return namespace.ulid(event_id) if namespace is not None and ours else event_id

    for place, data in enumerate(content["exchanges"], 1):
        then = exchange.from_json(data)
        request = _fitted(then.request, content, address, token, namespace)
        now = exchange.redact(client.send(request, fresh=True), secrets)
        tell(Replayed(then, now))
        if place == content["step"]:
            return ending(content, then, now, token is not None, rename)
        found = obstacle(then, now, token is not None)
        if found:
            return ReplayEnding(UNCLEAR, f"step {place} stands in the way: {found}")
    return ReplayEnding(UNCLEAR, f"the capsule has no step {content['step']}")


def _fitted(
    request: Request,
    content: dict[str, Any],
    address: Address,
    token: str | None,
    namespace: Namespace | None,
) -> Request:
    path = request.path
    recorded = Address.parse(content["url"])
    if path == recorded.batch_path:
        path = address.batch_path
    headers = tuple(
        (name, value.replace(TOKEN_NAME, token or "")) for name, value in request.headers
    )
    body = request.body
    if namespace is not None:
        body = _with_new_ids(body, request.header("Content-Encoding"), content, namespace)
    return replace(request, path=path, headers=headers, body=body)


def _with_new_ids(
    body: bytes, encoding: str | None, content: dict[str, Any], namespace: Namespace
) -> bytes:
    plain = body
    if encoding == "gzip":
        try:
            plain = gzip.decompress(body)
        except (OSError, EOFError, zlib.error):
            return body
    prefix = _old_ids(content)

    def renamed(match: re.Match[bytes]) -> bytes:
        old = match[0]
        return namespace.ulid(old.decode()).encode() if old.startswith(prefix) else old

    changed = _ULID.sub(renamed, plain)
    if changed == plain:
        return body
    return gzip.compress(changed, 6, mtime=0) if encoding == "gzip" else changed


def _old_ids(content: dict[str, Any]) -> bytes:
    """Return how the ids of a run begin, with the time of its start: other ULIDs are left alone."""
    return Namespace(content["seed"], content["started_ms"]).ulid("any")[:10].encode()
