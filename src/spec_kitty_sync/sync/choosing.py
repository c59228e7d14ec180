"""Choosing where events go: for good (`sync server`), or for one run (`--target`)."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from spec_kitty_sync._urls import canonical_url, is_loopback, same_origin, tidy_url
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.errors import CredentialError, TargetNotFoundError, UsageError
from spec_kitty_sync.sync.config import TOKEN_VARIABLE, Settings, SyncConfig, write_settings
from spec_kitty_sync.sync.target_authority import ResolvedSyncTarget, resolve_target
from spec_kitty_sync.sync.target_list import target_number
from spec_kitty_sync.sync.workspace import read_workspace

_SERVER = "SPEC_KITTY_SAAS_URL"


def choose_server(
    settings: Settings,
    url: str,
    *,
    token_env: str | None = None,
    no_token_env: bool = False,
    allow_http: bool = False,
    ca_file: Path | None = None,
) -> ResolvedSyncTarget:
    """Write the server's address, and what else it needs, into `config.toml`.

    Raises:
        TargetUrlError: no usable http(s) URL, or plain http to another machine without
            *allow_http*; nothing was written.
        UsageError: *ca_file* holds no certificate; nothing was written.
    """
    if ca_file is not None:
        check_ca_file(ca_file)
    canonical = canonical_url(url)
    before = SyncConfig.load(settings.home)
    changed = before.server_url is None or canonical_url(before.server_url) != canonical
    if not (allow_http or (before.allow_http and not changed)):
        _refuse_plain_http(canonical)
    values: dict[str, str | bool | None] = {"server_url": tidy_url(url)}
    # These belong to one server: choosing another forgets them.
    if token_env or no_token_env or changed:
        values["token_env"] = token_env
    if allow_http or changed:
        values["allow_http"] = allow_http or None
    if ca_file or changed:
        values["ca_file"] = str(ca_file.absolute()) if ca_file else None
    write_settings(settings.home, values)
    return resolve_target(settings)


def _refuse_plain_http(canonical: str) -> None:
    """Refuse now what every request would refuse later, in the same words."""
    parts = urlsplit(canonical)
    if parts.scheme == "http" and not is_loopback(canonical):
        from spec_kitty_sync._http import in_the_clear

        raise in_the_clear(parts.hostname or canonical)


def check_ca_file(path: Path) -> None:
    """Refuse a file that is not what `--ca-file` is for.

    Raises:
        UsageError: it cannot be read, or holds no certificate in PEM form.
    """
    try:
        ssl.create_default_context(cafile=path)
    except OSError as exc:  # an SSLError too
        raise UsageError(
            f"{path} is no file of certificates: {exc.strerror or 'it cannot be read'}",
            remedy="Name a PEM file with the certificate of your authority.",
        ) from exc


def for_this_run(settings: Settings, name: str) -> Settings:
    """Return *settings* that resolve to the target *name*: its number, or an address.

    Raises:
        TargetNotFoundError: no target has that number, or it is no address.
        CredentialError: the target belongs to another login than the present one.
        TargetUrlError: no usable http(s) URL.
    """
    number = target_number(name)
    if number is None and "://" not in name:
        raise TargetNotFoundError(
            f"{name!r} is neither the number of a target nor an address",
            remedy="Name an address, as in `--target https://sync.example.com`, or a number that "
            "`spec-kitty sync targets list` shows.",
        )
    if number is None:
        return _to(settings, tidy_url(name))
    target = _by_number(settings, number)
    chosen = _to(settings, target.url)
    resolved = resolve_target(chosen)
    if (resolved.user_id, resolved.team_slug) != (target.user_email, target.team_slug):
        raise CredentialError(
            f"target {name} is {target.user_email or 'nobody'} of {target.team_slug or 'no team'} "
            f"at {target.url}; the present login is another",
            remedy=f"Run `spec-kitty auth login` as that user, or use `--target {target.url}`.",
        )
    return chosen


def _to(settings: Settings, url: str) -> Settings:
    environ = {
        **settings.environ,
        _SERVER: url,
        "SPEC_KITTY_TARGET_OVERRIDE": "process",
    }
    # A token in the environment was put there for the server that is usually meant.
    meant = settings.env(_SERVER) or SyncConfig.load(settings.home).server_url
    if meant is not None and not same_origin(meant, url):
        environ.pop(TOKEN_VARIABLE, None)
    return replace(settings, environ=environ)


def _by_number(settings: Settings, number: int) -> Target:
    with read_workspace(settings) as workspace:
        if workspace is None:
            raise TargetNotFoundError(f"there is no target {number}: nothing was ever delivered")
        return workspace.targets.get(number)
