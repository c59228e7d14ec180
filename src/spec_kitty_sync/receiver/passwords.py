"""Hashes of passwords (scrypt) and of random tokens (SHA-256)."""

from __future__ import annotations

import hashlib
import hmac
import secrets

# 16 MiB and about a fifth of a second: what OWASP asks of scrypt at least.
_N, _R, _P = 2**14, 8, 5


def hash_password(password: str) -> str:
    """Return `scrypt$n$r$p$salt$hash`; two hashes of one password differ."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_scrypt(password, salt, _N, _R, _P).hex()}"


def password_matches(password: str, stored: str | None) -> bool:
    """Tell whether *password* is the one of *stored*; without one it takes as long."""
    if stored is None:
        _scrypt(password, b"", _N, _R, _P)
        return False
    _, n, r, p, salt, expected = stored.split("$")
    found = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, bytes.fromhex(expected))


def hash_token(token: str) -> str:
    """Return the SHA-256 of a token in hex; a token is random, so no salt is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    data = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=salt, n=n, r=r, p=p, dklen=32)
