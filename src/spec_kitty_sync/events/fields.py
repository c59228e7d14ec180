"""The types of single fields, with patterns that mean the same in every language (CONTRACT 1, 3).

ASCII only, no `\\d`, no look-around: Rust (pydantic), Python, ECMAScript and RE2 agree on them. The
timestamp pattern knows the days of each month, so that JSON Schema needs no `format`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

INT64_MAX = 2**63 - 1

ULID_PATTERN = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
UUID4_PATTERN = (
    "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-4[0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}$"
)
VERSION_PATTERN = r"^[0-9]+\.[0-9]+\.[0-9]+$"
WP_ID_PATTERN = "^WP[0-9]{2,}$"
NUMBER_PATTERN = "^[0-9]{3}$"

_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29"
_COMMON = (
    "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)-"
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
TIMESTAMP_PATTERN = (
    f"^(?:{_COMMON}|{_LEAP})"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"
)

PATTERN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        ULID_PATTERN: "not a ULID (26 characters, 0-9 A-Z without I L O U, upper case)",
        UUID4_PATTERN: "not a version 4 UUID with hyphens",
        VERSION_PATTERN: "not MAJOR.MINOR.PATCH in digits",
        WP_ID_PATTERN: "not WP followed by at least two digits",
        TIMESTAMP_PATTERN: "not an RFC 3339 time with offset, like 2026-03-01T09:30:00Z",
        NUMBER_PATTERN: "not three digits",
    }
)
"""What a text that does not match is not."""

Text = Annotated[StrictStr, Field(min_length=1)]
AnyText = StrictStr
Ulid = Annotated[StrictStr, Field(pattern=ULID_PATTERN)]
Uuid4 = Annotated[StrictStr, Field(pattern=UUID4_PATTERN)]
Version = Annotated[StrictStr, Field(pattern=VERSION_PATTERN)]
Timestamp = Annotated[StrictStr, Field(pattern=TIMESTAMP_PATTERN)]
WpId = Annotated[StrictStr, Field(pattern=WP_ID_PATTERN)]
Clock = Annotated[StrictInt, Field(ge=0, le=INT64_MAX)]
Count = Annotated[StrictInt, Field(ge=0)]
Positive = Annotated[StrictInt, Field(gt=0)]
Tier = Annotated[StrictInt, Field(ge=0, le=4)]
Flag = StrictBool
Number = StrictFloat
Object = dict[str, Any]
FourLane = Literal["planned", "doing", "for_review", "done"]
