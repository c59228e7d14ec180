"""Every remedy works: what a message says is done, and the complaint is gone."""

from __future__ import annotations

import ast
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from canary import CANARY
from command_line import every_command, refuse_unknown
from desk import PROJECT, Desk, event_id, make_event
from remedies import LOGIN, Trouble, codes, commands, follow
from small_receiver import SmallReceiver, accept, reject

import spec_kitty_sync
from spec_kitty_sync.cli.main import cli

SOURCE = Path(spec_kitty_sync.__file__).parent
HOUR_MS = 3_600_000


def one_event(desk: Desk, receiver: SmallReceiver) -> None:
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)


def only_an_event(desk: Desk, receiver: SmallReceiver) -> None:
    desk.put(make_event(1))


def two_servers(desk: Desk, receiver: SmallReceiver) -> None:
    desk.put(make_event(1))
    desk.run("sync", "server", "http://127.0.0.1:9")
    desk.environ["SPEC_KITTY_SAAS_URL"] = receiver.url


def kept_at_home(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    desk.run("sync", "mode", "local-retention")


def retired(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    desk.run("sync", "now")
    desk.run("sync", "targets", "retire", "1")


def no_identity(desk: Desk, receiver: SmallReceiver) -> None:
    desk.put(make_event(1, project_uuid=None))
    desk.run("sync", "server", receiver.url)


def parked(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    receiver.judge = reject("no", "server_error", status="failed_permanent")
    desk.run("sync", "now")


def rejected(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    receiver.judge = reject("payload.wp_id is missing", "schema_mismatch")


def refused_for_good(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    receiver.judge = reject("too odd", "odd", status="failed_permanent")


def bad_at_both_ends(desk: Desk, receiver: SmallReceiver) -> None:
    for number, about in ((1, "WP66"), (2, "WP02"), (3, "WP66")):
        desk.put(make_event(number, aggregate_id=about))
    desk.run("sync", "server", receiver.url)
    receiver.chokes_on = "WP66"


def stalled(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    desk.run("sync", "now")
    desk.put(make_event(2))
    desk.sql("UPDATE event_journal SET appended_at_ms = appended_at_ms - ?", 30 * HOUR_MS)
    desk.sql("UPDATE delivery_targets SET last_delivery_at = last_delivery_at - ?", 30 * HOUR_MS)


def old_queue(desk: Desk, *rows: tuple[str, str]) -> None:
    desk.home.ensure()
    with closing(sqlite3.connect(desk.home.queue_db)) as conn, conn:
        conn.execute(
            "CREATE TABLE IF NOT EXISTS queue (id INTEGER PRIMARY KEY, event_id TEXT,"
            " event_type TEXT, data TEXT, timestamp INTEGER, retry_count INTEGER)"
        )
        conn.executemany("INSERT INTO queue VALUES (NULL, ?, 'HistoryAdded', ?, 0, 0)", rows)


def old_rows(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    old_queue(desk, (event_id(5), json.dumps(make_event(5))))


def conflict(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    other = make_event(1, aggregate_id="WP99")
    old_queue(desk, (event_id(1), json.dumps(other)))
    desk.run("sync", "migrate")


def quarantined(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    old_queue(desk, (event_id(7), "this is no event"))
    desk.run("sync", "migrate")


def offline(desk: Desk, receiver: SmallReceiver) -> None:
    desk.put(make_event(1))
    desk.run("sync", "server", "http://127.0.0.1:9")


def reachable_again(desk: Desk, receiver: SmallReceiver) -> None:
    desk.run("sync", "server", receiver.url)


def logged_in(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    desk.environ["SK_PASSWORD"] = "lovelace"
    desk.run("auth", "login", *LOGIN)


def token_withdrawn(desk: Desk, receiver: SmallReceiver) -> None:
    logged_in(desk, receiver)
    receiver.refreshes = False
    receiver.token = "another"


def nobody_logged_in(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    desk.environ["SK_PASSWORD"] = "lovelace"
    desk.run("sync", "mode", "teamspace")


def switched_off(desk: Desk, receiver: SmallReceiver) -> None:
    logged_in(desk, receiver)
    desk.environ["SPEC_KITTY_ENABLE_SAAS_SYNC"] = "0"


def not_permitted(desk: Desk, receiver: SmallReceiver) -> None:
    logged_in(desk, receiver)
    receiver.answer = (403, {"error": "you may not write here"}, {})
    desk.run("sync", "now")


def permitted(desk: Desk, receiver: SmallReceiver) -> None:
    receiver.answer = None


def open_credentials(desk: Desk, receiver: SmallReceiver) -> None:
    logged_in(desk, receiver)
    desk.home.credentials.chmod(0o644)


def plain_http(desk: Desk, receiver: SmallReceiver) -> None:
    desk.put(make_event(1))
    config = desk.home.ensure().config_toml
    config.write_text('[sync]\nserver_url = "http://sync.invalid"\n', encoding="utf-8")


def token_variable(desk: Desk, receiver: SmallReceiver) -> None:
    desk.put(make_event(1))
    receiver.token = f"{CANARY}-named"
    desk.run("sync", "server", receiver.url, "--token-env", "MY_TOKEN")


def flipped_byte(desk: Desk, receiver: SmallReceiver) -> None:
    one_event(desk, receiver)
    desk.run("sync", "backup", str(desk.root / "good.db"))
    desk.sql(
        "UPDATE event_journal SET body ="
        " CAST(replace(CAST(body AS TEXT), 'note 1', 'nope 1') AS BLOB)"
    )
    desk.run("sync", "now")


def mends(desk: Desk, receiver: SmallReceiver) -> None:
    receiver.judge = accept


def first_id(*_: object) -> str:
    return event_id(1)


def mended_file(desk: Desk, receiver: SmallReceiver) -> str:
    path = desk.root / "mended.json"
    path.write_text(json.dumps(make_event(1, aggregate_id="WP02")))
    return str(path)


def backup_file(desk: Desk, receiver: SmallReceiver) -> str:
    return str(desk.root / "good.db")


def identified_file(desk: Desk, receiver: SmallReceiver) -> str:
    """Do with the file what the remedy says, once it is there."""
    path = desk.root / "held.jsonl"
    if path.exists():
        events = [json.loads(line) for line in path.read_text().splitlines()]
        lines = [json.dumps({**event, "project_uuid": PROJECT}) for event in events]
        path.write_text("\n".join(lines))
    return str(path)


CORRECT = {"EVENT_ID": first_id, "FILE": mended_file}
NOW = ("sync", "now")
CHECK = ("sync", "status", "--check")
TROUBLES = [
    Trouble("no server", only_an_event, NOW, "no_target"),
    Trouble("two servers", two_servers, NOW, "target_conflict"),
    Trouble("two servers, status", two_servers, CHECK, "target_conflict"),
    Trouble("mode keeps events", kept_at_home, NOW, "delivery_blocked"),
    Trouble("target retired", retired, NOW, "delivery_blocked"),
    Trouble("no identity", no_identity, CHECK, "held_no_identity",
            {"held.jsonl": identified_file}),
    Trouble("parked", parked, CHECK, "parked_events", mend=mends),
    Trouble("rejected", rejected, NOW, "rejected", CORRECT, mend=mends, every=True),
    Trouble("refused for good", refused_for_good, NOW, "terminal_failed", CORRECT, mend=mends),
    Trouble("bad at both ends", bad_at_both_ends, NOW, "receiver_refuses_all", CORRECT),
    Trouble("stalled", stalled, CHECK, "stalled"),
    Trouble("old queue", old_rows, CHECK, "legacy_rows_waiting"),
    Trouble("conflict", conflict, CHECK, "migration_conflicts", CORRECT, every=True),
    Trouble("quarantine", quarantined, CHECK, "quarantine", every=True),
    Trouble("offline", offline, NOW, "offline", mend=reachable_again),
    Trouble("unreachable", offline, CHECK, "server_unreachable", mend=reachable_again),
    Trouble("token withdrawn", token_withdrawn, NOW, "auth_expired"),
    Trouble("token refused", token_withdrawn, CHECK, "token_refused"),
    Trouble("not logged in", nobody_logged_in, NOW, "credentials"),
    Trouble("not logged in, status", nobody_logged_in, CHECK, "blocked_no_auth"),
    Trouble("switched off", switched_off, NOW, "delivery_blocked"),
    Trouble("switched off, status", switched_off, CHECK, "blocked_sync_disabled"),
    Trouble("not permitted", not_permitted, NOW, "delivery_blocked", mend=permitted),
    Trouble("not permitted, status", not_permitted, CHECK, "blocked_private_teamspace",
            mend=permitted),
    Trouble("open credentials", open_credentials, NOW, "unsafe_path"),
    Trouble("plain http", plain_http, NOW, "target_url",
            {"URL": lambda desk, receiver: "http://sync.invalid"}),
    Trouble("token variable", token_variable, NOW, "credentials"),
    Trouble("flipped byte", flipped_byte, CHECK, "held_corrupt", {"FILE": backup_file},
            every=True),
]  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_following_a_remedy_ends_the_complaint(
    trouble: Trouble, desk: Desk, receiver: SmallReceiver
):
    """What the message says is done word for word; then the same command no longer complains.

    Where the first command only shows what is there, its own remedies are followed too.
    """
    trouble.arrange(desk, receiver)
    complaint = codes(desk.run(*trouble.complain, "--json"))
    assert trouble.code in complaint, complaint
    remedy = complaint[trouble.code]
    assert commands(remedy), remedy
    if trouble.mend is not None:
        trouble.mend(desk, receiver)
    for done in list(follow(trouble, remedy, desk, receiver)):
        if trouble.every:
            list(follow(trouble, done.out + done.err, desk, receiver))
    assert trouble.code not in codes(desk.run(*trouble.complain, "--json"))


def test_where_nobody_can_be_asked_yes_is_the_way(desk: Desk, receiver: SmallReceiver):
    """Without a terminal, what removes something is refused, and `--yes` does it."""
    one_event(desk, receiver)
    discard = ("sync", "discard", event_id(1), "--reason", "x")
    refused = desk.run(*discard)
    assert refused.code == 2
    assert "`--yes`" in refused.err
    assert desk.run(*discard, "--yes").code == 0
    assert desk.json("sync", "show", event_id(1))["removed"] == "discarded"


def named_commands() -> Iterator[tuple[str, str]]:
    """Yield (file, command) of every command that a text in the source names."""
    for path in sorted(SOURCE.rglob("*.py")):
        if "_shared" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) in said:
                continue  # a docstring
            text = None
            if isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else "1" for v in node.values)
                text = "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            for command in re.findall(r"`(spec-kitty [^`\n]*)`", text or ""):
                yield path.relative_to(SOURCE).as_posix(), command


def test_every_command_that_a_message_names_exists():
    """No text sends anybody to a command or option that is not there."""
    named = list(named_commands())
    assert len(named) > 60
    for _, command in named:
        refuse_unknown(command)


def test_every_command_has_help_with_an_example():
    """`--help` of each command shows at least one example that the command line takes."""
    for path, command in every_command(cli):
        text = command.help or ""
        assert "Example" in text, f"{' '.join(path)} has no example"
        for line in text.splitlines():
            example = line.strip()
            if example.startswith("spec-kitty "):
                cut = re.split(r"\s{2,}|\s[|>&]\s?|\s\|\|", example)[0]
                refuse_unknown(cut)
