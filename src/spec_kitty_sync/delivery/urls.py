"""Where a target is asked and told."""

from __future__ import annotations

from urllib.parse import urlsplit

from spec_kitty_sync._urls import canonical_url, tidy_url

BATCH_PATH = "/api/v1/events/batch/"
HEALTH_PATH = "/api/v1/sync/health/"


def batch_endpoint(url: str) -> str:
    """Return where batches for the server at *url* are posted."""
    return canonical_url(url) + BATCH_PATH


def external_endpoint(url: str) -> str:
    """Return *url* with its path as given, or with the batch path if it has none of its own."""
    parts = urlsplit(tidy_url(url))
    return tidy_url(url) if parts.path or parts.query else tidy_url(url) + BATCH_PATH
