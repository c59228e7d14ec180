"""What the target registry promises."""

from __future__ import annotations

import pytest

from spec_kitty_sync._urls import canonical_url, is_loopback, origin, same_origin
from spec_kitty_sync.conformance.stub import each, result
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.history import rows_of
from spec_kitty_sync.delivery.targets import Deployment
from spec_kitty_sync.delivery.urls import batch_endpoint, external_endpoint
from spec_kitty_sync.errors import DeliveryBlockedError, TargetNotFoundError, TargetUrlError
from spec_kitty_sync.event_journal.corrections import Corrections


@pytest.mark.parametrize(
    "spelling",
    [
        "https://sync.example.org",
        "https://sync.example.org/",
        "HTTPS://Sync.Example.ORG:443",
        "https://sync.example.org.:443/",
    ],
)
def test_url_has_one_canonical_spelling(spelling):
    """Scheme, host case, default port and trailing slash make no other target."""
    assert canonical_url(spelling) == "https://sync.example.org"


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://bücher.example/", "https://xn--bcher-kva.example"),
        ("http://localhost:80/", "http://localhost"),
        ("http://localhost:8000/Path/", "http://localhost:8000/Path"),
        ("https://h/a?team=B", "https://h/a?team=B"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("http://127.0.0.1", "http://127.0.0.1"),
    ],
)
def test_url_keeps_what_matters(url, canonical):
    """IDNA, other ports, paths in their case, queries and IPv6 survive."""
    assert canonical_url(url) == canonical
    assert canonical_url(canonical) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sync.example.org",
        "ftp://h",
        "file:///etc/passwd",
        "https://",
        "https://user@h",
        "https://user:secret@h",
        "https://h#x",
        "https://h/\r\nX-Evil: 1",
        "https://h h",
        "https://h:99999",
        "https://h:x",
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://[::1",
        "https://" + "a" * 300 + ".example",
        "https://a..b/",
    ],
)
def test_url_that_is_not_safe_is_refused_without_repeating_it(url):
    """Credentials, odd schemes, line breaks and link-local addresses are refused by name."""
    with pytest.raises(TargetUrlError) as caught:
        canonical_url(url)
    assert "secret" not in caught.value.message
    assert "spec-kitty sync server" in caught.value.remedy


def test_endpoints_follow_from_the_url():
    """A server gets the batch path; an external endpoint with a path is used as given."""
    assert batch_endpoint("https://h/base/") == "https://h/base/api/v1/events/batch/"
    assert external_endpoint("https://h/") == "https://h/api/v1/events/batch/"
    assert external_endpoint("https://H/hook/?A") == "https://h/hook/?A"
    assert origin("https://h:443/x?y") == "https://h"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:1", True),
        ("http://a.localhost", True),
        ("http://127.9.9.9", True),
        ("http://[::1]", True),
        ("http://localhost.example.org", False),
        ("http://128.0.0.1", False),
    ],
)
def test_loopback_is_this_machine_only(url, local):
    """Only names and addresses that cannot leave the machine count as loopback."""
    assert is_loopback(url) is local


def test_target_is_one_per_url_user_and_team(bench):
    """The same identity is the same target, whatever the spelling; another team is another."""
    first = bench.registry.ensure("https://h/", team_slug="a", user_email="u")
    again = bench.registry.ensure("HTTPS://H:443", team_slug="a", user_email="u")
    other = bench.registry.ensure("https://h/", team_slug="b", user_email="u")
    assert again == first
    assert other.target_id != first.target_id
    assert bench.registry.all() == (first, other)
    assert bench.registry.find("https://h/") is None


def test_retired_target_keeps_its_history_and_comes_back(bench, stub):
    """Retiring changes nothing but the flag, both ways audited."""
    bench.append(2)
    bench.drain(stub.url)
    target = bench.target(stub.url)
    assert not bench.registry.retire(target.target_id).active
    assert bench.registry.restore(target.target_id).active
    assert set(bench.states(stub.url).values()) == {"delivered"}
    actions = [row[0] for row in bench.store.conn.execute("SELECT action FROM delivery_audit")]
    assert actions == ["retire", "restore"]
    with pytest.raises(TargetNotFoundError):
        bench.registry.retire(99)


def test_deployment_is_provenance_and_its_change_is_reported(bench):
    """Another deployment is no other target; another instance is reported as a possible reset."""
    target = bench.target("https://h")
    see = bench.registry.see_deployment
    assert see(target.target_id, Deployment()) is None
    assert see(target.target_id, Deployment("i1", "d1", "prod", "abc")) is None
    assert see(target.target_id, Deployment("i1", "d1", "prod", "abc")) is None
    bench.clock.advance(60)
    deployed = see(target.target_id, Deployment("i1", "d2", "prod", "def"))
    assert not deployed.reset_suspected
    reset = see(target.target_id, Deployment("i2", "d3", "prod", "def"))
    assert reset.reset_suspected
    assert reset.before.server_instance_id == "i1"
    history = bench.registry.deployments(target.target_id)
    assert [seen.deployment_id for _, seen in history] == ["d1", "d2", "d3"]
    assert bench.registry.ensure("https://h").target_id == target.target_id


def test_delivered_row_keeps_the_deployment_in_force(bench, stub):
    """A row says to which endpoint, user, team and deployment its event went."""
    identity = {"user_email": "ann@example.org", "team_slug": "red"}
    target = bench.target(stub.url, **identity)
    bench.registry.see_deployment(target.target_id, Deployment(deployment_id="d1"))
    bench.append()
    bench.drain(stub.url, target=target)
    bench.registry.see_deployment(target.target_id, Deployment(deployment_id="d2"))
    (row,) = rows_of(bench.store, 1)
    assert (row.state, row.deployment_id, row.user_email, row.team_slug) == (
        "delivered",
        "d1",
        "ann@example.org",
        "red",
    )
    assert row.endpoint == stub.url + "/api/v1/events/batch/"
    assert row.last_at == bench.clock.now_ms()


@pytest.mark.parametrize(
    "host",
    ["2852039166", "0xa9fea9fe", "169.254.43518", "169.254.169.254.", "[::ffff:169.254.169.254]"],
)
def test_address_in_disguise_is_refused(host):
    """A link-local address is refused in every spelling that a resolver understands."""
    with pytest.raises(TargetUrlError):
        canonical_url(f"http://{host}/")


def test_requests_go_to_the_host_that_the_token_belongs_to():
    """The endpoint's host is spelled as the target's: two IDNA rules never name two machines."""
    for url in ("https://straße.example/hook/", "https://☃.example/hook/"):
        assert external_endpoint(url).startswith(origin(url) + "/hook/")


def test_raised_limit_lets_go_what_was_too_large(bench, stub):
    """When a server takes larger events than before, those it takes now are open at once."""
    target = bench.target(stub.url)
    bench.registry.limit_events(target.target_id, 400)
    small, larger, huge = (bench.append(filler="x" * size)[0] for size in (0, 300, 3000))
    assert bench.drain(stub.url).held == {"too_large": 2}
    bench.registry.limit_events(target.target_id, 1000)
    bench.check()
    assert bench.states(stub.url) == {small: "delivered", larger: "open", huge: "held"}
    bench.registry.limit_events(target.target_id, None)
    assert bench.drain(stub.url).delivered == 2
    assert stub.seen_ids == [small, larger, huge]


def test_reset_is_seen_across_an_answer_that_says_less(bench):
    """What a server leaves out once is remembered: another instance after it is a reset."""
    target = bench.target("https://a.example.invalid")
    see = bench.registry.see_deployment
    see(target.target_id, Deployment("instance-a", "d1"))
    assert see(target.target_id, Deployment(None, "d1")) is None
    change = see(target.target_id, Deployment("instance-b", "d1"))
    assert change is not None
    assert change.reset_suspected


def test_retired_target_is_drained_by_nobody(bench, stub):
    """A drain of a retired target is refused and names the command that brings it back."""
    bench.append()
    target = bench.target(stub.url)
    bench.registry.retire(target.target_id)
    with pytest.raises(DeliveryBlockedError) as caught:
        bench.drain(stub.url)
    assert caught.value.remedy == f"Run `spec-kitty sync targets restore {target.target_id}`."
    assert stub.requests == []
    bench.registry.restore(target.target_id)
    assert bench.drain(stub.url).delivered == 1


def test_hold_and_release_do_not_revive_what_was_refused(bench, stub):
    """A parked event that is held and let go again stays parked: only `retry` sends it again."""
    (event_id,) = bench.append()
    stub.next(each(result("failed_permanent", "gone")))
    bench.drain(stub.url)
    facts = SqliteDeliveryFacts(bench.store)
    corrections = Corrections(bench.store, bench.journal, delivery=facts, clock=bench.clock)
    assert corrections.hold([event_id], "migration_conflict") == 1
    assert bench.states(stub.url) == {event_id: "terminal_failed"}
    assert corrections.release([event_id]) == 1
    bench.drain(stub.url)
    assert bench.states(stub.url) == {event_id: "terminal_failed"}
    assert len(stub.requests) == 1


def test_released_event_leaves_with_the_next_drain(bench, stub):
    """A hold that the mark has passed ends with the release."""
    (event_id,) = bench.append()
    facts = SqliteDeliveryFacts(bench.store)
    corrections = Corrections(bench.store, bench.journal, delivery=facts, clock=bench.clock)
    corrections.hold([event_id], "migration_conflict")
    assert bench.drain(stub.url).held == {"migration_conflict": 1}
    corrections.release([event_id])
    assert bench.drain(stub.url).delivered == 1


def test_same_origin_asks_for_scheme_host_and_port_in_any_spelling():
    """Case, default port, IDNA and a trailing dot make no difference; no other host is the same."""
    assert same_origin("HTTPS://Example.org./x?y", "https://example.org:443/")
    assert same_origin("https://k\u00fcche.example", "https://xn--kche-0ra.example/a")
    assert not same_origin("https://example.org", "http://example.org")
    assert not same_origin("https://example.org", "https://example.org:8443")
    assert not same_origin("no url", "no url")
