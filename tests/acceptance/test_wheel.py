"""What is built is what works: the wheel alone, in a new virtualenv, from an empty folder."""

from __future__ import annotations

import email
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import installing
import pytest
from installing import Installed, clean_environment, install
from terminal import TOKEN, Receiver

from spec_kitty_sync import __version__
from spec_kitty_sync._extras import EXTRAS

PLAIN = installing.ROOT / "tests" / "conformance"
SHARED = ("schemas", "conformance", "fixtures")
REFUSED = (
    ("receiver serve --no-auth", "receiver", 2),
    ("receiver user list --database postgresql://nobody@127.0.0.1/none", "postgres", 2),
    ("conformance receiver http://127.0.0.1:9", "conformance", 4),
    ("conformance receiver --list", "conformance", 4),
    ("conformance producer spec-kitty", "conformance", 4),
    ("conformance migration", "conformance", 4),
    ("conformance mutants", "conformance,receiver", 4),
    ("conformance mutants --suite producer", "conformance", 4),
)
IMPORTS = {
    "spec_kitty_sync.testing.strategies": "conformance",
    "spec_kitty_sync.conformance.stub": "conformance",
    "spec_kitty_sync.receiver.serve": "receiver",
}

pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="session")
def bare(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel without any extra."""
    return install(next(built.glob("*.whl")), tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="session")
def kit(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel with the extra of the kit."""
    folder = tmp_path_factory.mktemp("kit")
    return install(next(built.glob("*.whl")), folder, extras="conformance")


@pytest.fixture(scope="session")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob("*.whl")))


@pytest.fixture(scope="session")
def tracked() -> list[str]:
    """The files that git knows."""
    done = subprocess.run(
        ["git", "ls-files"], cwd=installing.ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_wheel_carries_every_shared_file_and_the_source_alone(wheel, tracked):
    """Schemas, suites and fixtures travel inside the wheel, whole; tests and scripts do not."""
    shared = {f"spec_kitty_sync/_shared/{one}" for one in tracked if one.startswith(SHARED)}
    source = {one.removeprefix("src/") for one in tracked if one.startswith("src/")}
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == shared | source
    assert "spec_kitty_sync/py.typed" in names


def test_sdist_carries_what_is_tracked_and_nothing_else(built, tracked):
    """The sdist is the repository: what git does not know is not in it."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names == {one for one in tracked if not one.startswith(".ci/")} | {"PKG-INFO"}


def test_wheel_names_no_folder_of_the_machine_it_was_built_on(wheel):
    """No file of the wheel knows where it was built."""
    here = str(installing.ROOT).encode()
    assert not [name for name in wheel.namelist() if here in wheel.read(name)]


def test_metadata_says_version_licence_and_extras_as_the_code_does(wheel):
    """One version, one licence with its text, and the extras that the code names."""
    folder = f"spec_kitty_sync-{__version__}.dist-info"
    metadata = email.message_from_file(io.StringIO(wheel.read(f"{folder}/METADATA").decode()))
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "MIT"
    assert b"MIT License" in wheel.read(f"{folder}/licenses/LICENSE")
    assert set(metadata.get_all("Provides-Extra")) == set(EXTRAS)
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["Requires-Python"] == ">=3.11"


def test_runtime_works_without_any_extra(bare, receiver: Receiver):
    """Emit, migrate, deliver and status need no extra."""
    installing.use_runtime(bare, receiver.url)
    assert installing.use_live(bare) == "not live"


@pytest.mark.parametrize(("command", "extra", "code"), REFUSED)
def test_command_without_its_extra_says_which_to_install(bare, command, extra, code):
    """What needs an extra refuses in one sentence with the command that installs it."""
    said = bare.kitty(*command.split(), code=code)
    assert f"pip install 'spec-kitty-sync[{extra}]'" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("module", IMPORTS)
def test_import_without_its_extra_says_which_to_install(bare, module):
    """Who imports what needs an extra is told which, by an ImportError."""
    done = bare.run("python", "-c", f"import {module}")
    last = done.stderr.splitlines()[-1]
    assert f"pip install 'spec-kitty-sync[{IMPORTS[module]}]'" in last


def judge(kit: Installed, folder: Path, url: str, token: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    return subprocess.run(
        [kit.bin / "pytest", f"--sk-conformance={url}"],
        cwd=folder, env=clean_environment(SK_TOKEN=token), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


def test_installed_kit_finds_the_reference_receiver_conformant(kit, receiver: Receiver, tmp_path):
    """From an empty folder, with nothing but the wheel, the reference receiver passes."""
    done = judge(kit, tmp_path / "empty", receiver.url, TOKEN)
    assert done.returncode == 0, done.stdout
    assert "verdict: conformant" in done.stdout


def test_installed_kit_names_what_a_forgetful_receiver_does_wrong(kit, tmp_path):
    """A receiver that forgets ids fails, and the text says so with request and answer."""
    sys.path.insert(0, str(PLAIN))
    try:
        import plain_receiver
    finally:
        sys.path.remove(str(PLAIN))
    with plain_receiver.serving(plain_receiver.ForgetfulReceiver()) as url:
        done = judge(kit, tmp_path / "empty", url, plain_receiver.TOKEN)
    assert done.returncode == 1
    assert "the receiver forgets which ids it stored" in done.stdout
    assert "POST /api/v1/events/batch/" in done.stdout
    assert plain_receiver.TOKEN not in done.stdout


def test_plugin_beside_a_bare_pytest_says_which_extra_to_install(tmp_path):
    """Where pytest came from elsewhere, the kit's options refuse with the command that helps."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['hypothesis'] = None\n", encoding="utf-8"
    )
    path = f"{tmp_path}:{installing.ROOT / 'src'}"
    env = clean_environment(PYTHONPATH=path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "spec_kitty_sync.conformance.plugin", "--sk-list"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "pip install 'spec-kitty-sync[conformance]'" in done.stderr


OWN_CONFTEST = """
import pytest

@pytest.fixture
def mine():
    return "mine"
"""
OWN_TESTS = """
import json
import os

from hypothesis import given, settings

from spec_kitty_sync.testing import strategies


def test_every_fixture(
    mine, sk_home, sk_journal, sk_emitter, sk_event, sk_legacy_queue, sk_receiver
):
    assert os.environ["SPEC_KITTY_HOME"] == str(sk_home)
    event = sk_emitter.emit("HistoryAdded", "WP01", sk_event().payload)
    assert [one.event_id for one in sk_journal.read()] == [event.event_id]
    assert sk_legacy_queue(sk_event()).is_file()
    assert sk_receiver.url.startswith("http://127.0.0.1:")


@settings(max_examples=5, deadline=None)
@given(
    strategies.payloads("WPCreated"), strategies.events(), strategies.batches(3),
    strategies.plural_sources(),
)
def test_every_strategy(payload, event, batch, sources):
    assert payload[0] == "WPCreated"
    assert json.dumps([event, batch, sources])
"""


def test_fixtures_and_strategies_serve_another_project(kit):
    """A project with a conftest of its own uses every fixture and strategy, and no other plugin."""
    project = kit.folder / "project"
    project.mkdir(exist_ok=True)
    (project / "conftest.py").write_text(OWN_CONFTEST, encoding="utf-8")
    (project / "test_mine.py").write_text(OWN_TESTS, encoding="utf-8")
    done = kit.run("pytest", "-q", "-W", "error", "--strict-markers", "test_mine.py")
    assert "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.proof
def test_installed_kit_finds_tools_that_are_broken(kit):
    """The small tools and their faults travel with the kit."""
    for suite, fault in (("producer", "missing-is-success"), ("migration", "last-wins")):
        said = kit.kitty("conformance", "mutants", "--suite", suite, "--only", fault)
        assert "nothing held against it" in said
        assert "score: 1 of 1 mutants killed (100.0 %)" in said
