"""Append the events on standard input, one JSON object a line, and print their ids.

A line has `event_type`, `aggregate_id`, `payload`, and further arguments of `EventEmitter.emit`.
"""

import json
import os
import sys
from pathlib import Path

from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.emitting import open_emitter

environ = dict(os.environ)
with open_emitter(Settings(Home.resolve(environ), environ, Path.cwd())) as emitter:
    for line in sys.stdin:
        told = json.loads(line)
        kind, about, payload = (told.pop(k) for k in ("event_type", "aggregate_id", "payload"))
        event = emitter.emit(kind, about, payload, **told)
        sys.stdout.write(f"{event.event_id}\n")
        sys.stdout.flush()
