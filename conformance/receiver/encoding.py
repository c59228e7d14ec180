"""ENC: what the bytes of a body may look like."""

import gzip
import io
import zlib

from spec_kitty_sync.conformance.builder import batch_bytes
from spec_kitty_sync.conformance.meaning import BODY_BLURRED, TAKES_DOWN
from spec_kitty_sync.conformance.probe import REFUSED, TAKEN, Probe
from spec_kitty_sync.conformance.suite import Case, check

_TEXTS = {
    "umlauts": "Größe übermäßig",
    "emoji": "ship it 🚀👩‍👩‍👧‍👦",
    "combining": "e\u0301 a\u0308",
    "right-to-left": "\u202eשלום مرحبا\u202c",
    "four-bytes": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠜎",
    "nul": "before\u0000after",
    "controls": "\u0001\u001b[31m\u007f",
    "line-separators": "a\u2028b\u2029c",
    "noncharacter": "\uffff\ufdd0",
}


@check("SKR-ENC-02")
def identity_is_accepted(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    reply = probe.post([event], encoding=None, note="no compression")
    probe.taken(reply, [event], "the receiver takes gzip only")


def _members(body: bytes) -> bytes:
    half = len(body) // 2
    return gzip.compress(body[:half]) + gzip.compress(body[half:])


def _named(body: bytes) -> bytes:
    stream = io.BytesIO()
    with gzip.GzipFile("batch.json", "wb", 9, stream, mtime=1_700_000_000) as packed:
        packed.write(body)
    return stream.getvalue()


@check(
    "SKR-ENC-03",
    Case("level-0", {"pack": lambda body: gzip.compress(body, 0)}),
    Case("level-9", {"pack": lambda body: gzip.compress(body, 9)}),
    Case("two-members", {"pack": _members}),
    Case("file-name-and-time", {"pack": _named}),
)
def every_legal_gzip_is_accepted(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    reply = probe.post(body=case["pack"](batch_bytes([event])), encoding="gzip", packed=True)
    probe.taken(reply, [event], f"gzip of this form ({case.name}) is not understood")


def _bad_sum(body: bytes) -> bytes:
    packed = bytearray(gzip.compress(body))
    packed[-8] ^= 0xFF
    return bytes(packed)


@check(
    "SKR-ENC-04",
    Case("plain-json", {"pack": lambda body: body}),
    Case("truncated", {"pack": lambda body: gzip.compress(body)[:-12]}),
    Case("half", {"pack": lambda body: gzip.compress(body)[: len(body) // 4]}),
    Case("wrong-checksum", {"pack": _bad_sum}),
    Case("zlib", {"pack": zlib.compress}),
    Case("nothing", {"pack": lambda body: b""}),
    Case("noise-after", {"pack": lambda body: gzip.compress(body) + b"\x1f\x8bnoise"}),
)
def broken_gzip_is_400(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    reply = probe.post(
        body=case["pack"](batch_bytes([event])),
        encoding="gzip",
        packed=True,
        note=f"Content-Encoding: gzip, body: {case.name}",
    )
    means = {"2xx": "bytes that are no gzip get past the decoder", "5xx": TAKES_DOWN}
    reply.expect_error(400, 415, means={**means, "": BODY_BLURRED})
    probe.taken(
        probe.post([event], note="the same event, sound"),
        [event],
        {"duplicate": "part of the broken upload was stored"},
    )


@check("SKR-ENC-05", Case("br"), Case("gzip, gzip"), Case("zstd"))
def unknown_encoding_is_415(probe: Probe, case: Case) -> None:
    body = batch_bytes(probe.make.events(1))
    reply = probe.post(body=body, encoding=case.name, packed=True)
    means = {"2xx": "an encoding that it cannot read is parsed all the same", "5xx": TAKES_DOWN}
    reply.expect_status(400, 415, means={**means, "": BODY_BLURRED})


@check("SKR-ENC-06", *(Case(name, {"text": text}) for name, text in _TEXTS.items()))
def text_of_every_script_is_answered(probe: Probe, case: Case) -> None:
    event = probe.make.event("HistoryAdded")
    event["payload"]["entry_content"] = case["text"]
    reply = probe.post([event], note=case.name)
    row = reply.expect_outcome(event, TAKEN | REFUSED, "one unusual character stops the batch")
    if row["status"] in REFUSED and case.name in {"umlauts", "emoji", "right-to-left"}:
        means = f"ordinary text ({case.name}) is refused"
        raise reply.fail("ordinary text is taken", means=means, about=event["event_id"])


@check(
    "SKR-ENC-07",
    Case("invalid-utf-8", {"old": b"Looked", "new": b"Look\xff\xfeed"}),
    Case("latin-1", {"old": b"Looked", "new": b"Gr\xf6\xdfe"}),
    Case("lone-surrogate", {"old": b"Looked", "new": b"\\ud800 Looked"}),
    Case("surrogates-swapped", {"old": b"Looked", "new": b"\\udc00\\ud800"}),
    Case("byte-order-mark", {"old": b'{"events"', "new": b'\xef\xbb\xbf{"events"'}),
    Case("encoded-surrogate", {"old": b"Looked", "new": b"\xed\xa0\x80"}),
)
def broken_text_is_refused_not_500(probe: Probe, case: Case) -> None:
    event = probe.make.event("HistoryAdded")
    body = batch_bytes([event]).replace(case["old"], case["new"])
    reply = probe.post(body=body, note=case.name)
    reply.expect_status(200, 400, 415, 422, means=f"{case.name}: it takes the receiver down")
    lenient = case.name in {"lone-surrogate", "surrogates-swapped", "byte-order-mark"}
    if reply.status == 200 and lenient:
        reply.expect_outcome(event, TAKEN | REFUSED)
    elif reply.status == 200 and reply.status_of(event["event_id"]) not in REFUSED:
        means = "bytes that are no UTF-8 are stored as text"
        raise reply.fail("HTTP 400, or status rejected", means=means, about=event["event_id"])


@check(
    "SKR-ENC-08",
    Case("NaN", {"old": b'"lamport_clock":1,', "new": b'"lamport_clock":1,"x":NaN,'}),
    Case("Infinity", {"old": b'"lamport_clock":1,', "new": b'"lamport_clock":1,"x":Infinity,'}),
    Case("trailing-comma", {"old": b"}]}", "new": b"},]}"}),
    Case("comment", {"old": b'{"events"', "new": b'/* batch */{"events"'}),
    Case("single-quotes", {"old": b'"HistoryAdded"', "new": b"'HistoryAdded'"}),
    Case("raw-newline-in-text", {"old": b"Looked", "new": b"Loo\nked"}),
)
def what_is_not_json_is_refused(probe: Probe, case: Case) -> None:
    event = probe.make.event("HistoryAdded", lamport_clock=1)
    body = batch_bytes([event])
    changed = body.replace(case["old"], case["new"])
    if changed == body:
        raise AssertionError(f"the edit {case.name} changed nothing")
    reply = probe.post(body=changed, note=case.name)
    reply.expect_status(200, 400, 422, means="text that is not JSON takes it down")
    if reply.status == 200:
        probe.refused(reply, event, f"{case.name}: text that is no JSON is stored")


@check(
    "SKR-ENC-09",
    Case("charset", {"kind": "application/json; charset=utf-8"}),
    Case("upper-case", {"kind": "Application/JSON"}),
    Case("other-parameter", {"kind": "application/json; version=1"}),
)
def json_with_parameters_is_accepted(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    reply = probe.post([event], headers=[("Content-Type", case["kind"])], note=case["kind"])
    probe.taken(reply, [event], "the Content-Type is compared byte by byte")
