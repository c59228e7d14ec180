"""The paths beside the batch endpoint that a check may call: capabilities promise them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

READ_PATH: Final = "/api/v1/events/"
HOOK_PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {"restart-hook": "/api/v1/testing/restart/", "reset-hook": "/api/v1/testing/reset/"}
)
PAGE: Final = "docs/receiver-authors.md#what-a-capability-promises"

PROMISES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "read-back": (
            f'GET {READ_PATH}{{event_id}}/ → 200 {{"event": {{…}}}}',
            f"GET {READ_PATH}?project_uuid=…&after=0&limit=500 → 200"
            ' {"events": [{"event": {…}}, …], "more": false, "next_after": 17}',
        ),
        **{
            name: (f"POST {path} without a body, with the token → 200 or 204 when it is done",)
            for name, path in HOOK_PATHS.items()
        },
    }
)
"""What is called and what is accepted, by capability."""
