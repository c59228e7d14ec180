"""JSON token by token: what C parsers cannot tell (repeated keys, literal numbers, any depth)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import isinf
from typing import Any, TypeVar

from spec_kitty_sync.errors import JsonError

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
SURROGATE = re.compile("[\ud800-\udfff]")

_PLAIN = r'[^"\\\x00-\x1f]*+'
_TOKEN = re.compile(
    rf'[ \t\n\r]*+(?:(?P<string>"{_PLAIN}(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}){_PLAIN})*+")'
    r"|(?P<scalar>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.eE+-])"
    r"|true|false|null|NaN|-?Infinity)"
    r"|(?P<mark>[{}\[\]:,]))"
)
_INTEGER = re.compile(r"-?[0-9]+")


def json_error(reason: str, message: str, **facts: Any) -> JsonError:
    """Return the error for the rule *reason*; `facts` hold its place."""
    return JsonError(message, reason=reason, **facts)


class Walk:
    """Follows the tokens of one document by the grammar; subclasses add what they look for."""

    def __init__(self) -> None:
        self.path: list[str | int] = []
        self.expect = "value"

    def feed(self, kind: str, token: str) -> None:
        """Take one token.

        Raises:
            JsonError: the token breaks a rule.
        """
        if kind == "mark":
            self._mark(token)
        elif kind == "string" and self.expect in ("key", "key or end"):
            key: str = json.loads(token)
            self.path[-1] = key
            self.key(key)
            self.expect = "colon"
        elif self.expect in ("value", "value or end"):
            self.scalar(kind, token)
            self._value_done()
        else:
            raise self._unexpected(token)

    def pointer(self) -> str:
        """Return the JSON Pointer of the place reached: printable, at most 200 characters."""
        steps = (str(step).replace("~", "~0").replace("/", "~1") for step in self.path)
        whole = "".join("/" + step for step in steps)
        return whole[:200].encode("utf-8", "backslashreplace").decode()

    def open(self, token: str) -> None:
        """Note that an object or array begins."""

    def close(self, token: str) -> None:
        """Note that an object or array ends."""

    def key(self, key: str) -> None:
        """Note an object key; `path` ends with it already."""

    def scalar(self, kind: str, token: str) -> None:
        """Note a string or other scalar in value position."""

    def _unexpected(self, token: str) -> JsonError:
        message = f"{token[:20]!r} where {self.expect} should be"
        return json_error("json_syntax", message, pointer=self.pointer())

    def _mark(self, token: str) -> None:
        if token in "{[" and self.expect in ("value", "value or end"):
            self.open(token)
            self.path.append("" if token == "{" else 0)
            self.expect = "key or end" if token == "{" else "value or end"
        elif token in "}]" and self._may_close(token):
            self.path.pop()
            self.close(token)
            self._value_done()
        elif token == ":" and self.expect == "colon":
            self.expect = "value"
        elif token == "," and self.expect == "comma or end":
            self._next()
        else:
            raise self._unexpected(token)

    def _may_close(self, token: str) -> bool:
        if not self.path:
            return False
        is_object = isinstance(self.path[-1], str)
        empty = "key or end" if is_object else "value or end"
        return (token == "}") == is_object and self.expect in ("comma or end", empty)

    def _value_done(self) -> None:
        self.expect = "comma or end" if self.path else "end of input"

    def _next(self) -> None:
        last = self.path[-1]
        if isinstance(last, int):
            self.path[-1] = last + 1
            self.expect = "value"
        else:
            self.expect = "key"


W = TypeVar("W", bound=Walk)


def walk(text: str, follower: W) -> W:
    """Lead *follower* through *text* and return it.

    Raises:
        JsonError: *text* is not exactly one JSON value, or breaks a rule of the follower.
    """
    for kind, token in _tokens(text):
        follower.feed(kind, token)
    if follower.expect != "end of input":
        raise json_error("json_syntax", "ends too early", pointer=follower.pointer())
    return follower


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield (string | scalar | mark, its text) without recursion."""
    position, match = 0, _TOKEN.match
    end = len(text.rstrip(" \t\n\r"))
    while position < end:
        found = match(text, position)
        if found is None or found.lastgroup is None:
            raise json_error(
                "json_syntax", f"no JSON token at character {position}", offset=position
            )
        yield found.lastgroup, found[found.lastgroup]
        position = found.end()


class StrictWalk(Walk):
    """Refuses what two readers may understand differently."""

    def __init__(self, max_depth: int) -> None:
        super().__init__()
        self.max_depth = max_depth
        self.seen: list[set[str]] = []

    def open(self, token: str) -> None:
        if len(self.seen) >= self.max_depth:
            message = f"nested deeper than {self.max_depth}"
            raise json_error("json_depth", message, pointer=self.pointer())
        self.seen.append(set())

    def close(self, token: str) -> None:
        self.seen.pop()

    def key(self, key: str) -> None:
        self._refuse_surrogates(key)
        if key in self.seen[-1]:
            message = f"key {key[:60]!r} is repeated"
            raise json_error("json_duplicate_key", message, pointer=self.pointer())
        self.seen[-1].add(key)

    def scalar(self, kind: str, token: str) -> None:
        if kind == "string":
            self._refuse_surrogates(json.loads(token))
        elif token in ("NaN", "Infinity", "-Infinity"):
            message = f"{token} is not a JSON number"
            raise json_error("json_number", message, pointer=self.pointer())
        elif _INTEGER.fullmatch(token):
            if not _fits_64_bits(token):
                message = f"integer {token[:24]} does not fit in 64 bits"
                raise json_error("json_integer_range", message, pointer=self.pointer())
        elif token not in ("true", "false", "null") and isinf(float(token)):
            message = f"{token[:24]} is larger than any 64-bit float"
            raise json_error("json_number", message, pointer=self.pointer())

    def _refuse_surrogates(self, text: str) -> None:
        if SURROGATE.search(text):
            raise json_error("json_surrogate", "half a surrogate pair", pointer=self.pointer())


class CanonicalWalk(Walk):
    """Builds the canonical text of the document."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[list[tuple[str, str]]] = [[]]

    def content(self) -> str:
        """Return the canonical text; call it after the last token."""
        return self.done[0][0][1]

    def open(self, token: str) -> None:
        self.done.append([])

    def close(self, token: str) -> None:
        members = self.done.pop()
        if token == "}":
            members.sort(key=lambda member: member[0])
            body = ",".join(f"{_quoted(key)}:{value}" for key, value in members)
            self._add(f"{{{body}}}")
        else:
            self._add(f"[{','.join(value for _, value in members)}]")

    def scalar(self, kind: str, token: str) -> None:
        self._add(_quoted(json.loads(token)) if kind == "string" else token)

    def _add(self, text: str) -> None:
        key = self.path[-1] if self.path else ""
        self.done[-1].append((str(key), text))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _fits_64_bits(literal: str) -> bool:
    return len(literal) <= 20 and INT64_MIN <= int(literal) <= INT64_MAX


class TopLevelWalk(Walk):
    """Collects the members of the outermost object; nested values become empty ones."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.value: Any = None

    def open(self, token: str) -> None:
        empty: Any = {} if token == "{" else []
        if self.depth == 0:
            self.value = empty
        elif self.depth == 1:
            self._put(empty)
        self.depth += 1

    def close(self, token: str) -> None:
        self.depth -= 1

    def scalar(self, kind: str, token: str) -> None:
        if self.depth <= 1:
            self._put(float("nan") if _too_long(token, kind) else json.loads(token))

    def _put(self, value: Any) -> None:
        if self.depth == 0:
            self.value = value
        elif isinstance(self.value, dict):
            self.value[self.path[-1]] = value


def _too_long(token: str, kind: str) -> bool:
    return kind == "scalar" and len(token) > 4000
