"""What must always be true of a home's database; `doctor` and `verify` recount it."""

from __future__ import annotations

from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.soundness import find_faults as find_ledger_faults
from spec_kitty_sync.event_journal.counting import find_miscounts


def find_faults(store: Store) -> list[str]:
    """Return one sentence for each count that is wrong and each invariant that is broken.

    Reads journal and ledger as a whole: not for every command.
    """
    return [*find_miscounts(store), *find_ledger_faults(store)]
