"""The three receivers: what differs is data, what they leave in the ledger does not."""

from __future__ import annotations

import pytest
from canary import CANARY

from spec_kitty_sync.conformance.stub import StubServer, per_event, raw, refuse, rejected, result
from spec_kitty_sync.delivery.receivers import (
    DeliveryReceiver,
    ExternalReceiver,
    Membership,
    ReceiverOptions,
    StaticToken,
    StubReceiver,
    TeamspaceReceiver,
)
from spec_kitty_sync.errors import TargetUrlError


class Login:
    """Credentials of one login."""

    def __init__(self, token: str | None = CANARY, login: str = "first") -> None:
        self.token = token
        self.login = login

    def access_token(self) -> str | None:
        return self.token

    def refresh(self) -> bool:
        return False

    def login_id(self) -> str:
        return self.login


def teamspace(bench, url, *, login=None, **membership) -> DeliveryReceiver:
    return TeamspaceReceiver(
        url,
        bench.client,
        credentials=login or Login(),
        membership=Membership(**{"team_slug": "red", **membership}),
        options=ReceiverOptions(clock=bench.clock),
    )


def external(bench, url) -> DeliveryReceiver:
    options = ReceiverOptions(clock=bench.clock)
    return ExternalReceiver(url, bench.client, credentials=StaticToken(CANARY), options=options)


def stub_receiver(bench, url) -> DeliveryReceiver:
    return StubReceiver(url, bench.client, options=ReceiverOptions(clock=bench.clock))


KINDS = {"teamspace": teamspace, "external": external, "stub": stub_receiver}


def test_same_answers_leave_the_same_rows_through_every_receiver(bench):
    """One script of answers, three kinds of receiver: the ledger rows are identical."""
    ids = bench.append(12)
    outcomes = []
    for make in KINDS.values():
        with StubServer() as stub:
            stub.next(
                refuse(503, headers={"Retry-After": "1"}),
                refuse(400, details=[{"event_id": ids[0], "error": "bad lane"}]),
                refuse(413),
                per_event({ids[1]: rejected("no type"), ids[2]: result("pending")}),
                raw(b"<html>"),
            )
            target = bench.target(stub.url)
            report = bench.drain(stub.url, receiver=make(bench, stub.url), target=target)
            rows = bench.store.conn.execute(
                "SELECT seq, state, category, reason, attempts, rejections, http_status"
                " FROM delivery_ledger WHERE target_id = ? ORDER BY seq",
                (target.target_id,),
            ).fetchall()
            outcomes.append((rows, report.selected, report.requests))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert len(outcomes[0][0]) == 12


@pytest.mark.parametrize(
    ("code", "membership", "login"),
    [
        ("sync_disabled", {"sync_enabled": False}, Login()),
        ("no_auth", {}, Login(token=None)),
        ("no_team", {"team_slug": None}, Login()),
        ("private_teamspace", {"closed_login": "first"}, Login()),
    ],
)
def test_closed_gate_stops_teamspace_before_any_request(bench, stub, code, membership, login):
    """Each gate says its name and what opens it; nothing is sent, nothing is lost."""
    bench.append(2)
    report = bench.drain(stub.url, receiver=teamspace(bench, stub.url, login=login, **membership))
    assert (report.stop.code, report.selected, stub.requests) == (code, 0, [])
    assert report.stop.remedy


def test_private_teamspace_stays_closed_until_the_next_login(bench, stub):
    """A 403 to a batch closes the gate for this login; another login opens it."""
    bench.append(2)
    stub.next(refuse(403, "private teamspace"))
    bench.drain(stub.url, receiver=teamspace(bench, stub.url))
    target = bench.target(stub.url)
    assert (target.closed_gate, target.closed_login) == ("private_teamspace", "first")
    again = teamspace(bench, stub.url, closed_login=target.closed_login)
    assert bench.drain(stub.url, receiver=again).stop.code == "private_teamspace"
    new = teamspace(bench, stub.url, login=Login(login="second"), closed_login=target.closed_login)
    assert bench.drain(stub.url, receiver=new).delivered == 2


def test_external_receiver_wants_an_endpoint_and_nothing_else(bench, stub):
    """Its gate is the endpoint; a 403 closes nothing for later."""
    assert [gate.code for gate in external(bench, "").gates() if not gate.open] == ["no_target"]
    bench.append()
    stub.next(refuse(403))
    bench.drain(stub.url, receiver=external(bench, stub.url))
    assert bench.target(stub.url).closed_gate is None
    assert bench.drain(stub.url, receiver=external(bench, stub.url)).delivered == 1


def test_stub_receiver_stays_on_this_machine(bench):
    """No credentials, no gate, no other machine."""
    receiver = stub_receiver(bench, "http://127.0.0.1:8000")
    assert (receiver.gates(), dict(receiver.auth_headers())) == ((), {})
    with pytest.raises(TargetUrlError):
        stub_receiver(bench, "https://sync.example.org")


def test_token_is_sent_and_stands_nowhere_else(bench, stub, capfd):
    """The header carries the token; no report, row, repr or output does."""
    bench.append(2)
    stub.next(refuse(401, "token expired"))
    receiver = external(bench, stub.url)
    report = bench.drain(stub.url, receiver=receiver)
    assert stub.requests[0].headers["Authorization"] == f"Bearer {CANARY}"
    bench.store.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    written = b"".join(path.read_bytes() for path in bench.home.root.rglob("*") if path.is_file())
    captured = capfd.readouterr()
    seen = repr((report, receiver, StaticToken(CANARY))) + captured.out + captured.err
    assert CANARY not in seen
    assert CANARY.encode() not in written


@pytest.mark.parametrize("kind", KINDS)
def test_receivers_meet_the_protocol(bench, kind):
    """The dispatcher needs nothing beyond `DeliveryReceiver`."""
    receiver: DeliveryReceiver = KINDS[kind](bench, "http://127.0.0.1:1")
    assert receiver.endpoint_url == "http://127.0.0.1:1/api/v1/events/batch/"
    assert receiver.retry.max_rejections == 5


def test_403_to_a_static_token_closes_no_gate(bench, stub):
    """Where nobody logs in, no login could open the gate: the next drain asks again."""
    bench.append()
    target = bench.target(stub.url, team_slug="red")
    stub.next(refuse(403))

    def receiver():
        closed = bench.registry.get(target.target_id).closed_login
        return TeamspaceReceiver(
            stub.url,
            bench.client,
            credentials=StaticToken("a-token"),
            membership=Membership(team_slug="red", closed_login=closed),
            options=ReceiverOptions(clock=bench.clock),
        )

    report = bench.drain(stub.url, target=target, receiver=receiver())
    assert report.stop is not None
    assert report.stop.code == "forbidden"
    assert bench.drain(stub.url, target=target, receiver=receiver()).delivered == 1


def test_401_closes_no_gate(bench, stub):
    """Only a 403 says that this login may not write; an expired token says nothing of that."""
    bench.append()
    target = bench.target(stub.url, team_slug="red")
    stub.next(refuse(401))
    login = teamspace(bench, stub.url, team_slug="red")
    report = bench.drain(stub.url, target=target, receiver=login)
    assert report.stop is not None
    assert report.stop.code == "auth_expired"
    assert bench.registry.get(target.target_id).closed_gate is None
