"""Addresses where no receiver can be judged: one clear sentence each, quickly, and no verdict."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from kit_runs import RunKit
from plain_receiver import PlainReceiver, serving
from rude_servers import page, raw_server

RUDE = {
    "silent": (None, 4, "no answer within 2 s"),
    "html": (
        page("200 OK"),
        1,
        "was answered HTTP 200 with text/html, not JSON: '<h1>Welcome</h1>'",
    ),
    "not found": (page("404 Not Found"), 4, "nothing takes batches at POST /api/v1/events/batch/"),
    "redirect": (page("302 Found"), 4, "nothing takes batches at POST /api/v1/events/batch/"),
    "forbidden": (page("403 Forbidden"), 4, "the receiver refused the token (HTTP 403)"),
    "no http": (b"220 mail.example ESMTP\r\n", 4, "connection broke before a complete answer"),
    "closes": (b"", 4, "connection broke before a complete answer"),
    "bad gateway": (page("502 Bad Gateway"), 4, "was answered HTTP 502 with text/html, not JSON"),
}


@pytest.mark.parametrize("name", RUDE)
def test_rude_server_gets_one_sentence(run_command: RunKit, name: str) -> None:
    """What is wrong with the address is said in one sentence, with a remedy, and soon."""
    answer, code, sentence = RUDE[name]
    started = time.monotonic()
    with raw_server(answer) as url:
        done = run_command("receiver", url, "--deadline", "2")
    assert done.returncode == code
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://example.invalid", "is not an http:// or https:// URL with a host"),
        ("example.invalid", "is not an http:// or https:// URL with a host"),
        ("http://user:secret@example.invalid", "must not carry a user"),
        ("http://no-such-host.invalid", "does not resolve"),
        ("http://127.0.0.1:1", "nothing accepts connections at http://127.0.0.1:1"),
    ],
)
def test_unusable_url_gets_one_sentence(run_command: RunKit, url: str, sentence: str) -> None:
    """A URL without a server, or none at all, ends the run with exit code 4."""
    done = run_command("receiver", url)
    assert done.returncode == 4
    assert sentence in done.stderr


def test_wrong_token_is_named_as_such(run_command: RunKit) -> None:
    """A receiver that refuses the token is not judged."""
    with serving(PlainReceiver()) as url:
        done = run_command("receiver", url, token="wrong")
    assert done.returncode == 4
    assert "the receiver refused the token (HTTP 401)" in done.stderr
    assert "wrong" not in done.stdout + done.stderr.replace("wrong token", "")


def test_token_variable_that_is_not_set_is_named(run_command: RunKit) -> None:
    """A token that is nowhere is a usage error, not a receiver without authentication."""
    done = run_command("receiver", "http://127.0.0.1:1", "--token-env", "NO_SUCH_VARIABLE")
    assert done.returncode == 4
    assert "NO_SUCH_VARIABLE, but that variable is not set" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("deadline", "nan", "--sk-deadline is a number from 0.001 to 86400, not 'nan'"),
        ("deadline", "0", "--sk-deadline is a number from 0.001 to 86400, not '0'"),
        ("rate", "nan", "--sk-rate is a number 0 (no limit), or from 0.001 to"),
        ("capabilities", "auth,nonsuch", "no capability 'nonsuch' that a check asks for; there"),
    ],
)
def test_unusable_value_is_named_with_its_remedy(
    run_pytest: RunKit, option: str, value: str, told: str
) -> None:
    """A value that means nothing ends with exit code 4 and what may stand there."""
    done = run_pytest("--sk-conformance=http://127.0.0.1:1", f"--sk-{option}={value}")
    assert done.returncode == 4
    assert told in done.stderr
    assert "nothing accepts connections" not in done.stderr


@pytest.mark.parametrize("subject", ["receiver", "producer"])
def test_report_folder_is_tried_before_anything_is_sent(
    run_command: RunKit, tmp_path: Path, subject: str
) -> None:
    """A file where the reports should go ends the run at once, not after it."""
    (tmp_path / "taken").write_text("mine")
    receiver = PlainReceiver()
    with serving(receiver) as url:
        named = url if subject == "receiver" else "spec-kitty"
        done = run_command(subject, named, "--report", "taken")
    assert done.returncode == 4
    assert "no report can be written to taken (File exists): give --report" in done.stderr
    assert receiver.stored == {}
    assert (tmp_path / "taken").read_text() == "mine"


class _Production(PlainReceiver):
    health: ClassVar[dict[str, Any]] = {"status": "ok", "environment_name": "production"}


def test_production_is_refused_before_anything_is_posted(run_command: RunKit) -> None:
    """A server that calls itself production gets no event unless that is asked for."""
    receiver = _Production()
    with serving(receiver) as url:
        done = run_command("receiver", url, "--profile", "first-light")
        assert done.returncode == 4
        assert "says that it is production" in done.stderr
        assert receiver.stored == {}
        done = run_command("receiver", url, "--profile", "first-light", "--allow-production")
    assert done.returncode == 0
