"""The pytest plugin: options only; everything else is imported when one of them is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# name, help, whether it is a switch
OPTIONS = (
    ("conformance", "judge the receiver at this URL with the packaged suite", False),
    ("producer", "judge a producer: an adapter file, or `spec-kitty`", False),
    ("migration", "judge a migration tool: an adapter file, or `spec-kitty`", False),
    ("events", "judge captured events: JSON Lines, a queue database or a home", False),
    ("token", "bearer token (visible in the process list: prefer --sk-token-env)", False),
    ("token-env", "environment variable that holds the token (default SK_TOKEN)", False),
    ("profile", "first-light, core, extended (default), hardened or soak", False),
    ("capabilities", "comma-separated capabilities, or a TOML file that lists them", False),
    ("only", "comma-separated check ids (may be given again): run nothing else", False),
    ("report", "folder for reports and replay capsules (default .sk)", False),
    ("seed", "seed of ids and examples, to repeat a run", False),
    ("deadline", "seconds to wait for one answer (default 10)", False),
    ("rate", "requests per second at most (default: no limit)", False),
    ("baseline", "file of known failures, each with reason and expiry", False),
    ("plan", "show what would be sent, send nothing", True),
    ("list", "list the checks, send nothing", True),
    ("allow-production", "run although health says environment_name: production", True),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--sk-…` options and their `sk_…` twins for ini files."""
    group = parser.getgroup("spec-kitty", "Spec Kitty conformance")
    for name, text, switch in OPTIONS:
        key = "sk_" + name.replace("-", "_")
        if name == "only":
            group.addoption(f"--sk-{name}", dest=key, action="append", metavar="VALUE", help=text)
        elif switch:
            group.addoption(f"--sk-{name}", dest=key, action="store_true", help=text)
        else:
            group.addoption(f"--sk-{name}", dest=key, default=None, metavar="VALUE", help=text)
        parser.addini(key, text, default="")


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer --sk-list and --sk-plan, and end a run that makes no sense before it starts."""
    if not _is_wanted(config) or hasattr(config, "workerinput"):
        return None
    _require_extra()
    from spec_kitty_sync.conformance.entry import prepare

    return prepare(config)


def pytest_configure(config: pytest.Config) -> None:
    """Hand over to the kit when something to judge was named."""
    if not _is_wanted(config):
        return
    from spec_kitty_sync.conformance.session import activate

    activate(config)


def _require_extra() -> None:
    """Refuse in one sentence where the kit was installed without its own packages."""
    import pytest

    from spec_kitty_sync._extras import require
    from spec_kitty_sync.errors import MissingExtraError

    try:
        require("conformance")
    except MissingExtraError as exc:
        raise pytest.UsageError(str(exc)) from None


def _is_wanted(config: pytest.Config) -> bool:
    if config.getoption("help", False) or config.getoption("version", 0):
        return False
    subjects = ("sk_conformance", "sk_producer", "sk_migration", "sk_events")
    named = (*subjects, "sk_list", "sk_plan")
    return any(config.getoption(name) for name in named) or any(map(config.getini, subjects))
