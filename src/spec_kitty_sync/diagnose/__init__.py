"""Events in, findings out: judges an iterable of sources, wherever they come from.

What makes an event valid is decided in `spec_kitty_sync.events`; reading sources is the
business of whoever calls.
"""

from __future__ import annotations

from spec_kitty_sync.diagnose.causes import CODES
from spec_kitty_sync.diagnose.diagnosis import Diagnosis, Rules
from spec_kitty_sync.diagnose.models import (
    REPORT_VERSION,
    Cause,
    DiagnoseResult,
    Place,
    Problem,
    Report,
    Row,
    Source,
    SourceReport,
    Summary,
    Verdict,
)

__all__ = [
    "CODES",
    "REPORT_VERSION",
    "Cause",
    "DiagnoseResult",
    "Diagnosis",
    "Place",
    "Problem",
    "Report",
    "Row",
    "Rules",
    "Source",
    "SourceReport",
    "Summary",
    "Verdict",
]
