"""What is built is what works: the wheel alone, in a new virtualenv, from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from terminal import TOKEN, Receiver

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ROOT / "tests" / "conformance"

pytestmark = pytest.mark.xdist_group("wheel")


def clean_environment(**extra: str) -> dict[str, str]:
    """Return the environment without the clone and without anything of ours."""
    dropped = ("PYTEST", "SK_", "SPEC_KITTY", "PYTHONPATH", "COV_", "VIRTUAL_ENV")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return {**kept, **extra}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel once."""
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)],
        check=True, capture_output=True, env=clean_environment(),
    )  # fmt: skip
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel with its conformance extra; return the virtualenv's bin folder."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", f"{wheel}[conformance]"],
        check=True, capture_output=True, env=clean_environment(),
    )  # fmt: skip
    return folder / "bin"


def test_wheel_carries_schemas_suites_and_fixtures(wheel):
    """Schemas, conformance suites and fixtures travel inside the wheel, tests do not."""
    names = zipfile.ZipFile(wheel).namelist()
    for part in ("schemas/event.schema.json", "conformance/requirements/1.0.toml",
                 "fixtures/manifest.json"):  # fmt: skip
        assert f"spec_kitty_sync/_shared/{part}" in names
    assert not [name for name in names if name.startswith("tests")]


def judge(installed: Path, folder: Path, url: str, token: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    return subprocess.run(
        [installed / "pytest", f"--sk-conformance={url}"],
        cwd=folder, env=clean_environment(SK_TOKEN=token), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


def test_installed_kit_finds_the_reference_receiver_conformant(
    installed, receiver: Receiver, tmp_path
):
    """From an empty folder, with nothing but the wheel, the reference receiver passes."""
    done = judge(installed, tmp_path / "empty", receiver.url, TOKEN)
    assert done.returncode == 0, done.stdout
    assert "verdict: conformant" in done.stdout


def test_installed_kit_names_what_a_forgetful_receiver_does_wrong(installed, tmp_path):
    """A receiver that forgets ids fails, and the text says so with request and answer."""
    sys.path.insert(0, str(PLAIN))
    try:
        import plain_receiver
    finally:
        sys.path.remove(str(PLAIN))
    with plain_receiver.serving(plain_receiver.ForgetfulReceiver()) as url:
        done = judge(installed, tmp_path / "empty", url, plain_receiver.TOKEN)
    assert done.returncode == 1
    assert "the receiver forgets which ids it stored" in done.stdout
    assert "POST /api/v1/events/batch/" in done.stdout
    assert plain_receiver.TOKEN not in done.stdout
