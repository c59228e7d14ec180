"""The operator's guide, run from its first command to its last."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

from guide import matches, read_steps

ROOT = Path(__file__).resolve().parents[2]
USERS = """
[[user]]
username = "ada"
password = "lovelace-canary"
team = "team-a"

[[user]]
username = "bo"
password = "diddley-canary"
team = "team-b"
"""
PRELUDE = """
set +e
wait_for() { "$PYTHON" -c 'import socket, sys, time
for _ in range(200):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1).close()
        break
    except OSError:
        time.sleep(0.05)
else:
    sys.exit("nobody listens")' "$1"; }
first_id() { "$PYTHON" -c 'import json, sys
print(json.load(sys.stdin)["events"][0]["event_id"])'; }
first_conflict() { "$PYTHON" -c 'import json, sys
print(json.load(sys.stdin)["migration_conflicts"]["conflicts"][0]["event_id"])'; }
unpack() { cp -r "$SAMPLES/$1/queues" "$SPEC_KITTY_HOME/"; }
trap 'kill $(jobs -p) 2>/dev/null' EXIT
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def prepare(root: Path) -> dict[str, str]:
    for project in ("maps", "ships"):
        (root / project / ".kittify").mkdir(parents=True)
    (root / "users.toml").write_text(USERS)
    command = root / "bin" / "spec-kitty"
    command.parent.mkdir()
    command.write_text('#!/bin/sh\nexec "$PYTHON" -m spec_kitty_sync "$@"\n')
    command.chmod(0o755)
    samples = root / "samples"
    with tarfile.open(ROOT / "fixtures" / "queues" / "c-divergent.tar.gz") as packed:
        packed.extractall(samples / "c-divergent", filter="data")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPEC_KITTY_", "SK_"))}
    return {
        **kept,
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "SPEC_KITTY_HOME": str(root / "home"),
        "SAMPLES": str(samples),
        "ADA_PASSWORD": "lovelace-canary",
        "BO_PASSWORD": "diddley-canary",
    }


def test_the_operating_guide_does_what_it_says(tmp_path: Path) -> None:
    """Each command of docs/operating.md ends and prints as the guide says; no password is shown."""
    steps = read_steps(ROOT / "docs" / "operating.md")
    ports = free_ports(2)
    script = [PRELUDE]
    for number, step in enumerate(steps):
        script += [f"echo '@@{number}'", step.command, f"printf '\\n@@{number}:%d\\n' $?"]
    text = "\n".join(script).replace("8000", str(ports[0])).replace("8001", str(ports[1]))
    with (tmp_path / "printed").open("w+") as out:
        subprocess.run(
            ["bash", "-c", text], cwd=tmp_path, env=prepare(tmp_path),
            stdout=out, stderr=subprocess.STDOUT, timeout=180, check=False,
        )  # fmt: skip
        out.seek(0)
        printed = out.read().replace(str(ports[0]), "8000").replace(str(ports[1]), "8001")
    for number, step in enumerate(steps):
        output = printed.split(f"@@{number}\n")[1].split(f"@@{number}:")[0]
        code = int(printed.split(f"@@{number}:")[1].split("\n")[0])
        assert step.code is None or code == step.code, f"$ {step.command}\n{output}[exit {code}]"
        for line in step.expected:
            assert matches(line, output), f"$ {step.command}\n{output}\nlacks: {line}"
    assert "canary" not in printed
