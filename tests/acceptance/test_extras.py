"""Each extra alone, on each Python, at the lowest versions, and from the sdist: `make proof`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import installing
import pytest
from installing import Installed, find_python, install
from terminal import Receiver

PYTHONS = ("3.11", "3.12", "3.13")
ALL = "conformance,receiver,postgres,websocket"

pytestmark = [pytest.mark.proof, pytest.mark.xdist_group("wheel")]


def use(user: Installed, extras: str, url: str) -> None:
    """Do what *extras* allow; what they do not allow says which to install."""
    installing.use_runtime(user, url)
    has_websockets = "websocket" in extras or "receiver" in extras
    assert installing.use_live(user) == ("live" if has_websockets else "not live")
    if "conformance" in extras:
        installing.use_kit(user, url)
    else:
        assert "[conformance]" in user.kitty("conformance", "receiver", url, code=4)
    if "receiver" in extras:
        with user.serving() as own:
            user.kitty("sync", "server", own, "--token-env", "SK_TOKEN")
            user.kitty("sync", "now")
    else:
        assert "[receiver]" in user.kitty("receiver", "serve", "--no-auth", code=2)
    where = ("--database", "postgresql://nobody@127.0.0.1:9/none")
    told = user.kitty("receiver", "user", "list", *where, code=2)
    assert ("[postgres]" in told) is ("postgres" not in extras)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("extras", ["", *ALL.split(","), ALL])
def test_extra_alone_does_its_part_and_names_the_others(
    built: Path, receiver: Receiver, tmp_path: Path, extras: str, python: str
) -> None:
    """The wheel with one extra does all that this extra is for, and says what others are for."""
    found = find_python(python)
    wheel = next(built.glob("*.whl"))
    use(install(wheel, tmp_path, extras=extras, python=found), extras, receiver.url)


def test_lowest_declared_versions_do_everything(
    built: Path, receiver: Receiver, tmp_path: Path
) -> None:
    """The lower bounds are honest: at exactly those versions everything works."""
    wheel = next(built.glob("*.whl"))
    name = next(n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("/METADATA"))
    pins = installing.lowest(zipfile.ZipFile(wheel).read(name).decode())
    assert all("==" in pin for pin in pins)
    use(install(wheel, tmp_path, extras=ALL, pins=pins), ALL, receiver.url)


def test_sdist_installs_and_works(built: Path, receiver: Receiver, tmp_path: Path) -> None:
    """Whoever builds from the sdist gets the same."""
    sdist = next(built.glob("*.tar.gz"))
    use(install(sdist, tmp_path, extras="conformance"), "conformance", receiver.url)
