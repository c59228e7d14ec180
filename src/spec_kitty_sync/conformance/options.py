"""What the caller asked for: command line before environment before ini file."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spec_kitty_sync.conformance.catalogue import PROFILES
from spec_kitty_sync.conformance.typed_toml import LONGEST_S, TomlError, read_toml

_LEAST: Final = 0.001
_FASTEST: Final = 1_000_000.0
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
        deadline_s=_number("deadline", chosen("deadline", "10"), LONGEST_S),
        rate=_number("rate", chosen("rate", "0"), _FASTEST, or_none=True),
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
        told = read_toml(Path(text), "list of capabilities")
        if "capabilities" not in told.values:
            told.refuse("capabilities", 'write a list of texts: capabilities = ["…", "…"]')
        return frozenset(told.words("capabilities"))
    except TomlError as exc:
        raise OptionError(str(exc)) from exc


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _switch(text: str) -> bool:
    return text.lower() not in {"", "0", "false", "no", "off"}


def _number(name: str, text: str, most: float, *, or_none: bool = False) -> float:
    """Return a number that a wait can be made of; `nan` and `inf` are none."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if _LEAST <= value <= most or (or_none and value == 0):
        return value
    least = f"0 (no limit), or from {_LEAST:g}" if or_none else f"from {_LEAST:g}"
    raise OptionError(f"--sk-{name} is a number {least} to {most:g}, not {text!r}")
