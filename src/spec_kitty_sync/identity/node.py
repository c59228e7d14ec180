"""Who this machine is, without saying its name."""

from __future__ import annotations

import getpass
import hashlib
import socket


def generate_node_id() -> str:
    """Return 12 hex digits, stable for this user on this machine (CONTRACT 6, Identity)."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose uid has no passwd entry
        user = "unknown"
    return hashlib.sha256(f"{socket.gethostname()}:{user}".encode()).hexdigest()[:12]
