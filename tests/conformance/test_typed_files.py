"""Adapters and baselines that are wrong in any way: one sentence, never a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit_runs import RunKit

from spec_kitty_sync.conformance.adapter import AdapterError, load_adapter
from spec_kitty_sync.conformance.baseline import BaselineError, load_baseline

ADAPTER = {
    "kind": '"producer"',
    "commands": '{ server = ["true"], emit = ["true"], drain = ["true"] }',
}
KNOWN = {"check": '"SKR-IDM-01"', "reason": '"x"', "expires": "2099-01-01"}
ADAPTER_KEYS = (
    "kind", "name", "capabilities", "commands", "options", "environment", "variants", "status",
    "copyable", "deadline_s", "lock_wait_s", "nonsense",
)  # fmt: skip
VALUES = (
    "true", "1", "-1", "0", "nan", "inf", "1e400", "9" * 400, '"x"', '""', '"\\u0000"', "[]",
    '["x"]', "[1]", "[[]]", "[[[]]]", '["auth"]', "{}", "{ a = 1 }", '{ a = "b" }', "{ a = {} }",
    "{ a = [] }", '{ emit = ["{no}"] }', "{ emit = 1 }", "[{}]", '[{ a = "b" }]', "07:00:00",
    "2027-12-31", "2027-12-31T00:00:00Z", "{ a.b.c.d.e.f = [{}] }",
)  # fmt: skip
wrong = st.sampled_from(VALUES)


def _adapter(path: Path, entries: dict[str, str]) -> str:
    """Return what the loader of adapters says of *entries*; nothing where it takes them."""
    path.write_text("".join(f"{key} = {value}\n" for key, value in entries.items()))
    try:
        load_adapter(path, "producer")
    except AdapterError as exc:
        return str(exc)
    return ""


def _baseline(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        load_baseline(path)
    except BaselineError as exc:
        return str(exc)
    return ""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a path that is written again for each example."""
    return tmp_path_factory.mktemp("typed") / "it.toml"


@given(changes=st.dictionaries(st.sampled_from(ADAPTER_KEYS), wrong, min_size=1))
@settings(deadline=None, max_examples=300)
def test_adapter_of_any_types_is_taken_or_refused_by_name(
    file: Path, changes: dict[str, str]
) -> None:
    """Whatever type a value has, the adapter is taken, or the text names the file."""
    told = _adapter(file, {**ADAPTER, **changes})
    assert not told or str(file) in told


@pytest.mark.parametrize("key", ADAPTER_KEYS)
@pytest.mark.parametrize("value", ["1979-05-27", "[[1]]"])
def test_adapter_names_the_key_of_a_wrong_type(file: Path, key: str, value: str) -> None:
    """No key takes a date or a nested list: file, key and remedy are told."""
    told = _adapter(file, {**ADAPTER, key: value})
    assert f"{file}: {key} is " in told
    assert "; " in told


@given(
    changes=st.dictionaries(st.sampled_from([*KNOWN, "case", "nonsense"]), wrong),
    whole=st.none() | wrong,
)
@settings(deadline=None, max_examples=300)
def test_baseline_of_any_types_is_taken_or_refused_by_name(
    file: Path, changes: dict[str, str], whole: str | None
) -> None:
    """Whatever type a value has, the baseline is taken, or the text names the file."""
    lines = "".join(f"{key} = {value}\n" for key, value in {**KNOWN, **changes}.items())
    told = _baseline(file, f"known = {whole}\n" if whole else f"[[known]]\n{lines}")
    assert not told or str(file) in told


@given(content=st.binary() | st.text(alphabet='[]{}="\n.a1-').map(str.encode))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_refused_by_name(file: Path, content: bytes) -> None:
    """A file of any bytes ends in the loader's own error, which names it."""
    file.write_bytes(content)
    with pytest.raises(AdapterError, match=re.escape(str(file))):
        load_adapter(file, "producer")
    told = _baseline(file, content)
    assert not told or str(file) in told


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 20_000, "a = " + "9" * 5000, "[" + "a." * 5000 + "a]"]
)
def test_document_too_deep_or_too_long_is_refused_by_name(file: Path, text: str) -> None:
    """Nesting and numbers beyond what can be read are told like any other mistake."""
    assert str(file) in _baseline(file, text)


_COMMANDS = '[commands]\nserver = ["true"]\nemit = ["true"]\ndrain = ["true"]\n'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'environment = ["A=1"]', "environment is ['A=1']; write a table: [environment]"),
        (b'variants = "no"', "variants is 'no'; write a table: [variants]"),
        (b'variants.disabled = "X=1"', "variants.disabled is 'X=1'; write a table"),
        (b'capabilities = "status"', "capabilities is 'status'; write a list of texts"),
        (b'deadline_s = "sixty"', "deadline_s is 'sixty'; write a number of seconds"),
        (b"# gr\xfc\xdfe", "byte 23 is not UTF-8: save it as UTF-8"),
    ],
)
def test_wrong_adapter_ends_with_one_sentence(
    tmp_path: Path, run_command: RunKit, content: bytes, told: str
) -> None:
    """The command names file, key, value and remedy, and ends with exit code 4."""
    path = tmp_path / "mine.toml"
    path.write_bytes(b'kind = "producer"\n' + content + b"\n" + _COMMANDS.encode())
    done = run_command("producer", str(path), token=None)
    assert done.returncode == 4
    assert told in done.stderr
    assert str(path) in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b'[[known]]\ncheck = "SKR-IDM-01"\nreason = "x"\nexpires = 2027-12-31T00:00:00Z',
            "known 1: expires is datetime",
        ),
        (
            b'[known]\ncheck = "SKR-IDM-01"\nreason = "x"\nexpires = 2027-12-31',
            "write each entry under a line [[known]]",
        ),
        (b"# gr\xfc\xdfe", "byte 5 is not UTF-8"),
    ],
)
def test_wrong_baseline_ends_with_one_sentence(
    tmp_path: Path, run_command: RunKit, content: bytes, told: str
) -> None:
    """The command names file, key, value and remedy before anything is asked."""
    path = tmp_path / "known.toml"
    path.write_bytes(content)
    done = run_command("receiver", "http://127.0.0.1:1", "--baseline", str(path))
    assert done.returncode == 4
    assert told in done.stderr
    assert str(path) in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
