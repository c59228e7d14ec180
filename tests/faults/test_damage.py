"""Damaged files: said, never hidden; the rest flows; and the way out that is named works."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from damage import DAMAGES, DELIVERED, LATE, READING, STORED, Damage, build
from desk import Desk, Ran, event_id, make_event
from remedies import Trouble, commands, follow
from small_receiver import SmallReceiver

from spec_kitty_sync.errors import SpecKittyError

OPEN = {event_id(number) for number in range(DELIVERED + 1, LATE + 1)}
IN_THE_LOG = {event_id(number) for number in range(STORED + 1, LATE + 1)}
EVENTS = {event_id(number): make_event(number) for number in range(1, LATE + 1)}
_ENDED = "Everything delivered"


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, SmallReceiver]]:
    """One home with a past, to be copied, and its receiver."""
    with SmallReceiver() as receiver:
        desk = Desk(tmp_path_factory.mktemp("lived"))
        build(desk, receiver)
        yield desk, receiver


@pytest.fixture
def receiver(lived) -> SmallReceiver:
    lived[1].events.clear()
    lived[1].token = None
    return lived[1]


@pytest.fixture
def copy_of(lived, tmp_path, monkeypatch) -> Callable[[str], Desk]:
    """Return a maker of copies of that home."""

    def copy(name: str = "copy") -> Desk:
        root = tmp_path / name
        shutil.copytree(lived[0].root, root)
        monkeypatch.chdir(root)
        return Desk(root)

    return copy


def harmed(desk: Desk, damage: Damage) -> Desk:
    damage.harm(desk.home.root)
    for path in desk.home.root.iterdir():
        path.chmod(0o700 if path.is_dir() else 0o600)
    return desk


def says_what_helps(done: Ran) -> None:
    """Assert that a command ended as the house says, with a remedy where it refused."""
    assert done.code in (0, 1, 2, 3), done
    assert "Traceback" not in done.out + done.err
    if done.code == 2:
        assert " — " in done.err, done


def is_true(desk: Desk, done: Ran, receiver: SmallReceiver, wanted: set[str]) -> None:
    """Assert that what arrived is ours to the byte, and "everything" only if it is."""
    for event in receiver.events:
        assert event == EVENTS[event["event_id"]], "other content under this id"
    arrived = {event["event_id"] for event in receiver.events}
    assert len(arrived) == len(receiver.events), "sent twice"
    if _ENDED in done.out or done.code == 0:
        assert wanted <= arrived, f"{len(wanted - arrived)} events are missing and nobody says so"


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_damage_is_told_and_never_hidden(copy_of, receiver, damage):
    """No command crashes on a damaged file, and none calls delivered what is not."""
    desk = harmed(copy_of(), damage)
    for command in READING:
        says_what_helps(desk.run(*command))
    done = desk.run("sync", "now")
    says_what_helps(done)
    is_true(desk, done, receiver, OPEN - IN_THE_LOG if damage.takes_log else OPEN)


@pytest.mark.parametrize("first_word", ["mv", "spec-kitty"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_way_out_of_damage_works(copy_of, receiver, damage, first_word):
    """Whoever does what the message says, by moving files or by the backup, delivers again."""
    desk = harmed(copy_of(), damage)
    fill = {"FILE": lambda desk, receiver: str(desk.root / "good.db")}
    trouble = Trouble(damage.name, lambda *_: None, ("sync", "now"), "", fill)
    desk.environ["SK_PASSWORD"] = "lovelace"
    for _ in range(5):
        refused = refusal(desk, receiver)
        if refused is None:
            break
        named = commands(refused)
        chosen = [each for each in named if each.startswith(first_word)] or named
        if not chosen:
            assert "Correct" in refused or "Install the newer" in refused
            return
        text = " ".join(f"`{each}`" for each in chosen)
        assert any(done.code == 0 for done in follow(trouble, text, desk, receiver)), refused
    assert event_id(999) in {event["event_id"] for event in receiver.events}, refused


def refusal(desk: Desk, receiver: SmallReceiver) -> str | None:
    """Deliver, append one more, deliver; return the remedy of whatever is in the way."""
    desk.run("sync", "server", receiver.url)
    try:
        first = desk.run("sync", "now")
        if first.code == 2:
            return first.err
        desk.put(make_event(999))
    except SpecKittyError as exc:
        return exc.remedy
    done = desk.run("sync", "now")
    return done.err if done.code == 2 else None


def flipped(desk: Desk, chance: random.Random) -> int:
    """Change one bit, anywhere in a database whose log is empty; return where."""
    with closing(sqlite3.connect(desk.home.journal_db)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with desk.home.journal_db.open("r+b") as file:
        offset = chance.randrange(os.fstat(file.fileno()).st_size)
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << chance.randrange(8))]))
    return offset


def after_a_flip(copy_of, receiver, seed: int) -> str:
    """Flip a bit and look; return how it ended, "" where a promise was broken is an assertion."""
    desk = copy_of(f"flip-{seed}")
    receiver.events.clear()
    offset = flipped(desk, random.Random(seed))
    where = f"seed {seed}, byte {offset}"
    verified = desk.run("sync", "verify")
    status = desk.run("sync", "status", "--check")
    done = desk.run("sync", "now")
    for ran in (verified, status, done):
        says_what_helps(ran)
    try:
        is_true(desk, done, receiver, OPEN)
    except AssertionError as exc:
        raise AssertionError(f"{where}: {exc}") from exc
    shutil.rmtree(desk.root)
    return "refused" if done.code == 2 else "delivered" if done.code == 0 else "partly"


def flip_many(copy_of, receiver, figure, count: int) -> None:
    # The same bits each time: a run that finds something can be repeated. Others: SK_FLIP_SEED=N.
    seed = int(os.environ.get("SK_FLIP_SEED", "0"))
    ended = Counter(after_a_flip(copy_of, receiver, seed + n) for n in range(count))
    figure("flipped bit", points=count, kills=ended["refused"] + ended["partly"], losses=0)
    assert ended.total() == count


def test_flipped_bit_anywhere_sends_nothing_else_and_hides_nothing(copy_of, receiver, figure):
    """One bit changes: no crash, no other content on the wire, no false "everything delivered"."""
    flip_many(copy_of, receiver, figure, 15)


@pytest.mark.proof
def test_hundreds_of_flipped_bits_send_nothing_else_and_hide_nothing(copy_of, receiver, figure):
    """Of hundreds of changed bits none makes the product send or say what is not so."""
    flip_many(copy_of, receiver, figure, 400)
