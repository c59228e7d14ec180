"""A run of the receiver suite, as its users start it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kit_runs import RunKit, clean_environment
from plain_receiver import ForgetfulReceiver, PlainReceiver, serving

from spec_kitty_sync.conformance.catalogue import load_catalogue


def test_run_from_empty_folder_collects_the_packaged_suite(run_pytest: RunKit) -> None:
    """`pytest --sk-conformance=URL` without a path judges the receiver from any folder."""
    with serving(PlainReceiver()) as url:
        done = run_pytest(f"--sk-conformance={url}", "--sk-profile=first-light")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: conformant (profile first-light)" in done.stdout


def test_run_against_forgetful_receiver_says_what_it_forgets(run_pytest: RunKit) -> None:
    """A receiver that forgets ids fails with requirement, request, answer and meaning."""
    with serving(ForgetfulReceiver()) as url:
        done = run_pytest(f"--sk-conformance={url}", "--sk-only=SKR-IDM-01")
    assert done.returncode == 1
    for piece in (
        "SKR-IDM-01  MUST",
        "requirement  CONTRACT 5:",
        "POST /api/v1/events/batch/  (3 events,",
        "answered     200 application/json",
        "the receiver forgets which ids it stored",
        "verdict: not conformant",
    ):
        assert piece in done.stdout


class CreatedReceiver(PlainReceiver):
    """Answers a batch 201."""

    def answer(self, token: str | None, encoding: str | None, body: bytes) -> tuple[int, Any]:
        """Return the answer with another word for success."""
        status, content = super().answer(token, encoding, body)
        return (201 if status == 200 else status), content


def test_not_run_names_the_failure_at_the_root(run_command: RunKit) -> None:
    """What stands on a check that did not run itself is told what failed, not the next link."""
    with serving(CreatedReceiver()) as url:
        done = run_command("receiver", url, "--only", "SKR-TRN-01,SKR-ROB-01,SKR-ERR-01")
    assert done.returncode == 1
    reasons = re.findall(r"^not run \(\d+\): (.*)$", done.stdout, re.MULTILINE)
    assert reasons == ["prerequisite SKR-TRN-01 failed"], done.stdout
    assert "only 200 tells the sender so" in done.stdout


def test_command_sums_up_failures_by_check(run_command: RunKit) -> None:
    """The last lines name the checks that failed, not the place where the kit is installed."""
    with serving(ForgetfulReceiver()) as url:
        done = run_command("receiver", url, "--only", "SKR-IDM-01")
    assert re.search(r"^FAILED SKR-IDM-01\b", done.stdout, re.MULTILINE), done.stdout


def test_run_says_all_that_was_not_asked(run_command: RunKit) -> None:
    """Every capability that is not declared stands in the conclusion; durability by its name."""
    rows = load_catalogue().requirements
    gates = {row.capability: row.id for row in rows if row.capability not in {"", "auth"}}
    with serving(PlainReceiver()) as url:
        done = run_command("receiver", url, "--only", ",".join(gates.values()))
    for capability in gates:
        assert f": the receiver does not declare '{capability}'" in done.stdout
    assert "durability was not asked: the receiver does not declare 'restart-hook'" in done.stdout


def test_run_never_prints_the_token(run_pytest: RunKit) -> None:
    """The token stands nowhere in what a run prints, failures included."""
    with serving(ForgetfulReceiver()) as url:
        done = run_pytest(f"--sk-conformance={url}", token="plain-secret")
    assert "plain-secret" not in done.stdout + done.stderr


def test_run_without_token_says_which_option_to_give(run_pytest: RunKit) -> None:
    """A receiver that asks for a token ends the run with one sentence and exit code 4."""
    with serving(PlainReceiver()) as url:
        done = run_pytest(f"--sk-conformance={url}", token=None)
    assert done.returncode == 4
    assert "asks for a token (HTTP 401). Set SK_TOKEN, or name" in done.stderr
    assert "with --sk-token-env NAME." in done.stderr


def test_command_names_options_that_it_has(run_command: RunKit) -> None:
    """A remedy of `spec-kitty conformance receiver` can be typed as it stands."""
    with serving(PlainReceiver()) as url:
        locked = run_command("receiver", url, token=None)
        unknown = run_command("receiver", url, "--only", "SKR-XXX-99")
    assert "Set SK_TOKEN, or name the variable of the token with --token-env" in locked.stderr
    assert "--list shows all" in unknown.stderr
    assert "--sk-" not in locked.stderr + unknown.stderr


def test_run_against_closed_port_names_the_address(run_pytest: RunKit) -> None:
    """An address where nobody listens is named, and nothing is called conformant."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    done = run_pytest(f"--sk-conformance=http://127.0.0.1:{port}")
    assert done.returncode == 4
    assert f"nothing accepts connections at http://127.0.0.1:{port}" in done.stderr


def test_deselected_core_check_makes_the_verdict_incomplete(run_pytest: RunKit) -> None:
    """A run that left checks out is never called conformant."""
    with serving(PlainReceiver()) as url:
        done = run_pytest(f"--sk-conformance={url}", "-k", "SKR-IDM-01")
    assert done.returncode == 4
    assert "verdict: incomplete" in done.stdout


def test_plugin_without_options_imports_nothing_heavy(tmp_path: Path) -> None:
    """An ordinary pytest run pays nothing for the installed kit."""
    (tmp_path / "test_ordinary.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    ours = {name for name in sys.modules if name.startswith('spec_kitty_sync')}\n"
        "    assert ours == {'spec_kitty_sync', 'spec_kitty_sync.conformance',"
        " 'spec_kitty_sync.conformance.plugin'}, ours\n"
        "    assert not {'httpx', 'pydantic', 'hypothesis', 'ulid'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "spec_kitty_sync.conformance.plugin"],
        cwd=tmp_path,
        env=clean_environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("workers", [pytest.param("0", marks=pytest.mark.proof), "2"])
def test_verdict_is_the_same_with_workers(run_pytest: RunKit, workers: str) -> None:
    """xdist workers judge the same receiver, and the controller sums up what they found."""
    with serving(ForgetfulReceiver()) as url:
        done = run_pytest(
            "-p", "xdist.plugin", "-n", workers, f"--sk-conformance={url}", "--sk-seed=1"
        )
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "SKR-IDM-01" in done.stdout
    assert "verdict: not conformant" in done.stdout
