"""Broken networks on purpose: answers that never arrive, requests that arrive too slowly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spec_kitty_sync.conformance.builder import JsonObject
from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.proxy import Fault, FaultProxy

_FAULTS = {
    "before-the-answer": Fault.CUT_BEFORE_ANSWER,
    "within-the-answer": Fault.CUT_WITHIN_ANSWER,
    "sent-twice": Fault.SEND_TWICE,
}


def lose_the_reply(probe: Probe, events: list[JsonObject], *, how: str) -> bool:
    """Post *events* through a proxy that spoils the answer; return whether one was given.

    True means that the receiver had begun to answer 200, so it has to know the events.
    """
    address = probe.around.address
    with FaultProxy(address.host, address.port, _FAULTS[how]) as proxy:
        client = probe.another_client(via=proxy.address)
        request = probe.batch_request(events, note=f"through a proxy: {how.replace('-', ' ')}")
        probe.record(client.send(request, fresh=True))
        client.close()
        return proxy.answered.wait(probe.around.deadline_s) and proxy.saw_200


@contextmanager
def hold_a_slow_request(probe: Probe) -> Iterator[None]:
    """Keep one connection open that has sent half of its request."""
    client = probe.another_client()
    sock = client.connect()
    address = probe.around.address
    lines = [f"POST {address.batch_path} HTTP/1.1", f"Host: {address.host}"]
    lines += [f"{name}: {value}" for name, value in probe.head()]
    lines += ["Content-Length: 100000", "", ""]
    try:
        sock.sendall("\r\n".join(lines).encode() + b'{"events":[')
        yield
    finally:
        sock.close()
