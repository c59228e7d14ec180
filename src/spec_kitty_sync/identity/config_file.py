"""`.kittify/config.yaml`: read it, and add to it without touching what others wrote."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spec_kitty_sync.errors import UsageError

CONFIG = Path(".kittify") / "config.yaml"
_DOCUMENT_MARK = re.compile(r"^(?:---|\.\.\.)", re.MULTILINE)


def read_config(root: Path) -> Mapping[str, Any]:
    """Return the file of the project at *root*; an empty mapping where there is none.

    Raises:
        UsageError: it is no YAML mapping, or cannot be read.
    """
    document = _parse(_text(root / CONFIG), root / CONFIG)
    return document if document is not None else {}


def mentions(root: Path, word: str) -> bool:
    """Whether *word* stands anywhere in the file of the project at *root*; parses nothing.

    Raises:
        UsageError: the file cannot be read.
    """
    return word in _text(root / CONFIG)


def write_project(root: Path, parts: Mapping[str, str]) -> None:
    """Set the keys of `project`; comments, other keys and their layout stay as they are.

    Raises:
        OSError: the project cannot be written.
        UsageError: the file is no YAML mapping.
    """
    path = (root / CONFIG).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, _changed(_text(path), parts, path))


def _changed(text: str, parts: Mapping[str, str], path: Path) -> str:
    document = _parse(text, path)
    if document is None or "project" not in document:
        appended = _appended(text, parts)
        # Only where the text is plain enough that appending means what it seems to mean.
        if not _DOCUMENT_MARK.search(text) and _means(appended, document, parts, path):
            return appended
    yaml = _yaml()
    document = yaml.map() if document is None else document
    project = document.get("project")
    if project is None:
        project = document["project"] = yaml.map()
    project.update({name: value for name, value in parts.items() if project.get(name) != value})
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _appended(text: str, parts: Mapping[str, str]) -> str:
    gap = "" if not text or text.endswith("\n") else "\n"
    lines = "".join(f'  {name}: "{value}"\n' for name, value in parts.items())
    return f"{text}{gap}project:\n{lines}"


def _means(text: str, before: Any, parts: Mapping[str, str], path: Path) -> bool:
    try:
        after = _parse(text, path)
    except UsageError:
        return False
    return bool(after == {**(before or {}), "project": dict(parts)})


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    return yaml


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path} is not UTF-8", remedy=f"Correct {path}.") from exc
    except OSError as exc:
        raise UsageError(
            f"{path} cannot be read: {exc.strerror}",
            remedy=f"See that {path} can be read, then run the same command again.",
        ) from exc


def _parse(text: str, path: Path) -> Any:
    if not text.strip():
        return None
    from ruamel.yaml.error import YAMLError

    try:
        document = _yaml().load(text)
    except (YAMLError, ValueError) as exc:
        raise UsageError(f"{path} is not valid YAML", remedy=f"Correct {path}.") from exc
    if document is not None and not isinstance(document, dict):
        raise UsageError(f"{path} holds no mapping", remedy=f"Correct {path}.")
    return document


def _replace(path: Path, text: str) -> None:
    """Replace a file that belongs to the project: its mode is kept, a new one gets the usual."""
    scratch = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with scratch.open("x", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if path.exists():
            scratch.chmod(path.stat().st_mode & 0o777)
        scratch.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise
