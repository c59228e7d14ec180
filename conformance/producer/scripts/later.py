"""Run `spec-kitty ARGUMENT…` as it would run SECONDS from now: `later.py SECONDS ARGUMENT…`."""

import runpy
import sys
import time

later_ns = int(sys.argv.pop(1)) * 10**9
time_ns = time.time_ns
time.time_ns = lambda: time_ns() + later_ns
runpy.run_module("spec_kitty_sync", run_name="__main__")
