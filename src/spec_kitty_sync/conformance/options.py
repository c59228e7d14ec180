"""What the caller asked for: command line before environment before ini file."""

from __future__ import annotations

import math
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spec_kitty_sync.conformance.catalogue import PROFILES

_SPARE_TOKENS = {"expired": "SK_TOKEN_EXPIRED", "other_team": "SK_TOKEN_OTHER_TEAM"}
Read = Callable[[str], str | None]


class OptionError(Exception):
    """The options make no sense; the text is one sentence with the remedy."""


@dataclass(frozen=True)
class RunOptions:
    """One run as asked for; `token` never leaves the process."""

    url: str
    producer: str = ""
    migration: str = ""
    events: str = ""
    token: str | None = None
    token_on_command_line: bool = False
    profile: str = "extended"
    capabilities: frozenset[str] | None = None
    only: frozenset[str] = frozenset()
    report: Path = Path(".sk")
    seed: str = ""
    deadline_s: float = 10.0
    rate: float = 0.0
    baseline: Path | None = None
    plan: bool = False
    list_only: bool = False
    allow_production: bool = False
    spare_tokens: Mapping[str, str] = field(default_factory=dict)
    team: str | None = None


def read_options(option: Read, ini: Read, environ: Mapping[str, str]) -> RunOptions:
    """Return the options; *option* and *ini* look up names without the `sk_` prefix.

    Raises:
        OptionError: a value is missing or unusable.
    """

    def chosen(name: str, default: str = "") -> str:
        return option(name) or environ.get(f"SK_{name.upper()}") or ini(name) or default

    profile = chosen("profile", "extended")
    if profile not in PROFILES:
        raise OptionError(f"--sk-profile is one of {', '.join(PROFILES)}, not {profile!r}")
    token, visible = _token(option, ini, environ)
    if token and not token.isprintable():
        raise OptionError("the token holds a line break or another control character")
    return RunOptions(
        url=chosen("conformance"),
        producer=chosen("producer"),
        migration=chosen("migration"),
        events=chosen("events"),
        token=token,
        token_on_command_line=visible,
        profile=profile,
        capabilities=_capabilities(chosen("capabilities")),
        only=frozenset(_words(chosen("only"))),
        report=Path(chosen("report", ".sk")),
        seed=chosen("seed") or secrets.token_hex(4),
        deadline_s=_number("deadline", chosen("deadline", "10")),
        rate=_number("rate", chosen("rate", "0")),
        baseline=Path(chosen("baseline")) if chosen("baseline") else None,
        plan=_switch(chosen("plan")),
        list_only=_switch(chosen("list")),
        allow_production=_switch(chosen("allow_production")),
        spare_tokens={
            name: environ[variable]
            for name, variable in _SPARE_TOKENS.items()
            if environ.get(variable)
        },
        team=environ.get("SK_TEAM"),
    )


def _token(option: Read, ini: Read, environ: Mapping[str, str]) -> tuple[str | None, bool]:
    given = option("token")
    if given:
        return given, True
    name = option("token_env") or environ.get("SK_TOKEN_ENV") or ini("token_env")
    if name:
        value = environ.get(name)
        if not value:
            raise OptionError(f"--sk-token-env names {name}, but that variable is not set")
        return value, False
    return environ.get("SK_TOKEN") or ini("token") or None, False


def _capabilities(text: str) -> frozenset[str] | None:
    if not text:
        return None
    if not text.endswith(".toml"):
        return frozenset(_words(text))
    try:
        listed = tomllib.loads(Path(text).read_text(encoding="utf-8"))["capabilities"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as exc:
        raise OptionError(f"{text} holds no readable list `capabilities`: {exc}") from exc
    return frozenset(str(word) for word in listed)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _switch(text: str) -> bool:
    return text.lower() not in {"", "0", "false", "no", "off"}


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise OptionError(f"--sk-{name} is a number, not {text!r}") from None
    if not 0 <= value < math.inf:  # NaN neither
        raise OptionError(f"--sk-{name} is finite and not negative, not {text!r}")
    return value
