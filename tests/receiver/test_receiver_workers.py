"""Many workers on one socket and one PostgreSQL: kills, drains, figures and logs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from receiver_server import Server, event, start_server, ulid


@pytest.fixture
def team(postgres_database: str, serve_receiver: Callable[..., Server]) -> Server:
    """Two workers on one database."""
    return serve_receiver("--no-auth", "--workers", "2", "--database", postgres_database)


def workers(server: Server) -> set[int]:
    """Return the process ids of the workers."""
    assert server.process is not None
    parent = server.process.pid
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return {int(pid) for pid in listed.split()}


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until *condition* holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_need_a_database_that_they_can_share(tmp_path: Path) -> None:
    """Several workers on SQLite are refused, with what to do instead."""
    with pytest.raises(AssertionError, match="several workers need a database"):
        start_server("--no-auth", "--workers", "2", "--database", str(tmp_path / "r.db"))


def test_worker_that_is_killed_is_replaced(team: Server) -> None:
    """The others go on answering, and soon there are as many workers as before."""
    before = workers(team)
    assert len(before) == 2
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(workers(team)) == 2 and victim not in workers(team))
    for number in range(6):
        with httpx.Client(base_url=team.url, trust_env=False) as client:
            body = json.dumps({"events": [event(number)]})
            headers = {"Content-Type": "application/json"}
            answer = client.post("/api/v1/events/batch/", content=body, headers=headers)
            assert answer.json()["results"][0]["status"] == "success"


def test_workers_end_with_their_parent(team: Server) -> None:
    """A parent that is killed leaves no worker behind, nor a port in use."""
    found = workers(team)
    assert team.process is not None
    team.process.kill()
    wait_for(lambda: not any(alive(pid) for pid in found))


def test_workers_finish_what_has_begun_before_they_end(team: Server) -> None:
    """A batch whose body is still arriving at SIGTERM is stored and answered; then all end."""
    body = json.dumps({"events": [event(1)]}).encode()
    port = int(team.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest("POST", "/api/v1/events/batch/")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 100"  # a worker has begun
    connection.send(body[:10])
    assert team.process is not None
    team.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    connection.send(body[10:])
    answer = connection.getresponse()
    assert json.loads(answer.read())["results"][0]["status"] == "success"
    connection.close()
    assert team.process.wait(60) == 0


def test_ready_says_whether_the_store_answers(team: Server, postgres_database: str) -> None:
    """A load balancer learns that the database is away, and that it is back."""
    assert team.client.get("/ready").json() == {"status": "ready"}
    with psycopg.connect(postgres_database, autocommit=True) as conn:
        conn.execute("ALTER TABLE receiver_identity RENAME TO away")
        answer = team.client.get("/ready")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert team.client.get("/api/v1/sync/health/").json()["status"] == "ok"
        conn.execute("ALTER TABLE away RENAME TO receiver_identity")
    assert team.client.get("/ready").status_code == 200


def metric(server: Server, name: str) -> float:
    """Return one figure of `/metrics`."""
    lines = server.client.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith(f"spec_kitty_receiver_{name}")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def test_metrics_add_up_over_workers_that_lived_and_died(team: Server) -> None:
    """Whichever worker is asked, the figures are those of all, also of one that was killed."""
    for number in range(8):
        with httpx.Client(base_url=team.url, trust_env=False) as client:
            Server(team.url, None, client).post([event(number), event(number, node_id=None)])
    for pid in workers(team):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(workers(team)) == 2)
    assert metric(team, 'events_total{category="",status="success"}') == 8
    assert metric(team, 'events_total{category="schema_mismatch",status="rejected"}') == 8
    assert metric(team, 'requests_total{route="batch",status="200"}') == 8
    assert metric(team, "committed_events_total") == 8
    assert metric(team, "failed_commits_total") == 0


def test_logs_are_json_without_payloads_and_tokens(
    serve_receiver: Callable[..., Server],
) -> None:
    """A request leaves one line: route, status, user, counts; nothing of what was sent."""
    server = serve_receiver("--token", "canary-token-5521", "--log-level", "info")
    secret = {**event()["payload"], "title": "canary-title-8832"}
    bearer = {"Authorization": "Bearer canary-token-5521"}
    server.post([event(1, payload=secret), event(2, node_id=5, payload=secret)], **bearer)
    server.post([event(3)], Authorization="Bearer canary-wrong-7777")
    server.client.post("/login", data={"username": "operator", "password": "canary-token-5521"})
    assert server.stop() == 0
    assert server.process is not None
    assert server.process.stderr is not None
    lines = [json.loads(line) for line in server.process.stderr if line.startswith("{")]
    requests = [line for line in lines if line["message"] == "request"]
    assert [(line["route"], line["status"]) for line in requests] == [
        ("batch", 200), ("batch", 401), ("page", 303),
    ]  # fmt: skip
    assert requests[0]["user"] == "operator"
    assert requests[0]["events"] == {"success": 1, "rejected": 1}
    assert "canary" not in json.dumps(lines)


class Sender(threading.Thread):
    """Posts its batches, each again and again until it is answered with 200."""

    def __init__(self, url: str, batches: list[list[int]]) -> None:
        super().__init__()
        self._url = url
        self._batches = batches
        self.successes: list[str] = []
        self.answered: list[str] = []
        self.retries = 0

    def run(self) -> None:
        for numbers in self._batches:
            body = json.dumps({"events": [event(number) for number in numbers]})
            while (answer := self._post(body)) is None:
                self.retries += 1
                time.sleep(0.05)
            for result in answer["results"]:
                assert result["status"] in ("success", "duplicate"), result
                self.answered.append(result["event_id"])
                if result["status"] == "success":
                    self.successes.append(result["event_id"])

    def _post(self, body: str) -> dict[str, list[dict[str, str]]] | None:
        try:
            headers = {"Content-Type": "application/json"}
            answer = httpx.post(
                f"{self._url}/api/v1/events/batch/",
                content=body,
                headers=headers,
                timeout=30,
                trust_env=False,
            )
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == 200 else None


def kill_along(server: Server, senders: list[Sender], count: int, kills: int) -> None:
    """Kill a worker each time that another part of *count* results has been answered."""
    for part in range(1, kills + 1):
        while sum(len(each.answered) for each in senders) < count * part // (kills + 1):
            time.sleep(0.005)
        os.kill(min(workers(server)), signal.SIGKILL)
        wait_for(lambda: len(workers(server)) == 2)


@pytest.mark.parametrize(
    ("count", "batch", "clients", "kills"),
    [(1500, 50, 4, 2), pytest.param(50_000, 500, 8, 8, marks=pytest.mark.proof)],
)
def test_every_event_is_stored_exactly_once_while_workers_are_killed(
    team: Server,
    postgres_database: str,
    count: int,
    batch: int,
    clients: int,
    kills: int,
) -> None:
    """Clients retry what broke off: nothing is lost, nothing stored or called new twice."""
    numbers = list(range(count))
    batches = [numbers[start : start + batch] for start in range(0, count, batch)]
    # Every second batch is posted by two clients, as after a lost answer.
    twice = batches[::2]
    shares = [batches[each::clients] + twice[each + 1 :: clients] for each in range(clients)]
    senders = [Sender(team.url, share) for share in shares]
    for sender in senders:
        sender.start()
    kill_along(team, senders, count, kills)
    for sender in senders:
        sender.join()
    everything = sorted(ulid(number) for number in numbers)
    assert {each for sender in senders for each in sender.answered} == set(everything)
    successes = [each for sender in senders for each in sender.successes]
    assert len(successes) == len(set(successes))
    with psycopg.connect(postgres_database) as conn:
        rows = conn.execute("SELECT event_id FROM receiver_events").fetchall()
    assert sorted(row[0] for row in rows) == everything
