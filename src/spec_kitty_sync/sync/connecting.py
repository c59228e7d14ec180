"""Opening a connection to a server, with what the operator has said of it in `config.toml`."""

from __future__ import annotations

from pathlib import Path

from spec_kitty_sync._http import DEFAULT_DEADLINE_S, HttpClient
from spec_kitty_sync._urls import same_origin
from spec_kitty_sync.sync.config import SyncConfig


def http_client(
    config: SyncConfig, url: str | None, *, deadline_s: float = DEFAULT_DEADLINE_S
) -> HttpClient:
    """Return a client for requests to *url*."""
    return HttpClient(
        allow_http=config.allow_http, ca_file=trusted_ca(config, url), deadline_s=deadline_s
    )


def trusted_ca(config: SyncConfig, url: str | None) -> Path | None:
    """Return the CA file to trust at *url*: `[sync] ca_file` counts for `server_url` only."""
    if not (config.ca_file and config.server_url and url):
        return None
    return Path(config.ca_file) if same_origin(url, config.server_url) else None
