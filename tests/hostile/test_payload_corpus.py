"""`fixtures/hostile` through everything that reads events: kept as it came, printed escaped."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hostile_corpus
import pytest
from desk import Desk
from hostile_corpus import FOLDER, Hostile
from legacy_homes import write_rows
from receiver_server import Server, in_process

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync.errors import AdmissionError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.receiver.app import build_app
from spec_kitty_sync.receiver.settings import Settings
from spec_kitty_sync.sync.store import open_home

CORPUS = hostile_corpus.corpus()
ADMITTED = [case for case in CORPUS if case.refused is None]
TEXTS = [case for case in CORPUS if case.text is not None]
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def each(cases: list[Hostile] | tuple[Hostile, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


def kept(case: Hostile) -> bytes:
    """Return what a journal stores: the body, without a byte order mark."""
    return case.whole.removeprefix(b"\xef\xbb\xbf")


def test_folder_is_what_its_maker_writes():
    """Files and manifest are those of `hostile_corpus.py`."""
    found = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    assert found == hostile_corpus.files()


@each(CORPUS)
def test_body_meets_its_fate_at_admission(case: Hostile):
    """Kept, held back with a code, or refused with a reason: never another error."""
    if case.refused is not None:
        with pytest.raises(AdmissionError) as refusal:
            admit(case.whole, registry=default_registry())
        assert refusal.value.facts["reason"] == case.refused
    else:
        admitted = admit(case.whole, registry=default_registry())
        assert (admitted.hold, admitted.body) == (case.hold, kept(case))


def test_admitted_bodies_come_out_as_they_went_in(tmp_path: Path):
    """The journal gives back every byte, by an id of any kind."""
    desk = Desk(tmp_path)
    with open_home(desk.home) as store:
        journal = SqliteJournal(store, clock=ManualClock())
        events = [admit(case.whole, registry=default_registry()) for case in ADMITTED]
        journal.append_many(events)
        for case, event in zip(ADMITTED, events, strict=True):
            found = journal.get(event.event_id)
            assert found is not None, case.id
            assert found.body == kept(case), case.id


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A home whose old queue held the whole corpus; look, but change nothing."""
    desk, rows = Desk(tmp_path_factory.mktemp("migrated")), []
    for number, case in enumerate(CORPUS):
        body: object = case.whole
        with suppress(UnicodeDecodeError):  # SQLite stores that as a blob
            body = case.whole.decode()
        rows.append((_row_id(case) or f"row-{number}", body))
    desk.home.ensure()
    write_rows(desk.home.queue_db, rows)
    done = desk.run("sync", "migrate")
    assert done.code in (0, 1), done
    assert_decent(done.out + done.err)
    return desk


def _row_id(case: Hostile) -> str | None:
    try:
        return admit(case.whole, registry=default_registry()).event_id
    except AdmissionError:
        return None


def test_migration_keeps_every_body(migrated: Desk):
    """Admissible rows are in the journal, byte for byte, held as they must be; the rest is kept
    in quarantine."""
    found = dict(migrated.sql("SELECT CAST(body AS BLOB), hold FROM event_journal"))
    assert {kept(case): case.hold for case in ADMITTED} == found
    set_aside = {bytes(row[0]) for row in migrated.sql("SELECT CAST(body AS BLOB) FROM"
                                                       " migration_quarantine")}  # fmt: skip
    assert set_aside == {case.whole for case in CORPUS if case.refused is not None}


def assert_decent(text: str) -> None:
    """Nothing in *text* moves a cursor, turns text around, hides or breaks a line."""
    for char in _COLOUR.sub("", text).replace("\r\n", "\n"):
        odd = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\n\t"
        assert not odd, (hex(ord(char)), text[max(0, text.index(char) - 80) :][:200])


COMMANDS = (
    ("sync", "status"), ("sync", "show", "--state", "held"), ("diagnose",),
    ("diagnose", "--fix-plan"), ("diagnose", "--json"), ("diagnose", "--jsonl"), ("sync", "doctor"),
    ("sync", "migrate", "conflicts", "list"), ("sync", "migrate", "quarantine", "list"),
    ("sync", "now", "--dry-run"), ("sync", "verify"), ("sync", "log"),
    ("sync", "status", "--json"), ("sync", "show", "--state", "held", "--json"),
    ("sync", "doctor", "--json"),
)  # fmt: skip


def test_commands_print_hostile_events_escaped(migrated: Desk):
    """Whatever events hold, each command prints plain lines, and an event takes one entry."""
    for command in COMMANDS:
        done = migrated.run(*command)
        assert done.code in (0, 1, 2, 3), (command, done)
        assert_decent(done.out + done.err)
    listed = migrated.json("sync", "show", "--state", "held", "--limit", "1000")["events"]
    held = [case for case in ADMITTED if case.hold is not None]
    assert len(listed) == len({line["event_id"] for line in listed}) == len(held)
    lines = migrated.run("diagnose", "--jsonl").out.splitlines()
    assert all(json.loads(line) for line in lines)
    assert len(lines) >= len(ADMITTED)


def test_markup_in_ids_and_file_names_is_printed_to_the_letter(tmp_path: Path):
    """Square brackets, links and escapes in what tables show are text, not style."""
    name = "[bold]\x1b[2J.db"
    rows = [(case.text, case.whole.decode()) for case in TEXTS if case.id.startswith("id-")]
    write_rows(tmp_path / name, rows)
    desk = Desk(tmp_path)
    for options in (("--only", "invalid"), (), ("--fix-plan",)):
        done = desk.run("diagnose", str(tmp_path), *options)
        assert done.code in (1, 3), done
        assert_decent(done.out + done.err)
        assert "[bold]\\x1b[2J.db" in done.out
        assert options != ("--only", "invalid") or "[red]01JQ[/red]" in done.out


@each([case for case in TEXTS if case.refused is None])
def test_one_hostile_event_is_shown_escaped_and_whole(tmp_path: Path, case: Hostile):
    """`sync show ID` escapes what it prints; with --json the very text comes back."""
    desk = Desk(tmp_path)
    event = admit(case.whole, registry=default_registry())
    desk.put(json.loads(case.whole))
    shown = desk.run("sync", "show", event.event_id)
    assert shown.code == 0
    assert_decent(shown.out)
    document = desk.run("sync", "show", event.event_id, "--json")
    assert_decent(document.out)
    assert case.text in json.dumps(document.json, ensure_ascii=False) or case.text in _texts(
        document.json
    )


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from (key, *_texts(value))
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)


def on_terminal(desk: Desk, *command: str) -> str:
    """Run `spec-kitty` on a terminal of its own and return what it was sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "spec_kitty_sync", *command],
        env={**os.environ, "SPEC_KITTY_HOME": str(desk.home.root), "TERM": "xterm-256color",
             "COLUMNS": "120"},
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    sent = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        sent += part
    os.close(ours)
    process.wait(30)
    return sent.decode()


def test_terminal_is_sent_nothing_that_events_hold_to_steer_it(migrated: Desk):
    """On a real terminal, with colours: no cursor moves, titles, links, clipboards or markup."""
    for command in (("sync", "status"), ("sync", "show", "--state", "held"), ("diagnose",)):
        sent = on_terminal(migrated, *command)
        assert "Traceback" not in sent
        assert_decent(sent)


@each([case for case in TEXTS if case.id.startswith("text-")])
def test_emit_takes_hostile_text_and_gives_it_back(desk: Desk, tmp_path: Path, case: Hostile):
    """Text is text: what strict JSON holds is stored as it is, and the answer is one line."""
    payload = {"wp_id": "WP01", "entry_type": "note", "entry_content": case.text}
    (tmp_path / "payload.json").write_text(json.dumps(payload))
    done = desk.run("emit", "HistoryAdded", "--json", str(tmp_path / "payload.json"))
    assert done.code == 0, done
    assert len(done.out.splitlines()) == 1
    (body,) = desk.sql("SELECT body FROM event_journal")[0]
    assert json.loads(body)["payload"]["entry_content"] == case.text


@pytest.mark.parametrize(
    "payload",
    [b'{"wp_id": NaN}', b'{"a": 1, "a": 2}', b'{"x": "\\ud800"}', b"[" * 100_000, b"\xff",
     b'{"n": 9223372036854775808}', b'{"n": 1e999}', b"[]", b"", b"{}{}",
     b'{"x": ' + b"[" * 70 + b"]" * 70 + b"}"],
)  # fmt: skip
def test_emit_refuses_what_is_not_strict_and_stores_nothing(desk: Desk, tmp_path: Path, payload):
    """A payload that two readers would understand differently is refused in one line."""
    (tmp_path / "payload.json").write_bytes(payload)
    done = desk.run("emit", "HistoryAdded", "--json", str(tmp_path / "payload.json"))
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert_decent(done.err)
    assert not desk.home.journal_db.exists() or desk.sql("SELECT * FROM event_journal") == []


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The reference receiver, open to everybody, in this process."""
    folder = tmp_path_factory.mktemp("receiver")
    with in_process(build_app(Settings(database=folder / "r.db"))) as server:
        yield server


@each(CORPUS)
def test_receiver_answers_hostile_bodies_by_the_contract(receiver: Server, case: Hostile):
    """One of the legal answers with a reason; never a 5xx, and nobody else's event suffers."""
    answer = receiver.post_bytes(b'{"events":[' + case.whole + b"]}")
    document = answer.json()
    if answer.status_code == 200:
        results = document["results"]
        assert {result["status"] for result in results} <= {*case.legal, "duplicate"}, document
        assert all(result.get("error") for result in results if result["status"] == "rejected")
    else:
        assert str(answer.status_code) in case.legal, answer.text
        assert document["error"]
