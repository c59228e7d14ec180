"""Damaged files: said, never hidden; the rest flows; and the way out that is named works."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

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
