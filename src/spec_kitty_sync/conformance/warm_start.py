"""Holds a script loaded and forks a process for each time it is run. Stands alone.

`python -S warm_start.py FD SCRIPT`: reads requests from socket FD, each a length, a JSON object
with `argv`, `cwd` and `environ`, and the descriptors of stdin, stdout, stderr and a status pipe.
The pipe gets the process id and, once it ended, its return code, each on a line.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path
from types import CodeType
from typing import Any

_STANDARD = 3


def serve(sock: socket.socket, script: str) -> None:
    """Run *script* for every request until the other end is closed."""
    source = Path(script).read_bytes()
    _import_what(source)
    code = compile(source, script, "exec")
    gc.freeze()  # a collection in a run would copy all of it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        head, fds, _, _ = socket.recv_fds(sock, 4, _STANDARD + 1)
        if len(head) < 4:
            return
        size = int.from_bytes(head, "big")
        told = json.loads(sock.recv(size, socket.MSG_WAITALL))
        if os.fork() == 0:
            sock.close()
            _watch(code, told, fds)
        for fd in fds:
            os.close(fd)


def _import_what(source: bytes) -> None:
    """Import what the script imports, so that no run of it has to."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                __import__(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            __import__(node.module)


def _watch(code: CodeType, told: dict[str, Any], fds: list[int]) -> None:
    """Start the run, tell its process id, then how it ended; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *standard, status = fds
    pid = os.fork()
    if pid == 0:
        os.close(status)
        _run(code, told, standard)
    for fd in standard:
        os.close(fd)
    os.write(status, f"{pid}\n".encode())
    _, ended = os.waitpid(pid, 0)
    os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def _run(code: CodeType, told: dict[str, Any], standard: list[int]) -> None:
    """Become the run; never returns: an exception ends the process as it would any other."""
    os.setsid()
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
        if fd >= _STANDARD:
            os.close(fd)
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["environ"])
    sys.argv = list(told["argv"])
    exit_code: Any = 0
    try:
        exec(code, {"__name__": "__main__", "__file__": sys.argv[0]})
    except SystemExit as ended:
        exit_code = ended.code
    if isinstance(exit_code, str):
        sys.stderr.write(f"{exit_code}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    # Tidying up every module that was loaded before would take longer than the run.
    os._exit(exit_code if isinstance(exit_code, int) else int(exit_code is not None))


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
