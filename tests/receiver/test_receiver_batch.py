"""What a batch is answered, over a real socket."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from receiver_server import Server, event, ulid

_NUMBERS = count(10_000)


def fresh(**changes: Any) -> dict[str, Any]:
    """Return a valid event that no test has sent before."""
    return event(next(_NUMBERS), **changes)


def one(server: Server, sent: Any) -> dict[str, Any]:
    """Return the result of *sent*, posted alone."""
    answer = server.post([sent])
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    assert isinstance(result, dict)
    return result


def test_batch_gzip_and_identity_are_taken(open_receiver: Server) -> None:
    """A batch is taken as plain JSON and as gzip, also in several members."""
    bodies = [json.dumps({"events": [fresh()]}).encode() for _ in range(3)]
    half = len(bodies[2]) // 2
    answers = [
        open_receiver.post_bytes(bodies[0]),
        open_receiver.post_bytes(gzip.compress(bodies[1]), Content_Encoding="GZIP"),
        open_receiver.post_bytes(
            gzip.compress(bodies[2][:half]) + gzip.compress(bodies[2][half:]),
            Content_Encoding="gzip",
        ),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert [result["status"] for result in answer.json()["results"]] == ["success"]


def test_batch_answers_each_event_on_its_own(open_receiver: Server) -> None:
    """One bad event changes no other's result, and there is one result per event, in order."""
    good, bad, last = fresh(), fresh(payload=None), fresh()
    sent = [good, bad, {"event_id": 7}, None, last, good]
    results = open_receiver.post(sent).json()["results"]
    assert [result["event_id"] for result in results] == [
        good["event_id"], bad["event_id"], None, None, last["event_id"], good["event_id"],
    ]  # fmt: skip
    assert [result["status"] for result in results] == [
        "success", "rejected", "rejected", "rejected", "success", "duplicate",
    ]  # fmt: skip
    assert "payload" in results[1]["error"]
    assert results[1]["error_category"] == "schema_mismatch"
    assert "error" not in results[0]


def test_batch_sent_again_is_duplicate(open_receiver: Server) -> None:
    """An id that was stored before is a duplicate, inside a larger batch too."""
    first, second = fresh(), fresh()
    assert open_receiver.statuses([first]) == ["success"]
    assert open_receiver.statuses([first, second]) == ["duplicate", "success"]


def test_batch_same_content_in_other_spelling_is_duplicate(open_receiver: Server) -> None:
    """Key order, blanks and escapes do not make another content."""
    sent = fresh(project_slug="über")
    assert open_receiver.statuses([sent]) == ["success"]
    turned = dict(reversed(sent.items()))
    body = json.dumps({"events": [turned]}, indent=1, ensure_ascii=False).encode()
    (result,) = open_receiver.post_bytes(body).json()["results"]
    assert result["status"] == "duplicate"


def test_batch_same_id_other_content_is_a_conflict(open_receiver: Server) -> None:
    """An id stored with other content is refused, and the first content stays."""
    sent = fresh()
    other = {**sent, "lamport_clock": 0}
    assert open_receiver.statuses([sent]) == ["success"]
    result = one(open_receiver, other)
    assert (result["status"], result["error_category"]) == ("rejected", "id_conflict")
    assert open_receiver.client.get(f"/api/v1/events/{sent['event_id']}/").json()["event"] == sent


def test_batch_conflict_inside_one_batch(open_receiver: Server) -> None:
    """The first of two contents under one id is stored, the second refused."""
    sent = fresh()
    assert open_receiver.statuses([sent, {**sent, "node_id": "x"}]) == ["success", "rejected"]


def test_batch_rejected_id_is_not_burnt(open_receiver: Server) -> None:
    """A corrected event under the id of a rejected one is a success."""
    sent = fresh()
    assert open_receiver.statuses([{**sent, "payload": []}]) == ["rejected"]
    assert open_receiver.statuses([sent]) == ["success"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'""', b"{}", b'{"events":{}}', b'{"events":[}', b"\xff",
        b'\xef\xbb\xbf{"events":[]}', b'{"events":[]}x', b'{"events":[1,]}', b'{"events":[NaN]}',
        b'{"events":[],"events":[]}', b'{"events":[1 2]}', b'{"events" []}', b'{events:[]}',
        b'{"events":[' + b"[" * 100_000, b'{"a":' * 100_000, b'{1:2}', b'{"events":[]}//',
    ],
)  # fmt: skip
def test_batch_that_is_no_batch_gets_400_with_details(open_receiver: Server, body: bytes) -> None:
    """Whatever is not `{"events": […]}` is answered 400 with error and details."""
    answer = open_receiver.post_bytes(body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert answer.json()["details"]


@pytest.mark.parametrize("cut", ["no gzip", "truncated", "bad crc", "empty"])
def test_batch_broken_gzip_gets_400_and_stores_nothing(open_receiver: Server, cut: str) -> None:
    """A body that is not whole gzip is answered 400, and nothing of it is stored."""
    sent = fresh()
    packed = gzip.compress(json.dumps({"events": [sent]}).encode())
    body = {
        "no gzip": b'{"events":[]}',
        "truncated": packed[:-4],
        "bad crc": packed[:-8] + b"\0\0\0\0" + packed[-4:],
        "empty": b"",
    }[cut]
    answer = open_receiver.post_bytes(body, Content_Encoding="gzip")
    assert answer.status_code == 400
    assert answer.json()["details"]
    assert open_receiver.statuses([sent]) == ["success"]


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "deflate"])
def test_batch_unknown_encoding_gets_415(open_receiver: Server, encoding: str) -> None:
    """Only gzip and identity are decoded; anything else is answered 415."""
    answer = open_receiver.post_bytes(b'{"events":[]}', Content_Encoding=encoding)
    assert answer.status_code == 415
    assert "gzip" in answer.headers["accept-encoding"]


def test_batch_media_type_may_have_parameters(open_receiver: Server) -> None:
    """`application/json` with parameters is JSON; `text/plain` is answered 415."""
    body = b'{"events":[]}'
    for media_type, status in [
        ("application/json; charset=utf-8", 200),
        ("Application/JSON; x=y", 200),
        ("text/plain", 415),
    ]:
        answer = open_receiver.post_bytes(body, Content_Type=media_type)
        assert answer.status_code == status
        assert answer.json() in ({"results": []}, {"error": "Content-Type is not application/json"})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_batch_wrong_method_gets_405(open_receiver: Server, method: str) -> None:
    """Only POST is allowed on the batch path, and the answer says so."""
    answer = open_receiver.client.request(method, "/api/v1/events/batch/")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"]


def test_batch_path_without_slash_stores_nothing(open_receiver: Server) -> None:
    """A wrong path is answered 404 as JSON, never 200 and never a redirect."""
    answer = open_receiver.client.post("/api/v1/events/batch", json={"events": [fresh()]})
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_batch_limit_of_events_is_exact(serve_receiver: Callable[..., Server]) -> None:
    """The advertised number of events is taken; one more is answered 413, nothing stored."""
    server = serve_receiver("--no-auth", "--max-batch-events", "3")
    events = [fresh() for _ in range(4)]
    assert server.client.get("/api/v1/sync/health/").json()["max_batch_events"] == 3
    assert server.post(events).status_code == 413
    assert server.statuses(events[:3]) == ["success"] * 3


def test_batch_limit_of_bytes_is_exact(serve_receiver: Callable[..., Server]) -> None:
    """A body of exactly the limit is taken, one byte more is answered 413."""
    server = serve_receiver("--no-auth", "--max-body-bytes", "2000")
    body = json.dumps({"events": [fresh()]}).encode()
    body += b" " * (2000 - len(body))
    assert server.post_bytes(body + b" ").status_code == 413
    assert server.post_bytes(gzip.compress(body + b" "), Content_Encoding="gzip").status_code == 413
    assert server.post_bytes(body).json()["results"][0]["status"] == "success"


def test_batch_oversize_event_fails_for_good(serve_receiver: Callable[..., Server]) -> None:
    """An event over the limit is `failed_permanent`; the others of its batch are stored."""
    server = serve_receiver("--no-auth", "--max-event-bytes", "1000")
    small, large = fresh(), fresh(project_slug="x" * 1000)
    results = server.post([large, small]).json()["results"]
    assert [result["status"] for result in results] == ["failed_permanent", "success"]
    assert "large" in results[0]["error"]


def test_batch_of_zeros_is_cut_off(open_receiver: Server) -> None:
    """A gzip body that unpacks to a gigabyte is answered 413, and the next request is served."""
    bomb = gzip.compress(b"\0" * (64 << 20), 9) * 16
    assert open_receiver.post_bytes(bomb, Content_Encoding="gzip").status_code == 413
    assert open_receiver.statuses([fresh()]) == ["success"]
    assert open_receiver.peak_mib() < 200


def test_batch_id_is_echoed_character_for_character(open_receiver: Server) -> None:
    """A refused id comes back exactly as it was sent."""
    ids = ["", "01arz3ndektsv4rrffq69g5fav", ulid(5) + "\n", "\ud800", "'; DROP TABLE x;--", "‮x"]
    results = open_receiver.post([event(event_id=each) for each in ids]).json()["results"]
    assert [result["event_id"] for result in results] == ids
    assert {result["status"] for result in results} == {"rejected"}


def test_batch_bytes_are_stored_as_they_came(open_receiver: Server) -> None:
    """Reading back gives the bytes of the event, its blanks and escapes included."""
    sent = fresh(project_slug="x")
    body = json.dumps(sent, indent=1).replace('"x"', '"\\u0078\\/ é"').encode()
    open_receiver.post_bytes(b'{"events":[ ' + body + b" ]}")
    answer = open_receiver.client.get(f"/api/v1/events/{sent['event_id']}/")
    assert body in answer.content


def test_batch_extra_keys_and_headers_are_ignored(open_receiver: Server) -> None:
    """Unknown top-level keys, headers and protocol versions change nothing."""
    body = json.dumps({"x": {"events": []}, "events": [fresh()], "y": [1]}).encode()
    answer = open_receiver.post_bytes(body, X_Spec_Kitty_Sync_Protocol="2.0", X_New="1")
    assert [result["status"] for result in answer.json()["results"]] == ["success"]
