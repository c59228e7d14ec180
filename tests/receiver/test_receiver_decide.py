"""The pure core: cutting a batch, answering it, and the commit that comes before the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from receiver_server import PROJECT, ulid

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.committer import Committer
from spec_kitty_sync.receiver.decide import Known, NewEvent, Refused, Verdict, decide, fresh
from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.principals import Directory, Lifetimes, Principal, User
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.split import split_batch
from spec_kitty_sync.receiver.sqlite_store import SqliteEventStore
from spec_kitty_sync.receiver.store import PAGE_BYTES

_LATER_MS = 10_000


def new(number: int, content: int = 0, settles_at_ms: int = 0) -> NewEvent:
    """Return a judged event with the id `ulid(number)`."""
    body = json.dumps({"event_id": ulid(number), "content": content}).encode()
    return NewEvent("", ulid(number), "X", PROJECT, body, settles_at_ms)


def answers(verdicts: Sequence[Verdict], known: Mapping[str, Known], now_ms: int = 0) -> list[str]:
    """Return the statuses that `decide` gives."""
    return [result.status for result in decide(verdicts, known, now_ms=now_ms)]


@pytest.mark.parametrize(
    ("verdicts", "known", "expected"),
    [
        ([], {}, []),
        ([new(1)], {}, ["success"]),
        ([new(1), new(1)], {}, ["success", "duplicate"]),
        ([new(1), new(1, content=2)], {}, ["success", "rejected"]),
        ([new(1)], {ulid(1): Known(new(1).body, 0)}, ["duplicate"]),
        ([new(1, content=2)], {ulid(1): Known(new(1).body, 0)}, ["rejected"]),
        ([new(1, settles_at_ms=5)], {}, ["pending"]),
        ([new(1, settles_at_ms=5)] * 2, {}, ["pending", "pending"]),
        ([new(1)], {ulid(1): Known(new(1).body, 5)}, ["pending"]),
        ([Refused(ulid(1), "x", "y"), new(1)], {}, ["rejected", "success"]),
        (
            [Refused(None, "x", "y", "failed_permanent"), new(1)],
            {},
            ["failed_permanent", "success"],
        ),
    ],
)
def test_decide_answers_each_row_of_the_table(
    verdicts: list[Verdict], known: dict[str, Known], expected: list[str]
) -> None:
    """The status of an event follows from its verdict and what was known, nothing else."""
    assert answers(verdicts, known) == expected


def test_decide_settles_pending_as_duplicate() -> None:
    """Once its time is over, a pending event is a duplicate."""
    known = {ulid(1): Known(new(1).body, _LATER_MS)}
    assert answers([new(1)], known, now_ms=_LATER_MS - 1) == ["pending"]
    assert answers([new(1)], known, now_ms=_LATER_MS) == ["duplicate"]


_VERDICTS = st.lists(
    st.builds(new, st.integers(0, 5), st.integers(0, 1))
    | st.builds(lambda number: Refused(ulid(number), "x", "y"), st.integers(0, 5)),
    max_size=12,
)


@settings(deadline=None)
@given(batches=st.lists(_VERDICTS, max_size=5))
def test_decide_gives_one_success_per_id_and_keeps_the_first_content(
    batches: list[list[Verdict]],
) -> None:
    """Over any history each id succeeds once, with the content that `fresh` stored."""
    stored: dict[str, Known] = {}
    succeeded: list[str] = []
    for verdicts in batches:
        batch = fresh(verdicts)
        known = {each.event_id: stored[each.event_id] for each in batch if each.event_id in stored}
        for each in batch:
            stored.setdefault(each.event_id, Known(each.body, 0))
        results = decide(verdicts, known, now_ms=0)
        assert [result.event_id for result in results] == [each.event_id for each in verdicts]
        for verdict, result in zip(verdicts, results, strict=True):
            if result.status == "success":
                succeeded.append(str(result.event_id))
            if isinstance(verdict, NewEvent) and result.status != "rejected":
                assert stored[verdict.event_id].body == verdict.body
    assert sorted(succeeded) == sorted(stored)


_BLANK = st.text(alphabet=" \t\r\n", max_size=3)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(values=st.lists(_JSON, max_size=5), blank=_BLANK, indent=st.none() | st.integers(0, 2))
def test_split_gives_the_exact_bytes_of_each_entry(
    values: list[Any], blank: str, indent: int | None
) -> None:
    """Whatever the spacing, an entry's bytes are those that were sent, without blanks around."""
    texts = [json.dumps(each, indent=indent, ensure_ascii=False) for each in values]
    texts = [each.encode("utf-8", "replace").decode() for each in texts]
    between = f"{blank},{blank}".join(texts)
    body = f'{blank}{{{blank}"events"{blank}:{blank}[{blank}{between}{blank}]{blank}}}{blank}'
    elements = split_batch(body.encode(), Limits())
    assert [element.body.decode() for element in elements] == texts
    assert [element.index for element in elements] == list(range(len(texts)))


class Counting(SqliteEventStore):
    """A store that knows how often it was written to, and can be out of order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.commits = 0
        self.broken = False

    def add(
        self, batches: Sequence[Sequence[NewEvent]], *, now_ms: int
    ) -> list[Mapping[str, Known]]:
        self.commits += 1
        if self.broken:
            raise StoreError("out of order")
        return super().add(batches, now_ms=now_ms)


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    """A store in a new file."""
    return Counting(tmp_path / "r.db")


def test_committer_shares_commits_between_waiting_batches(store: Counting) -> None:
    """Batches that wait while one commits are stored together, each with its own answer."""

    async def run() -> list[Mapping[str, Known]]:
        committer = Committer(store, ManualClock())
        await committer.open()
        found = await asyncio.gather(*(committer.add([new(n % 20)]) for n in range(40)))
        await committer.close()
        return found

    found = asyncio.run(run())
    assert [len(known) for known in found] == [0] * 20 + [1] * 20
    assert store.commits <= 3


def test_committer_hands_a_store_failure_to_every_batch_and_recovers(store: Counting) -> None:
    """When a commit fails every batch of it learns so, and the next one is stored."""

    async def run() -> list[Any]:
        committer = Committer(store, ManualClock())
        await committer.open()
        store.broken = True
        adding = [committer.add([new(n)]) for n in range(5)]
        found = await asyncio.gather(*adding, return_exceptions=True)
        store.broken = False
        assert await committer.add([new(1)]) == {}
        await committer.close()
        return found

    assert all(isinstance(each, StoreError) for each in asyncio.run(run()))


def test_store_page_and_event_give_back_what_was_added(store: Counting) -> None:
    """Events come back byte for byte, in order, and only within their scope."""
    store.open()
    assert store.add([[new(1), new(2)], [new(2, content=9)]], now_ms=7)[1].keys() == {ulid(2)}
    page = store.page("", project_uuid=PROJECT, after=0, limit=10)
    assert not page.more
    assert [(each.event_id, each.body, each.received_at_ms) for each in page.events] == [
        (ulid(1), new(1).body, 7), (ulid(2), new(2).body, 7),
    ]  # fmt: skip
    assert store.event("other", ulid(1)) is None
    store.close()


def test_store_page_of_large_events_ends_early(store: Counting) -> None:
    """A page stays below its size in bytes, says that more follows, and is never empty."""
    store.open()
    large = [replace(new(n), body=b"x" * (PAGE_BYTES // 2 + 1)) for n in range(3)]
    store.add([large], now_ms=0)
    seen: list[int] = []
    more = True
    while more:
        after = seen[-1] if seen else 0
        page = store.page("", project_uuid=None, after=after, limit=10)
        assert len(page.events) == 1
        seen.append(page.events[0].seq)
        more = page.more
    assert seen == [1, 2, 3]
    store.close()


def test_tokens_expire_and_belong_to_their_secret() -> None:
    """A token is good until its time is over, for its kind, and for the secret that signed it."""
    clock = ManualClock()
    user = User(Principal("ada", team="team-a"), password="x")
    directory = Directory([user], secret=b"1" * 32, clock=clock, lifetimes=Lifetimes(access_s=60))
    other = Directory([user], secret=b"2" * 32, clock=clock, lifetimes=Lifetimes())
    access = directory.pair(directory.check_password("ada", "x"))["access"]
    assert directory.authenticate(f"Bearer {access}") == user.principal
    for refused in (lambda: other.verify(access, "access"), lambda: directory.verify(access, "ws")):
        with pytest.raises(Refusal):
            refused()
    clock.advance(60)
    with pytest.raises(Refusal, match="expired"):
        directory.authenticate(f"Bearer {access}")
