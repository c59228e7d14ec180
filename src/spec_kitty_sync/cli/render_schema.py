"""What `schema export` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spec_kitty_sync.cli.render import print_json, say

if TYPE_CHECKING:
    from spec_kitty_sync.api.schemas import SchemaExport


def exported(done: SchemaExport, *, as_json: bool) -> int:
    """Print which files were written, or which differ; 1 if --check found one."""
    code = 1 if done.check and done.different else 0
    if as_json:
        print_json({**vars(done), "exit_code": code})
        return code
    if not done.check:
        say(f"{done.files} schemas in {done.folder}, {len(done.different)} of them changed")
        return code
    for name in done.different:
        say(f"differs: {name}")
    if done.different:
        say(f"Run `spec-kitty schema export {done.folder}`.")
    else:
        say(f"{done.files} schemas in {done.folder} are up to date")
    return code
