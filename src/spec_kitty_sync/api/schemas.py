"""The contract and the reports as JSON Schema files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spec_kitty_sync.errors import UsageError

if TYPE_CHECKING:
    from spec_kitty_sync.events.registry import Registry


@dataclass(frozen=True)
class SchemaExport:
    """Which files below `folder` were, or would be, changed."""

    folder: Path
    files: int
    different: tuple[str, ...]
    check: bool


def schema_files(registry: Registry | None = None) -> dict[str, bytes]:
    """Return every schema of *registry* (default: our own types): name below `schemas/` → bytes."""
    from spec_kitty_sync.events.registry import default_registry
    from spec_kitty_sync.events.schema_export import export_schemas, render
    from spec_kitty_sync.sync.status_schema import FILE_NAME, status_schema

    documents = {**export_schemas(registry or default_registry()), FILE_NAME: status_schema()}
    return {name: render(document) for name, document in sorted(documents.items())}


def export_to(
    folder: Path, *, check: bool = False, schema_dirs: Sequence[Path] = (), installed: bool = False
) -> SchemaExport:
    """Write every schema below *folder*; with *check* only compare.

    Types of *schema_dirs*, and with *installed* those of installed packages, are written too.

    Raises:
        UsageError: the folder cannot be written.
        RegistryLoadError: an added type cannot be read.
    """
    from spec_kitty_sync.registry_load import load_registry

    files = schema_files(load_registry(schema_dirs=schema_dirs, plugins=installed))
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
