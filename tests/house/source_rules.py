"""The rules of the house as functions: each takes the text of one file, returns what breaks it."""

from __future__ import annotations

import ast
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping

Rule = Callable[[str, str], list[str]]
"""Takes the path below the package (or below tests/) and the text."""

ONE_MODULE: Mapping[str, tuple[str, ...]] = {
    "httpx": ("_http.py", "conformance/client.py"),
    "httpcore": ("_http.py",),
    "certifi": ("_http.py",),
    "sqlite3": (
        "_sqlite", "conformance/", "delivery/", "event_journal/", "receiver/sqlite_store.py",
        "sync/",
    ),
    "jsonschema": ("registry_load.py",),
    "referencing": ("registry_load.py",),
    "rich": ("cli/render",),
    "click": ("cli/",),
    "ulid": ("conformance/builder.py", "sync/emitting.py"),
    "tomlkit": ("auth/credentials.py", "sync/config.py"),
    "ruamel": ("identity/config_file.py",),
    "pytest": ("conformance/", "testing/fixtures.py"),
    "hypothesis": ("conformance/fuzz.py", "conformance/machine.py", "testing/strategies.py"),
    "pytest_httpserver": ("conformance/stub.py",),
    "werkzeug": ("conformance/stub.py",),
    "starlette": ("receiver/", "conformance/extra_faults"),
    "uvicorn": ("receiver/serve.py", "receiver/http_protocol.py", "conformance/reference.py"),
    "websockets": ("sync/websocket.py",),
    "prometheus_client": ("receiver/metrics.py",),
    "psycopg": ("receiver/postgres_",),
    "psycopg_pool": ("receiver/postgres_database.py",),
}  # fmt: skip
"""Who may import what; a name that ends in `/` or `_` stands for all that begin with it."""

NEVER_ASKED = frozenset(
    {
        "json-schema.org",  # the name of a dialect of JSON Schema
        "www.w3.org",  # the name of a namespace of SVG
        "spec-kitty-dev.fly.dev",  # the address that old CLIs had built in; old rows name it
        "github.com",  # the origin of repositories in tests; it is only read
        "a..b", "0177.0.0.1", "0x7f.0.0.1", "127.1",  # not addresses at all, or odd loopback
        "128.0.0.1", "::2", "::ffff:1.2.3.4",  # refused before anything is sent
    }
)  # fmt: skip
"""Hosts that stand in a file and to which no connection is ever made."""
CATCH_ALL: Mapping[str, str] = {
    "delivery/sender.py": "hands what a thread ran into to whoever asks for the result",
    "sync/background.py": "logs a defect, and delivers again after a wait: nobody would restart it",
    "cli/main.py": "the last line: says in one line what the log says in full",
}
"""Who may catch everything, and why."""
IMPURE = frozenset(
    {
        "os", "io", "pathlib", "socket", "time", "subprocess", "random", "secrets", "sqlite3",
        "tempfile", "shutil",
    }
)  # fmt: skip
_TICKET = re.compile(r"(?:[\s(]#\d{3,}\b|\b(?:FR|NFR|IC|SC)-\d{2,})")
_URL = re.compile(r"\b(?:https?|wss?|postgresql)://(?:[^/\s\"'@]*@)?(\[[0-9a-fA-F:.]+\]|[\w.-]+)")
_RESERVED = re.compile(
    r"(?:^|\.)(?:example|test|invalid|localhost|local)$|(?:^|\.)example\.(?:com|org|net)$"
)


def sizes(_: str, text: str) -> list[str]:
    """No file is longer than 400 lines, no function longer than 60."""
    lines = text.count("\n")
    found = [f"{lines} lines"] if lines > 400 else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            found += [f"{node.name}: {length} lines"] if length > 60 else []
    return found


def parameters(path: str, text: str) -> list[str]:
    """No function takes more than five arguments by position, self apart; click names its own."""
    if path.startswith("cli/"):
        return []
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
            taken = [name for name in names if name not in {"self", "cls"}]
            found += [f"{node.name}: {len(taken)} by position"] if len(taken) > 5 else []
    return found


def docstring(_: str, text: str) -> list[str]:
    """Every module says what it is."""
    missing = text.strip() and not ast.get_docstring(ast.parse(text))
    return ["no module docstring"] if missing else []


def tickets(_: str, text: str) -> list[str]:
    """Numbers of tickets and of requirements stay out of the source."""
    return [found.group().strip() for found in _TICKET.finditer(text)]


def excepts(path: str, text: str) -> list[str]:
    """Nobody swallows everything: errors are named, or raised again after tidying up."""
    broad = {"Exception", "BaseException"}
    if path in CATCH_ALL:
        return []
    return [
        f"line {node.lineno}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or broad & set(re.findall(r"\w+", ast.unparse(node.type))))
        and ast.unparse(node.body[-1]) != "raise"
    ]


def prints(path: str, text: str) -> list[str]:
    """Only the modules that render print."""
    if path.startswith("cli/render"):
        return []
    return [
        f"line {node.lineno}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]


def imports(text: str) -> set[str]:
    """Return the top-level names that the file imports, in functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def importers(path: str, text: str) -> list[str]:
    """A library enters through the modules that are named for it."""
    return sorted(
        name for name in imports(text) & set(ONE_MODULE) if not path.startswith(ONE_MODULE[name])
    )


def purity(path: str, text: str) -> list[str]:
    """The contract reads no file, socket, clock or environment."""
    return sorted(imports(text) & IMPURE) if path.startswith("events/") else []


def machine_paths(_: str, text: str) -> list[str]:
    """No file knows the machine it was written on."""
    return re.findall(r"/(?:root|work|home/(?!user\b|canary\b|me\b|you\b|ada\b)\w+)/[\w./-]*", text)


def hosts(path: str, text: str) -> list[str]:
    """Addresses are of this machine, or of names and networks that are nobody's."""
    named = {host.strip("[]") for host in _URL.findall(text)} - NEVER_ASKED
    return sorted(host for host in named if not _is_nobodys(host))


def _is_nobodys(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A name without a dot is nobody's on the internet.
        return "." not in host.strip(".") or bool(_RESERVED.search(host.rstrip(".").lower()))
    return not address.is_global


def skips(_: str, text: str) -> list[str]:
    """A test that is skipped says whether it is for a missing tool."""
    return [reason for reason in _reasons(text) if "missing tool" not in reason]


_SKIPS = re.compile(r"pytest\.(mark\.)?(skip|skipif|importorskip)")


def _reasons(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            bare = "pytest.mark.skip" in map(ast.unparse, node.decorator_list)
            yield from ["no reason"] if bare else []
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if not _SKIPS.fullmatch(ast.unparse(node.func)):
            continue
        words = [each.value for each in node.keywords if each.arg == "reason"]
        words += node.args[:1] if node.func.attr == "skip" else []
        yield ast.unparse(words[0]) if words else "no reason"


SOURCE: tuple[Rule, ...] = (
    sizes, parameters, docstring, tickets, excepts, prints, importers, purity, machine_paths, hosts,
)  # fmt: skip
"""What holds for src/spec_kitty_sync."""
TESTS: tuple[Rule, ...] = (hosts, machine_paths, skips)
"""What holds for tests/."""
