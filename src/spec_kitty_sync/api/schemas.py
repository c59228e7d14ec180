"""The contract and the reports as JSON Schema files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync.errors import UsageError


@dataclass(frozen=True)
class SchemaExport:
    """Which files below `folder` were, or would be, changed."""

    folder: Path
    files: int
    different: tuple[str, ...]
    check: bool


def schema_files() -> dict[str, bytes]:
    """Return every committed schema: name below `schemas/` → bytes."""
    from spec_kitty_sync.events.registry import default_registry
    from spec_kitty_sync.events.schema_export import export_schemas, render
    from spec_kitty_sync.sync.status_schema import FILE_NAME, status_schema

    documents = {**export_schemas(default_registry()), FILE_NAME: status_schema()}
    return {name: render(document) for name, document in sorted(documents.items())}


def export_to(folder: Path, *, check: bool = False) -> SchemaExport:
    """Write every schema below *folder*; with *check* only compare.

    Raises:
        UsageError: the folder cannot be written.
    """
    files = schema_files()
    different = tuple(name for name, data in files.items() if _read(folder / name) != data)
    if not check:
        try:
            for name in different:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(files[name])
        except OSError as exc:
            raise UsageError(
                f"{folder} cannot be written: {exc.strerror}", remedy="Name another folder."
            ) from exc
    return SchemaExport(folder, len(files), different, check)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
