"""How two contents of one id differ, place by place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec_kitty_sync._json import canonical
from spec_kitty_sync.sync.migrate_compare import classify, differences


@pytest.mark.parametrize(
    ("journal", "source", "found"),
    [
        ('{"a": 1}', '{"a": 1.0}', [("/a", "1", "1.0")]),
        ('{"a": 1e1}', '{"a": 10.0}', [("/a", "1e1", "10.0")]),
        ('{"a": 1}', '{"a": "1"}', [("/a", "1", '"1"')]),
        ('{"a": 1}', '{"a": true}', [("/a", "1", "true")]),
        ('{"a": null}', "{}", [("/a", "null", None)]),
        ('{"a": [1, 2]}', '{"a": [1, 3]}', [("/a/1", "2", "3")]),
        ('{"a/b~c": {"d": 1}}', '{"a/b~c": {"d": 2}}', [("/a~1b~0c/d", "1", "2")]),
        ('{"b": 1, "a": "\\u00e9"}', '{"a": "é", "b": 1}', []),
    ],
)
def test_differences_name_each_place_with_both_values(
    journal: str, source: str, found: list[tuple[str, str | None, str | None]]
) -> None:
    """Numbers keep their literal text, a missing key is None, order and escapes do not count."""
    seen = differences(journal.encode(), source.encode())
    assert [(each.pointer, each.journal, each.source) for each in seen] == found


def test_differences_of_broken_json_show_the_bytes() -> None:
    """Contents that no parser takes are shown whole."""
    (only,) = differences(b"{", b"\xff")
    assert (only.pointer, only.journal, only.source) == ("", "{", "\\xff")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"timestamp": "later"}, "volatile"),
        ({"git_branch": "x", "head_commit_sha": "y", "repo_slug": "z"}, "volatile"),
        ({"extra": None}, "volatile"),
        ({"timestamp": "later", "lamport_clock": 2}, "divergent"),
        ({"payload": {"timestamp": "later"}}, "divergent"),
        ({"payload": {"extra": None}}, "divergent"),
    ],
)
def test_class_of_a_difference_follows_its_places(changes: dict[str, object], kind: str) -> None:
    """Only facts of the moment at the top of the envelope are volatile."""
    base: dict[str, object] = {"event_id": "a", "timestamp": "now", "payload": {}}
    found = classify(json.dumps(base).encode(), json.dumps({**base, **changes}).encode())
    assert found == kind


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(left=st.dictionaries(st.text(max_size=2), _values), right=_values)
def test_differences_are_empty_exactly_for_equal_content(
    left: dict[str, object], right: object
) -> None:
    """No place differs if and only if the canonical contents are the same."""
    one, other = json.dumps(left).encode(), json.dumps({**left, "k": right}).encode()
    assert (not list(differences(one, other))) == (canonical(one) == canonical(other))
