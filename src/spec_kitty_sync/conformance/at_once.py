"""Many requests at the same moment, each on a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from spec_kitty_sync.conformance.builder import JsonObject
from spec_kitty_sync.conformance.exchange import Exchange
from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.reply import Reply


def post_at_once(
    probe: Probe, batches: Sequence[list[JsonObject]], *, note: str = ""
) -> list[Reply]:
    """Post every batch from a thread of its own, all released together; replies keep the order.

    Connections are made before the start, so that the requests really meet.

    Raises:
        NoConnection: one of the connections could not be made.
    """
    requests = [probe.batch_request(batch, note=note) for batch in batches]
    clients = [probe.another_client(patient=True) for _ in requests]
    start = threading.Barrier(len(requests))

    def post(place: int) -> Exchange:
        start.wait()
        return clients[place].send(requests[place])

    try:
        for client in clients:
            client.warm_up()
        with ThreadPoolExecutor(len(requests)) as pool:
            exchanges = list(pool.map(post, range(len(requests))))
    finally:
        for client in clients:
            client.close()
    return [probe.record(exchange) for exchange in exchanges]
