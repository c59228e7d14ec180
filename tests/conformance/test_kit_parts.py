"""The kit's own small parts: options, verdicts, excerpts, model, network."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec_kitty_sync.conformance.bounded import no_file_above
from spec_kitty_sync.conformance.builder import EXAMPLES, Builder, Namespace
from spec_kitty_sync.conformance.client import Address
from spec_kitty_sync.conformance.consequence import consequence_of
from spec_kitty_sync.conformance.excerpt import excerpt
from spec_kitty_sync.conformance.exchange import (
    Exchange,
    Request,
    Response,
    from_json,
    redact,
    to_json,
)
from spec_kitty_sync.conformance.model import ReceiverModel
from spec_kitty_sync.conformance.options import OptionError, read_options
from spec_kitty_sync.conformance.outcome import CheckResult, Outcome, Verdict, verdict_of
from spec_kitty_sync.conformance.proxy import Fault, FaultProxy
from spec_kitty_sync.conformance.record import summary_lines
from spec_kitty_sync.conformance.reply import shorten
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.events.validation import validate

PASSED, FAILED, WARNING = Outcome.PASSED, Outcome.FAILED, Outcome.WARNING


def nothing(name: str) -> str | None:
    return None


def one(outcome: Outcome) -> CheckResult:
    return CheckResult("SKR-TRN-01", outcome.value, "MUST", outcome)


@pytest.mark.parametrize(
    ("outcomes", "missing", "verdict"),
    [
        ([], 0, Verdict.INCOMPLETE),
        ([PASSED], 0, Verdict.CONFORMANT),
        ([PASSED, WARNING, Outcome.NOT_APPLICABLE], 0, Verdict.CONFORMANT),
        ([Outcome.NOT_APPLICABLE], 0, Verdict.INCOMPLETE),
        ([PASSED], 1, Verdict.INCOMPLETE),
        ([PASSED, Outcome.NOT_RUN], 0, Verdict.INCOMPLETE),
        ([PASSED, Outcome.ERROR], 0, Verdict.INCOMPLETE),
        ([PASSED, FAILED, Outcome.ERROR], 3, Verdict.NOT_CONFORMANT),
    ],
)
def test_verdict_never_counts_what_did_not_run(
    outcomes: list[Outcome], missing: int, verdict: Verdict
) -> None:
    """Conformant needs something that passed and nothing that is open; a failure decides."""
    assert verdict_of(map(one, outcomes), missing) is verdict


def test_command_line_wins_over_environment_and_ini() -> None:
    """Options are looked up in that order."""
    ini = {"profile": "soak", "seed": "ini", "deadline": "3"}.get
    environ = {"SK_PROFILE": "hardened", "SK_SEED": "environment"}
    options = read_options({"profile": "core"}.get, ini, environ)
    assert (options.profile, options.seed, options.deadline_s) == ("core", "environment", 3.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("profile", "everything"),
        ("deadline", "soon"),
        ("deadline", "nan"),
        ("deadline", "0"),
        ("deadline", "inf"),
        ("rate", "-1"),
        ("rate", "nan"),
        ("rate", "5e-324"),
        ("rate", "inf"),
    ],
)
def test_unusable_option_is_refused_by_name(name: str, value: str) -> None:
    """A value that means nothing ends the run with the option's name."""
    with pytest.raises(OptionError, match=name):
        read_options({name: value}.get, nothing, {})


def test_capabilities_come_from_a_file(tmp_path: Path) -> None:
    """A TOML file may list the capabilities."""
    path = tmp_path / "ours.toml"
    path.write_text('capabilities = ["auth", "read-back"]\n')
    options = read_options({"capabilities": str(path)}.get, nothing, {})
    assert options.capabilities == {"auth", "read-back"}
    path.write_text('capabilities = "auth"\n')
    with pytest.raises(OptionError, match=r"ours.toml: capabilities is 'auth'; write a list"):
        read_options({"capabilities": str(path)}.get, nothing, {})


def test_reasons_that_are_not_shown_are_counted() -> None:
    """What a summary lists by reason adds up to what it counts."""
    results = {
        ("A", str(number)): CheckResult(
            "A", str(number), "MUST", Outcome.NOT_RUN, reason=f"because {number % 7}"
        )
        for number in range(20)
    }
    lines = summary_lines(results, list(results))
    counted = [int(line.split("(")[1].split(")")[0]) for line in lines[1:]]
    assert sum(counted) == 20
    assert lines[-1] == "not run (5): for 2 other reasons, all in the report"


def test_token_with_a_line_break_is_refused() -> None:
    """A token that would break the header is named before anything is sent."""
    with pytest.raises(OptionError, match="line break"):
        read_options(nothing, nothing, {"SK_TOKEN": "a\nb"})


@pytest.mark.parametrize(
    ("url", "batch", "health"),
    [
        ("http://h", "/api/v1/events/batch/", "/api/v1/sync/health/"),
        ("http://h/", "/api/v1/events/batch/", "/api/v1/sync/health/"),
        ("https://h:8/events", "/events", "/api/v1/sync/health/"),
        ("http://h/x/api/v1/events/batch/", "/x/api/v1/events/batch/", "/x/api/v1/sync/health/"),
    ],
)
def test_url_with_a_path_is_the_endpoint_itself(url: str, batch: str, health: str) -> None:
    """An endpoint is used as given; one without a path gets the contract's."""
    address = Address.parse(url)
    assert (address.batch_path, address.health_path) == (batch, health)


def test_examples_are_the_core_of_the_registry() -> None:
    """The kit has an example of each core type and shape, about an aggregate that it may have."""
    types = [one for one in default_registry() if one.pack == "core"]
    shapes = {(one.name, shape.name) for one in types for shape in one.shapes}
    found = {(one.event_type, one.shape) for one in EXAMPLES}
    assert {name for name, _ in found} == {one.name for one in types}
    assert {pair for pair in found if pair[1]} <= shapes
    allowed = {one.name: one.aggregate_types for one in types}
    assert [one.name for one in EXAMPLES if one.aggregate_type not in allowed[one.event_type]] == []


@pytest.mark.parametrize("found", EXAMPLES, ids=lambda found: found.name)
@pytest.mark.parametrize("maximal", [False, True])
def test_every_example_is_valid_by_the_contract(found: object, maximal: bool) -> None:
    """The kit's own events pass the project's validator, strictly and with the core pack alone."""
    from spec_kitty_sync._json import dumps

    builder = Builder(Namespace("seed", 1_770_000_000_000), "test")
    event = builder.event(found.name, maximal=maximal)  # type: ignore[attr-defined]
    verdict = validate(dumps(event), registry=default_registry(), packs=("core",), strict=True)
    assert [f"{one.code} {one.path}" for one in verdict.findings] == []


def test_ids_are_fresh_for_each_attempt_and_repeat_with_the_seed() -> None:
    """Two attempts share no id; the same seed and start give the same ids again."""
    space = Namespace("seed", 1_770_000_000_000)
    first = [Builder(space, f"A/{n}").new_id() for n in range(50)]
    assert len(set(first)) == 50
    assert first == [Builder(space, f"A/{n}").new_id() for n in range(50)]


@given(st.text(), st.integers(1, 60))
def test_nothing_that_a_receiver_says_reaches_the_terminal_raw(text: str, limit: int) -> None:
    """Shortened text is one printable line: no escape sequence, NUL or surrogate survives."""
    shown = shorten(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()


def test_excerpt_shows_the_event_in_question_and_its_unusual_fields() -> None:
    """Of a large batch only the event that a finding is about is shown."""
    builder = Builder(Namespace("seed", 1_770_000_000_000), "test")
    events = builder.events(9)
    events[4]["timestamp"] = "yesterday"
    text = excerpt(builder_text(events), "events", events[4]["event_id"])
    assert "… 8 others …" in text
    assert '"timestamp": "yesterday"' in text
    assert "correlation_id" not in text


def test_excerpt_shows_objects_where_text_is_due() -> None:
    """An event whose aggregate is an object can be shown: it is what a finding may be about."""
    builder = Builder(Namespace("seed", 1_770_000_000_000), "test")
    events = [builder.event(aggregate_id={"a": 1}, aggregate_type=["b"])]
    text = excerpt(builder_text(events), "events", "")
    assert '"aggregate_id": {"a": 1}, "aggregate_type": ["b"]' in text


def builder_text(events: list[dict[str, object]]) -> str:
    from spec_kitty_sync.conformance.builder import batch_bytes

    return batch_bytes(list(events)).decode()


def exchange(status: int, answer: str) -> Exchange:
    request = Request("POST", "/x", (("Authorization", "Bearer s3cret"),), b'{"events":[]}')
    body = answer.encode()
    return Exchange(request, Response(status, (("X", "s3cret"),), body), "", 1, 2.0)


def test_redaction_reaches_headers_and_bodies() -> None:
    """A secret is replaced wherever it stands, in what was sent and in what came back."""
    text = str(to_json(redact(exchange(200, '{"you": "s3cret"}'), ("s3cret",))))
    assert "s3cret" not in text
    assert text.count("$SK_TOKEN") == 3


def test_exchange_survives_its_json_form() -> None:
    """What a capsule holds is what was sent, byte for byte."""
    before = Exchange(Request("POST", "/", (), b"\x00\xff"), None, "reset", 1, 2.0)
    assert from_json(to_json(before)) == before


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (401, "{}", "refreshes its token once"),
        (404, "{}", "stops the drain"),
        (413, "{}", "sends the batch in halves"),
        (429, "{}", "Retry-After"),
        (502, "{}", "stay undelivered"),
        (201, "{}", "stops the drain"),
    ],
)
def test_consequence_is_what_the_sender_does(status: int, answer: str, words: str) -> None:
    """Each answer is graded by what our own sender makes of it."""
    assert words in consequence_of(exchange(status, answer))


def event(content: str = "a") -> dict[str, object]:
    return {"event_id": "01", "payload": content}


def test_model_knows_what_is_legal_after_each_answer() -> None:
    """New, known, conflicting, lost: the model has a set of legal answers for each."""
    model = ReceiverModel()
    assert model.legal(event(), valid=True) == {"success", "pending", "queued"}
    assert "success" not in model.legal(event(), valid=False)
    model.lose([(event(), True)])
    assert {"success", "duplicate"} <= model.legal(event(), valid=True)
    model.observe(event(), "success")
    assert model.legal(event(), valid=True) == {"duplicate"}
    assert model.legal(event("b"), valid=True) == {"rejected", "failed_permanent", "duplicate"}


@pytest.mark.parametrize("fault", list(Fault))
def test_proxy_does_one_thing_wrong(fault: Fault) -> None:
    """Through the proxy a request arrives, and the named fault happens to it."""
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(2 if fault is Fault.SEND_TWICE else 1):
            client, _ = listener.accept()
            seen.append(client.recv(100))
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    host, port = listener.getsockname()
    with FaultProxy(host, port, fault) as proxy:
        client = socket.create_connection(proxy.address, 5)
        client.sendall(b"hello")
        got = b""
        try:
            while piece := client.recv(100):
                got += piece
        except ConnectionResetError:
            pass
        client.close()
        assert proxy.answered.wait(5)
        assert proxy.saw_200 or fault is Fault.DRIP
    thread.join(5)
    listener.close()
    cut = {Fault.CUT_BEFORE_ANSWER: b"", Fault.CUT_WITHIN_ANSWER: b"HTTP/1.1 200"}
    assert got in {cut.get(fault, b"HTTP/1.1 200 OK\r\n\r\n"), b""}
    assert len(seen) == (2 if fault is Fault.SEND_TWICE else 1)


def test_tool_on_a_full_disk_works_again_afterwards(tmp_path: Path) -> None:
    """Bytecode cut off at the limit would be all that the tool's next run could import."""
    (tmp_path / "tool.py").write_text("".join(f"name_{n} = {n}\n" for n in range(500)))
    env = {name: value for name, value in os.environ.items() if "BYTECODE" not in name}
    run = (sys.executable, "-c", "import tool")
    for under in (no_file_above(1_000), ()):
        done = subprocess.run(
            [*under, *run], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
