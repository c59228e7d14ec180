"""`python -m spec_kitty_sync` is `spec-kitty`."""

from spec_kitty_sync.cli.main import run

if __name__ == "__main__":
    run()
