"""Every error a caller can meet, one tree.

SpecKittyError
├── ContractError            the event itself is at fault
│   ├── JsonError            not strict JSON
│   ├── AdmissionError       cannot be imported (CONTRACT 6, first gate)
│   ├── InvalidEventError    refused at emit, nothing stored
│   ├── EventConflictError   the id is stored with other content
│   └── UnknownEventTypeError
├── StoreError               the local database is at fault
│   ├── StoreFullError, StoreBusyError, StoreCorruptError, StoreReadOnlyError
│   ├── StoreVersionError    written by a newer version, or not ours
│   ├── StoreUncertainError  the commit may or may not have reached the disk
│   ├── StoreDiskError       the disk failed before anything was committed
│   ├── StoreHandlesError    the process may open no more files
│   ├── StoreGoneError       the file was removed or replaced while it was open
│   └── UnsafePathError      symlink, foreign owner, open permissions
├── TargetError
│   ├── NoTargetError, AmbiguousTargetError, CredentialError, TargetNotFoundError
│   ├── DeliveryBlockedError a gate is closed; nothing was sent
│   └── TargetUrlError       an address that is not safe to send to
├── DeliveryError            the drain stopped; no event is blamed
│   ├── AuthRejectedError, ReceiverProtocolError, TargetChangedError
│   ├── DrainLockedError
│   │   └── RestoreRunningError
│   └── TransportError
│       ├── OfflineError     no connection, DNS, TLS
│       │   └── TlsError
│       └── DeadlineError, ResponseTooLargeError
├── SourceError              a legacy source or input file cannot be read
├── MigrationError
├── UsageError               arguments that make no sense together
│   └── MissingExtraError    a package of an extra is not installed
└── InternalError            a defect of this program
"""

from __future__ import annotations

from typing import Any, ClassVar


class SpecKittyError(Exception):
    """Base of all errors: what happened, a stable code, and the one command that helps.

    `remedy` is one sentence for the operator; `exit_code` follows CONTRACT 8;
    `facts` are machine-readable details and never hold a token or payload.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 2
    default_remedy: ClassVar[str] = "Run `spec-kitty sync doctor` and report what it prints."

    def __init__(self, message: str, *, remedy: str | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.default_remedy
        self.facts = facts


class ContractError(SpecKittyError):
    """The event, or a value of the contract, is at fault."""

    code = "contract"
    default_remedy = "Correct the event; `spec-kitty diagnose` shows every rule it breaks."


class JsonError(ContractError):
    """The bytes are not strict JSON; `facts["offset"]` or `facts["pointer"]` says where."""

    code = "json_invalid"


class AdmissionError(ContractError):
    """The row cannot become a journal event (no object, no id, ids differ)."""

    code = "not_admissible"


class InvalidEventError(ContractError):
    """An event was refused at emit; nothing was stored. `facts["findings"]` lists each rule."""

    code = "invalid_event"


class EventConflictError(ContractError):
    """The id is stored with other canonical content; the stored content stays."""

    code = "event_conflict"
    default_remedy = "Emit under a new id, or correct the stored event with `sync replace`."


class UnknownEventTypeError(ContractError):
    """Nobody registered this event type."""

    code = "unknown_event_type"
    default_remedy = "Check the spelling, or register the type with a schema directory."


class StoreError(SpecKittyError):
    """The local store is at fault."""

    code = "store"


class StoreFullError(StoreError):
    """The disk is full; nothing was written."""

    code = "store_full"
    default_remedy = "Free disk space or set SPEC_KITTY_HOME to another disk; nothing was lost."


class StoreBusyError(StoreError):
    """Another process kept the journal busy for longer than five seconds."""

    code = "store_busy"
    default_remedy = "Another process is writing; run the same command again."


class StoreCorruptError(StoreError):
    """The journal is damaged, or is no database."""

    """The file is damaged."""

    code = "store_corrupt"
    default_remedy = "Restore a backup with `spec-kitty sync restore FILE`."


class StoreReadOnlyError(StoreError):
    """The home cannot be written."""

    code = "store_read_only"
    default_remedy = "Make the home directory writable, or set SPEC_KITTY_HOME."


class StoreVersionError(StoreError):
    """The journal was written by a newer version, or by another program."""

    code = "store_version"
    default_remedy = "Install the newer spec-kitty-sync that wrote this file."


class StoreUncertainError(StoreError):
    """A commit failed on the way to the disk: it may be there or not."""

    code = "store_uncertain"
    default_remedy = (
        "Append the same event again, or run the same command, after making room if the disk is "
        "full: nothing is stored or done twice."
    )


class StoreDiskError(StoreError):
    """The disk failed; nothing was committed."""

    code = "store_disk"
    default_remedy = (
        "Check the disk and free some space, then run the same command again; nothing was lost."
    )


class StoreHandlesError(StoreError):
    """The process may open no more files."""

    code = "store_handles"
    default_remedy = (
        "Raise the limit with `ulimit -n 1024` or end other programs, then run the same command "
        "again; nothing was lost."
    )


class StoreGoneError(StoreError):
    """The file was removed or replaced while it was open; the last write is not in it."""

    code = "store_gone"
    default_remedy = "Start the program again: it opens what is there now; then repeat the work."


class UnsafePathError(StoreError):
    """A file is a symbolic link, belongs to somebody else, or is open to others."""

    code = "unsafe_path"


class TargetError(SpecKittyError):
    """Something about the target is not settled."""

    code = "target"


class NoTargetError(TargetError):
    """No server is chosen."""

    code = "no_target"
    default_remedy = "Run `spec-kitty sync server URL` to choose where events go."


class AmbiguousTargetError(TargetError):
    """Configuration and environment name different servers."""

    code = "target_conflict"


class CredentialError(TargetError):
    """There is no usable login or token for this server."""

    code = "credentials"
    default_remedy = "Run `spec-kitty auth login`."


class TargetNotFoundError(TargetError):
    """No target has this number."""

    code = "target_not_found"
    default_remedy = "Run `spec-kitty sync targets list` to see the known targets."


class TargetUrlError(TargetError):
    """The address is not safe to send to."""

    code = "target_url"
    default_remedy = "Run `spec-kitty sync server https://HOST` with a plain address."


class DeliveryBlockedError(TargetError):
    """Delivery was not tried: `facts["reason"]` is a word of CONTRACT 6, Capture first."""

    code = "delivery_blocked"


class DeliveryError(SpecKittyError):
    """The drain stopped; no event is blamed."""

    code = "delivery"
    exit_code = 1


class AuthRejectedError(DeliveryError):
    """The server does not accept the login."""

    code = "auth_expired"
    default_remedy = "Run `spec-kitty auth login`, then `spec-kitty sync now`."


class ReceiverProtocolError(DeliveryError):
    """The server answers something that is not this protocol."""

    code = "receiver_protocol"


class DrainLockedError(DeliveryError):
    """Another process is delivering to this target."""

    code = "drain_running"
    exit_code = 2
    default_remedy = "Wait for it to end; it delivers the same events."


class RestoreRunningError(DrainLockedError):
    """A restore of this home is running."""

    code = "restore_running"
    default_remedy = "Wait for it to end, then run the same command again."


class TargetChangedError(DeliveryError):
    """The target is not what it was when the delivery began; nothing more is recorded."""

    code = "target_changed"
    default_remedy = (
        "Run `spec-kitty sync now` again: what has no recorded answer is sent again under its id."
    )


class TransportError(DeliveryError):
    """The connection broke; the request may have been received."""

    code = "transport"


class OfflineError(TransportError):
    """There is no connection to the server; nothing was sent."""

    code = "offline"
    default_remedy = (
        "Check the network, and the address: `spec-kitty sync server URL` changes it. Then run "
        "`spec-kitty sync now`."
    )


class DeadlineError(TransportError):
    """No complete answer came in time."""

    code = "deadline"


class TlsError(OfflineError):
    """The server's certificate was not accepted; nothing was sent."""

    code = "tls"


class ResponseTooLargeError(TransportError):
    """The answer is longer than any answer needs to be."""

    code = "response_too_large"


class SourceError(SpecKittyError):
    """An input cannot be read; the others go on."""

    code = "source_unreadable"
    exit_code = 3


class MigrationError(SpecKittyError):
    """A decision about old queues cannot be carried out."""

    code = "migration"


class UsageError(SpecKittyError):
    """Arguments or settings that make no sense."""

    code = "usage"


class MissingExtraError(UsageError, ImportError):
    """A package that comes with an extra is not installed; nothing else is wrong."""

    code = "missing_extra"

    def __init__(self, package: str, extras: str) -> None:
        super().__init__(
            f"this needs the package {package}, which is not installed",
            remedy=f"Run `pip install 'spec-kitty-sync[{extras}]'`.",
            package=package,
            extras=extras.split(","),
        )

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}"


class InternalError(SpecKittyError):
    """A defect of this program; what was recorded before is kept."""

    code = "internal_error"
    exit_code = 70
    default_remedy = "Please report the traceback, and what `spec-kitty sync doctor` prints."
