"""The suite inside projects that configure pytest their own way, or against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit_runs import RunKit
from plain_receiver import ForgetfulReceiver, PlainReceiver, serving


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a project that has a failing test of its own, which must never run."""
    (tmp_path / "test_mine.py").write_text("def test_mine():\n    assert False, 'MINE RAN'\n")
    return tmp_path


@pytest.fixture
def url() -> Iterator[str]:
    """Yield the URL of a receiver that passes the first-light checks."""
    with serving(PlainReceiver()) as address:
        yield address


def first_light(run: RunKit, url: str, *more: str) -> tuple[int, str]:
    done = run(f"--sk-conformance={url}", "--sk-profile=first-light", *more)
    assert "MINE RAN" not in done.stdout
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "ini",
    [
        "python_files = *.py\npython_functions = *\n",
        "testpaths = .\n",
        "addopts = --strict-markers --strict-config -W error\n",
        "addopts = --import-mode=importlib -p no:cacheprovider\n",
        "addopts = -q --no-header --tb=no\n",
    ],
)
def test_host_configuration_changes_nothing(
    host: Path, run_pytest: RunKit, url: str, ini: str
) -> None:
    """How a project collects its own tests does not matter to the suite."""
    (host / "pytest.ini").write_text(f"[pytest]\n{ini}")
    code, text = first_light(run_pytest, url)
    assert code == 0, text
    assert "verdict: conformant (profile first-light)" in text


@pytest.mark.parametrize("option", ["-m slow", "-k nothing_like_it", "--deselect=::SKR-IDM-01"])
def test_host_selection_makes_the_verdict_incomplete(
    host: Path, run_pytest: RunKit, url: str, option: str
) -> None:
    """Options that leave checks out are named, and the verdict is not conformant."""
    (host / "pytest.ini").write_text(
        f"[pytest]\naddopts = {option}\nmarkers =\n    slow: takes time\n"
    )
    code, text = first_light(run_pytest, url)
    if "0 deselected" in text or "deselected" not in text:
        pytest.skip("this pytest names the item differently")
    assert code == 4, text
    assert "verdict: incomplete" in text
    assert "of the host project applies to the suite as well" in text


@pytest.mark.parametrize(("option", "most"), [("-x", "1 failure"), ("--maxfail=2", "2 failures")])
def test_host_that_stops_early_is_named_and_never_conformant(
    host: Path, run_pytest: RunKit, option: str, most: str
) -> None:
    """`-x` of the host stands in the header; what it kept from running is told by that cause."""
    (host / "pytest.ini").write_text(f"[pytest]\naddopts = {option}\n")
    with serving(ForgetfulReceiver()) as url:
        code, text = first_light(run_pytest, url)
        assert f"note: {option} of the host project ends the suite after {most}" in text
        code, text = first_light(run_pytest, url, "--sk-profile=core")
    assert code == 1
    assert f"left no result: the run ended early: stopping after {most}" in text


@pytest.mark.parametrize(
    "conftest",
    [
        "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        item.add_marker(pytest.mark.skip(reason='not today'))\n",
        "def pytest_collection_modifyitems(items):\n    items.clear()\n",
        "def pytest_collection_modifyitems(items):\n    del items[3:]\n",
        "import pytest\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_runtest_protocol(item):\n    return True\n",
    ],
    ids=["skips all", "drops all", "drops most", "runs nothing"],
)
def test_host_hooks_cannot_make_it_green_by_not_running(
    host: Path, run_pytest: RunKit, url: str, conftest: str
) -> None:
    """Whatever a conftest keeps from running is missing from the verdict."""
    (host / "conftest.py").write_text(conftest)
    code, text = first_light(run_pytest, url)
    assert code == 4, text
    assert "verdict: incomplete" in text


def test_host_hook_cannot_turn_failures_into_passes(host: Path, run_pytest: RunKit) -> None:
    """The verdict is made of what the checks found, not of what reports were changed into."""
    (host / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.hookimpl(hookwrapper=True)\n"
        "def pytest_runtest_makereport(item, call):\n"
        "    report = (yield).get_result()\n"
        "    report.outcome = 'passed'\n"
    )
    with serving(ForgetfulReceiver()) as url:
        code, text = first_light(run_pytest, url)
    assert code == 1, text
    assert "verdict: not conformant" in text


def test_host_cannot_ignore_the_suite(host: Path, run_pytest: RunKit, url: str) -> None:
    """A conftest that ignores every file of its project does not reach the suite's."""
    (host / "conftest.py").write_text("def pytest_ignore_collect():\n    return True\n")
    code, text = first_light(run_pytest, url)
    assert code == 0, text


@pytest.mark.parametrize("named", ["test_mine.py", "test_mine.py::test_mine", "no_such_file.py"])
def test_tests_named_beside_the_suite_are_refused(
    host: Path, run_pytest: RunKit, url: str, named: str
) -> None:
    """Tests that would be dropped in silence end the run with 4 and the way out."""
    code, text = first_light(run_pytest, url, named)
    assert code == 4, text
    assert f"{named} would not run" in text
    assert "Leave the path out" in text


def test_tests_named_by_the_host_configuration_are_listed(
    host: Path, run_pytest: RunKit, url: str
) -> None:
    """What the ini file names does not stop the suite; the header says that it is not run."""
    (host / "pytest.ini").write_text("[pytest]\naddopts = test_mine.py\n")
    code, text = first_light(run_pytest, url)
    assert code == 0, text
    assert "1 argument of the host project not run: test_mine.py" in text


def test_workers_run_the_suite_and_not_the_host(host: Path, run_pytest: RunKit, url: str) -> None:
    """xdist workers collect the suite too, never the tests of the project."""
    code, text = first_light(run_pytest, url, "-p", "xdist.plugin", "-n", "2")
    assert code == 0, text


def test_reruns_of_the_host_are_named_and_never_conformant(
    host: Path, run_pytest: RunKit, url: str
) -> None:
    """A host that repeats failing checks is told so, and its verdict is incomplete."""
    (host / "pytest.ini").write_text("[pytest]\naddopts = -p pytest_rerunfailures --reruns 2\n")
    code, text = first_light(run_pytest, url)
    assert code == 4, text
    assert "--reruns of the host project repeats failing checks" in text
    assert "verdict: incomplete" in text


def test_random_order_changes_nothing(run_pytest: RunKit, url: str) -> None:
    """Checks do not lean on each other: prerequisites run first in any order."""
    code, text = first_light(run_pytest, url, "-p", "pytest_randomly", "-p", "no:cacheprovider")
    assert code == 0, text


def test_isolated_command_ignores_the_host(host: Path, run_command: RunKit, url: str) -> None:
    """`spec-kitty conformance receiver` is out of reach of configuration and conftest."""
    (host / "pytest.ini").write_text("[pytest]\naddopts = -m slow --no-such-option\n")
    (host / "conftest.py").write_text("raise RuntimeError('imported')\n")
    done = run_command("receiver", url, "--profile", "first-light")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: conformant" in done.stdout
