"""The process's emitter and its background delivery, end to end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from producing import TEAM, Desk, Wire
from waiting import wait_until

from spec_kitty_sync.identity.config_file import CONFIG
from spec_kitty_sync.sync import runtime
from spec_kitty_sync.sync.background import STOP_BOUND_S
from spec_kitty_sync.sync.delivering import drain_home
from spec_kitty_sync.sync.status import build_status

NOTE = {"wp_id": "WP01", "entry_type": "note", "entry_content": "x"}
SCRIPT = """
import sys
from spec_kitty_sync.sync.runtime import get_emitter
emitter = get_emitter()
for n in range({n}):
    emitter.emit_history_added("WP01", entry_type="note", entry_content=str(n))
{after}
"""


@pytest.fixture
def in_process(desk, monkeypatch):
    """This process works at *desk*, and leaves nothing running."""
    monkeypatch.setenv("SPEC_KITTY_HOME", str(desk.home.root))
    monkeypatch.chdir(desk.project)
    yield desk
    runtime.reset_runtime()


def run_script(desk: Desk, n: int, after: str = "", **environ: str) -> tuple[float, str]:
    """Run a short command that emits *n* events; return its time and what it printed."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPEC_KITTY_", "SK_"))}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(n=n, after=textwrap.dedent(after))],
        cwd=desk.project,
        env={**clean, "SPEC_KITTY_HOME": str(desk.home.root), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began, done.stdout + done.stderr


def service_state(desk: Desk) -> str:
    """Return what status says of the service."""
    return build_status(desk.settings).background.service.state


def test_first_emitter_starts_background_delivery(in_process, make_receiver):
    """get_emitter starts the service; events leave without any command, then live."""
    receiver = make_receiver()
    in_process.target(receiver.url)
    in_process.login(receiver.url)
    emitter = runtime.get_emitter()
    assert runtime.get_emitter() is emitter
    assert runtime.get_sync_service().running
    first = emitter.emit("HistoryAdded", "WP01", NOTE).event_id
    wait_until(lambda: receiver.ids() == [first])
    client = wait_until(lambda: emitter.ws_client)
    wait_until(lambda: client.connected)
    wait_until(lambda: build_status(in_process.settings).delivery_ledger.undelivered == 0)
    second = emitter.emit("HistoryAdded", "WP01", NOTE).event_id
    wait_until(lambda: receiver.ids() == [first, second])
    assert service_state(in_process) == "running"
    runtime.reset_runtime()
    assert service_state(in_process) == "none"
    assert runtime.get_emitter() is not emitter


def test_home_without_room_for_signs_of_life_still_delivers(in_process, make_receiver):
    """A file where the heartbeat's folder should be keeps no event back."""
    receiver = make_receiver()
    in_process.target(receiver.url)
    in_process.login(receiver.url)
    (in_process.home.root / "background").write_text("")
    emitter = runtime.get_emitter()
    ids = [emitter.emit("HistoryAdded", "WP01", NOTE).event_id for _ in range(2)]
    wait_until(lambda: receiver.ids() == ids)
    assert runtime.get_sync_service().running
    assert service_state(in_process) == "none"


def test_server_restart_is_survived(in_process, make_receiver):
    """After a restart of the server every event is there exactly once, in order."""
    receiver = make_receiver()
    in_process.target(receiver.url)
    in_process.login(receiver.url)
    emitter = runtime.get_emitter()
    ids = [emitter.emit("HistoryAdded", "WP01", NOTE).event_id for _ in range(3)]
    wait_until(lambda: receiver.ids() == ids)
    receiver.stop(signal.SIGKILL)
    ids += [emitter.emit("HistoryAdded", "WP01", NOTE).event_id for _ in range(3)]
    receiver.start()
    wait_until(lambda: receiver.ids() == ids, within_s=30)
    ids.append(emitter.emit("HistoryAdded", "WP01", NOTE).event_id)
    wait_until(lambda: receiver.ids() == ids, within_s=30)


@pytest.mark.parametrize("text", ["sync:\n  auto_start: false\n", "sync: {auto_start: false}\n"])
def test_project_may_refuse_background_delivery(in_process, text):
    """`sync.auto_start: false` means that only commands deliver."""
    (in_process.project / CONFIG).write_text(text)
    runtime.get_emitter().emit("HistoryAdded", "WP01", NOTE)
    assert not runtime.get_runtime().started
    assert service_state(in_process) == "none"
    assert not runtime.auto_start_enabled()


@pytest.mark.parametrize("text", ["", "sync:\n  auto_start: true\n", "sync: [", "sync: 7\n"])
def test_background_delivery_is_on_by_default(in_process, text):
    """Nothing said, or nothing readable, means on."""
    (in_process.project / CONFIG).write_text(text)
    assert runtime.auto_start_enabled()


def test_start_is_idempotent_and_attaches_in_either_order(desk):
    """A second start changes nothing; the connection reaches the emitter whoever comes first."""
    from spec_kitty_sync.sync.emitting import open_emitter
    from spec_kitty_sync.sync.websocket import WebSocketClient

    with open_emitter(desk.settings) as emitter:
        made = runtime.SyncRuntime(settings=desk.settings)
        made.start()
        service = made.background_service
        made.start()
        assert made.background_service is service
        client = WebSocketClient("http://x", lambda: None, on_clock=lambda value: None)
        made.ws_client = client
        made.attach_emitter(emitter)
        assert emitter.ws_client is client
        made.stop()
        assert emitter.ws_client is None
        assert not made.started
        made.stop()


def test_short_command_delivers_at_its_end(desk, make_receiver):
    """A command that emits and ends at once has its events delivered when the server is near."""
    receiver = make_receiver()
    desk.target(receiver.url)
    desk.login(receiver.url)
    run_script(desk, 5)
    assert len(receiver.ids()) == 5
    assert service_state(desk) == "none"


@pytest.mark.parametrize("answers_health", [False, True])
def test_silent_server_never_holds_a_command_up(desk, answers_health):
    """With a server that takes a request and says nothing, a command ends within the bound."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if answers_health:
            threading.Thread(target=answer_health_only, args=(listener,), daemon=True).start()
        desk.target(f"http://127.0.0.1:{listener.getsockname()[1]}")
        quiet, _ = run_script(desk, 1, SPEC_KITTY_SYNC_MODE="LOCAL_RETENTION")
        took, _ = run_script(desk, 3, "import time; time.sleep(1)")
    assert took < quiet + 1 + STOP_BOUND_S + 20  # a request may take 60
    assert build_status(desk.settings).delivery_ledger.undelivered == 4


def answer_health_only(listener: socket.socket) -> None:
    """Answer GET, and keep every other connection open without a word."""
    kept = []
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            if connection.recv(65536).startswith(b"GET"):
                connection.sendall(b"HTTP/1.1 404 \r\nContent-Length: 2\r\n\r\n{}")
            kept.append(connection)


def test_stalled_connection_never_holds_the_end_up(in_process, make_receiver):
    """With a live connection that has gone silent, the end keeps to its bound as well."""
    receiver = make_receiver()
    wire = Wire(receiver.port)
    in_process.target(wire.url)
    in_process.login(wire.url)
    emitter = runtime.get_emitter()
    client = wait_until(lambda: emitter.ws_client)
    wait_until(lambda: client.connected)
    wire.stall()
    emitter.parts.on_waiting()
    began = time.monotonic()
    runtime.reset_runtime()
    assert time.monotonic() - began < STOP_BOUND_S + 6  # an answer is waited for 10
    wire.cut()


def test_killed_process_is_seen_and_its_events_are_delivered(desk, make_receiver):
    """A killed service shows as dead; what it had claimed is delivered by the next drain."""
    receiver = make_receiver()
    desk.target(receiver.url)
    desk.login(receiver.url)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPEC_KITTY_", "SK_"))}
    script = SCRIPT.format(n=3, after="import time; print('up', flush=True); time.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=desk.project,
        env={**clean, "SPEC_KITTY_HOME": str(desk.home.root)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    wait_until(lambda: service_state(desk) == "running")
    process.kill()
    process.wait()
    process.stdout.close()
    report = build_status(desk.settings, check=True)
    assert report.background.service.state == "dead"
    assert any(each.code == "service_dead" for each in report.attention)
    drain_home(desk.settings)
    assert len(receiver.ids()) == len(set(receiver.ids())) == 3


def test_forked_child_gets_an_emitter_of_its_own(desk):
    """After a fork the parent's emitter refuses, and get_emitter makes another."""
    after = """
    import os
    from spec_kitty_sync.errors import StoreError
    pid = os.fork()
    if pid == 0:
        try:
            emitter.emit_history_added("WP01", entry_type="note", entry_content="x")
            os._exit(1)
        except StoreError:
            other = get_emitter()
            other.emit_history_added("WP01", entry_type="note", entry_content="child")
            os._exit(0 if other is not emitter else 2)
    assert os.waitpid(pid, 0)[1] == 0
    emitter.emit_history_added("WP01", entry_type="note", entry_content="parent")
    """
    run_script(desk, 1, after, SPEC_KITTY_SYNC_MODE="LOCAL_RETENTION")
    assert build_status(desk.settings).event_journal.retained_event_count == 3


def test_fork_in_the_middle_of_other_threads_work_leaves_a_usable_child(desk):
    """Children that are forked while another thread writes all the time can write as well."""
    after = """
    import os, threading
    stop = threading.Event()
    def work():
        while not stop.wait(0.002):
            emitter.emit_history_added("WP01", entry_type="note", entry_content="busy")
    thread = threading.Thread(target=work)
    thread.start()
    for n in range(12):
        pid = os.fork()
        if pid == 0:
            get_emitter().emit_history_added("WP02", entry_type="note", entry_content="child")
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    stop.set()
    thread.join()
    """
    run_script(desk, 0, after, SPEC_KITTY_SYNC_MODE="LOCAL_RETENTION")


def test_team_of_the_login_stands_in_the_event(in_process, make_receiver):
    """Logged in, events carry the team; logged out, `local`."""
    receiver = make_receiver()
    in_process.target(receiver.url)
    in_process.login(receiver.url)
    assert runtime.is_authenticated()
    emitter = runtime.get_emitter()
    assert emitter.emit("HistoryAdded", "WP01", NOTE).team_slug == TEAM
    in_process.auth(receiver.url).logout()
    assert emitter.emit("HistoryAdded", "WP01", NOTE).team_slug == "local"
    assert not runtime.is_authenticated()


def test_next_login_gets_a_session_of_its_own(in_process, make_receiver):
    """The service opens another live session when somebody else logs in."""
    receiver = make_receiver()
    in_process.target(receiver.url, mode="EXTERNAL_RECEIVER")
    in_process.login(receiver.url)
    emitter = runtime.get_emitter()
    client = wait_until(lambda: emitter.ws_client)
    assert client.login == ("ada", TEAM)
    in_process.login(receiver.url, "bob")
    runtime.get_runtime().wake()
    wait_until(lambda: emitter.ws_client is not None and emitter.ws_client.login[0] == "bob")
    assert not client.connected


def test_watch_delivers_until_interrupted(desk, make_receiver):
    """`sync watch` delivers what comes, through an outage, and ends with the signal's code."""
    receiver = make_receiver()
    wire = Wire(receiver.port)
    desk.target(wire.url)
    desk.login(wire.url)
    wire.cut()
    desk.run("emit", "HistoryAdded", "--json", "-", stdin=json.dumps(NOTE))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPEC_KITTY_", "SK_"))}
    watch = subprocess.Popen(
        [sys.executable, "-m", "spec_kitty_sync", "sync", "watch"],
        cwd=desk.project,
        env={**clean, "SPEC_KITTY_HOME": str(desk.home.root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watch.stdout is not None
    wait_until(lambda: build_status(desk.settings).background.service.failures)
    wire.mend()
    wait_until(lambda: len(receiver.ids()) == 1, within_s=30)
    watch.send_signal(signal.SIGINT)
    output, _ = watch.communicate(timeout=15)
    assert watch.returncode == 130
    assert "offline" in output
    assert not list(Path(desk.home.root, "background").glob("*.json"))
    wire.cut()
