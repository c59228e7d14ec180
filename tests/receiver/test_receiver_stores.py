"""What every store promises, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from receiver_server import PROJECT, ulid

from spec_kitty_sync.errors import StoreError, StoreVersionError, UsageError
from spec_kitty_sync.receiver.database import database_address
from spec_kitty_sync.receiver.decide import NewEvent
from spec_kitty_sync.receiver.store import PAGE_BYTES
from spec_kitty_sync.receiver.stores import TeamStore, store_at

OTHER = "0c9e6679-7425-40de-944b-e07fc1f90ae7"


def new(number: int, content: int = 0, scope: str = "") -> NewEvent:
    """Return an event with the id `ulid(number)`."""
    body = b'{"lamport_clock":%d,"n":%d}' % (number, content)
    return NewEvent(scope, ulid(number), "WPCreated", PROJECT, body, 0, "001-sync", "team-a")


@pytest.fixture
def store(database: Path | str) -> Iterator[TeamStore]:
    """An open, empty store."""
    opened = store_at(database)
    opened.open()
    yield opened
    opened.close()


def ids(store: TeamStore, scope: str = "") -> list[str]:
    """Return the ids of the first page."""
    page = store.page(scope, project_uuid=None, after=0, limit=1000)
    return [each.event_id for each in page.events]


def test_store_gives_back_what_was_added(store: TeamStore) -> None:
    """Events come back byte for byte, in order, and only within their scope."""
    assert store.add([[new(2), new(1)], [new(2, content=9), new(3)]], now_ms=7)[1].keys() == {
        ulid(2)
    }
    page = store.page("", project_uuid=PROJECT, after=0, limit=10)
    assert not page.more
    assert [(each.event_id, each.body, each.received_at_ms) for each in page.events] == [
        (ulid(number), new(number).body, 7) for number in (2, 1, 3)
    ]
    assert [each.seq for each in page.events] == sorted(each.seq for each in page.events)
    assert store.event("", ulid(1)) == page.events[1]
    assert store.event("other", ulid(1)) is None
    assert store.page("", project_uuid=OTHER, after=0, limit=10).events == ()
    assert store.newest_clock("") == 3
    assert store.newest_clock("other") == 0


def test_store_keeps_the_first_content_and_tells_what_it_was(store: TeamStore) -> None:
    """What stood under an id before is told with its bytes, and never changed."""
    store.add([[replace(new(1), settles_at_ms=99)]], now_ms=1)
    (known,) = store.add([[new(1, content=5), new(2)]], now_ms=2)
    assert known.keys() == {ulid(1)}
    assert (known[ulid(1)].body, known[ulid(1)].settles_at_ms) == (new(1).body, 99)
    assert store.add([[new(1, scope="team-b")], []], now_ms=3) == [{}, {}]
    assert ids(store) == [ulid(1), ulid(2)]


def test_store_pages_follow_each_other_without_gap_or_repeat(store: TeamStore) -> None:
    """Pages of any size put together are the whole, also of one project."""
    store.add([[new(n) for n in range(25)]], now_ms=0)
    store.add([[replace(new(n), project_uuid=OTHER) for n in range(25, 30)]], now_ms=0)
    seen: list[str] = []
    after, more = 0, True
    while more:
        page = store.page("", project_uuid=None, after=after, limit=7)
        seen += [each.event_id for each in page.events]
        after, more = page.events[-1].seq, page.more
    assert seen == [ulid(n) for n in range(30)]
    assert len(store.page("", project_uuid=OTHER, after=0, limit=7).events) == 5


def test_store_page_of_large_events_ends_early(store: TeamStore) -> None:
    """A page stays below its size in bytes, says that more follows, and is never empty."""
    store.add([[replace(new(n), body=b"x" * (PAGE_BYTES // 2 + 1)) for n in range(3)]], now_ms=0)
    sizes, after, more = [], 0, True
    while more:
        page = store.page("", project_uuid=None, after=after, limit=10)
        sizes.append(len(page.events))
        after, more = page.events[-1].seq, page.more
    assert sizes == [1, 1, 1]


def test_store_finds_events_by_type(store: TeamStore) -> None:
    """Only the named types come, in order, of one project or of all."""
    store.add([[new(1), replace(new(2), event_type="Other"), new(3)]], now_ms=0)
    found = store.bodies_of_types("", {"WPCreated", "x"}, project_uuid=None)
    assert found == [new(1).body, new(3).body]
    assert store.bodies_of_types("", {"Other"}, project_uuid=PROJECT) == [new(2).body]
    assert store.bodies_of_types("", {"Other"}, project_uuid=OTHER) == []


def test_store_survives_closing_with_its_identity(database: Path | str) -> None:
    """Events and identity are there after a restart; a reset forgets both, the secret stays."""
    store = store_at(database)
    identity = store.open()
    store.add([[new(1)]], now_ms=0)
    store.close()
    with pytest.raises(StoreError):
        store.add([[new(2)]], now_ms=0)
    again = store_at(database)
    assert again.open() == identity
    assert ids(again) == [ulid(1)]
    wiped = again.reset()
    assert wiped.server_instance_id != identity.server_instance_id
    assert wiped.signing_secret == identity.signing_secret
    assert wiped == again.identity()
    assert ids(again) == []
    again.close()


def test_stores_that_start_at_once_agree_on_schema_and_identity(database: Path | str) -> None:
    """Eight processes that open a new database together all succeed and are one server."""
    stores = [store_at(database) for _ in range(8)]
    found = [""] * len(stores)
    barrier = threading.Barrier(len(stores))

    def start(index: int) -> None:
        barrier.wait()
        found[index] = stores[index].open().server_instance_id

    threads = [threading.Thread(target=start, args=(index,)) for index in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert len(set(found)) == 1
    assert found[0]


def test_store_stores_racing_batches_once(postgres_database: str) -> None:
    """Of any number of racing writers exactly one is told that an id was new; none deadlocks."""
    stores = [store_at(postgres_database) for _ in range(4)]
    for store in stores:
        store.open()
    numbers = range(60)
    told: list[list[str]] = [[] for _ in stores]

    def write(index: int) -> None:
        # Each writer has an order of its own, the best recipe for deadlocks.
        order = sorted(numbers, key=lambda number: hash((index, number)))
        for start in range(0, len(order), 20):
            batch = [new(number) for number in order[start : start + 20]]
            known = stores[index].add([batch], now_ms=0)[0]
            told[index] += [each.event_id for each in batch if each.event_id not in known]

    threads = [threading.Thread(target=write, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each for one in told for each in one) == sorted(map(ulid, numbers))
    assert sorted(ids(stores[0])) == sorted(ulid(number) for number in numbers)
    for store in stores:
        store.close()


def test_postgres_reader_never_passes_an_event_that_is_still_being_stored(
    postgres_database: str,
) -> None:
    """`seq` grows in the order of commits, so a reader who polls misses nothing."""
    stores = [store_at(postgres_database) for _ in range(3)]
    for store in stores:
        store.open()
    done = threading.Event()
    seen: list[str] = []

    def write(index: int) -> None:
        for number in range(40):
            stores[index].add([[new(index * 1000 + number)]], now_ms=0)

    def poll() -> None:
        after = 0
        while True:
            last_look = done.is_set()
            page = stores[2].page("", project_uuid=None, after=after, limit=1000)
            seen.extend(each.event_id for each in page.events)
            after = page.events[-1].seq if page.events else after
            if last_look:
                return

    writers = [threading.Thread(target=write, args=(index,)) for index in range(2)]
    reader = threading.Thread(target=poll)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert sorted(seen) == sorted(ulid(i * 1000 + n) for i in range(2) for n in range(40))
    for store in stores:
        store.close()


def test_postgres_store_acknowledges_only_what_is_durable(
    postgres: str, postgres_database: str
) -> None:
    """A database whose commits are asynchronous by default still commits ours to disk."""
    name = psycopg.conninfo.conninfo_to_dict(postgres_database)["dbname"]
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    store = store_at(postgres_database)
    store.open()
    assert store.rows("SHOW synchronous_commit", ()) == [("on",)]
    store.close()


def test_postgres_store_goes_on_after_its_connections_were_cut(
    postgres: str, postgres_database: str
) -> None:
    """A restart of the database costs at most one refused batch."""
    store = store_at(postgres_database)
    store.open()
    store.add([[new(1)]], now_ms=0)
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                     " WHERE datname LIKE 't%' AND pid <> pg_backend_pid()")  # fmt: skip
    assert store.add([[new(1), new(2)]], now_ms=0)[0].keys() == {ulid(1)}
    store.close()


def test_postgres_store_of_a_newer_version_is_left_alone(postgres_database: str) -> None:
    """A schema that this program does not know is refused."""
    store = store_at(postgres_database)
    store.open()
    store.change("INSERT INTO receiver_schema VALUES (?)", (99,))
    store.close()
    with pytest.raises(StoreVersionError, match="schema 99"):
        store_at(postgres_database).open()


def test_database_address_that_cannot_be_used_is_refused_without_its_password() -> None:
    """Messages name host and database; a password in the address stays out of them."""
    with pytest.raises(UsageError, match="neither a path nor"):
        database_address("mysql://u:s3cret@h/d")
    assert database_address("r.db") == Path("r.db").absolute()
    store = store_at("postgresql://u:s3cret@127.0.0.1:1/d?connect_timeout=1")
    with pytest.raises(StoreError) as refused:
        store.open()
    assert "s3cret" not in str(refused.value)
    assert "127.0.0.1/d" in str(refused.value)


_CLOSING = """
import sys, threading
from pathlib import Path
from spec_kitty_sync.errors import StoreError

from spec_kitty_sync.receiver.sqlite_store import SqliteEventStore

store = SqliteEventStore(Path(sys.argv[1]), synchronous="NORMAL")
ended = threading.Event()

def note():
    while not ended.is_set():
        try:
            store.change_many("UPDATE receiver_identity SET only_row = ?", [(1,)] * 200)
        except StoreError:
            pass  # closed just now

threads = [threading.Thread(target=note) for _ in range(3)]
store.open()
for thread in threads:
    thread.start()
for _ in range(150):
    store.close()
    store.open()
ended.set()
for thread in threads:
    thread.join()
"""


def test_store_closed_under_writing_threads_takes_no_process_down(tmp_path: Path) -> None:
    """A restart waits for the thread that is writing: no use of a connection that is closed."""
    done = subprocess.run(
        [sys.executable, "-c", _CLOSING, str(tmp_path / "receiver.db")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
