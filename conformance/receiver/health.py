"""HLT: what the server says about itself."""

from typing import Any

from spec_kitty_sync.conformance.exchange import Request
from spec_kitty_sync.conformance.probe import NotApplicable, Probe
from spec_kitty_sync.conformance.suite import Case, check

_IDENTITY = ("server_instance_id", "deployment_id", "environment_name", "git_sha")


def _health(probe: Probe, note: str = "") -> dict[str, Any]:
    path = probe.around.address.health_path
    reply = probe.send(Request("GET", path, probe.head(), note=note))
    if reply.status == 404:
        raise NotApplicable(f"there is no health page at {path}")
    reply.expect_status(200)
    if not isinstance(reply.json, dict):
        raise reply.fail("a JSON object")
    return reply.json


@check("SKR-HLT-01", Case("with-token"), Case("without-token"))
def health_answers(probe: Probe, case: Case) -> None:
    own = case.name == "with-token"
    head = probe.head() if own else probe.head(token=None)
    reply = probe.send(Request("GET", probe.around.address.health_path, head))
    reply.expect_status(200, means="probes and load balancers cannot ask whether it lives")


@check("SKR-HLT-02", *(Case(name) for name in _IDENTITY))
def metadata_are_text_or_nothing(probe: Probe, case: Case) -> None:
    value = _health(probe).get(case.name)
    if value is not None and not isinstance(value, str):
        raise probe.last.fail(f"{case.name}: text, null or absent", f"{value!r}")


@check("SKR-HLT-03")
def metadata_are_stable(probe: Probe, case: Case) -> None:
    first = _health(probe)
    probe.control(probe.make.events(1), "an event between two health calls")
    for _ in range(3):
        later = _health(probe, "again")
        for name in _IDENTITY:
            if later.get(name) != first.get(name):
                raise probe.last.fail(
                    f"{name} = {first.get(name)!r}, as before", f"{later.get(name)!r}"
                )


@check("SKR-HLT-05")
def wiped_store_is_another_server(probe: Probe, case: Case) -> None:
    probe.need_it_alone()
    before = _health(probe).get("server_instance_id")
    probe.call_hook("reset-hook")
    after = _health(probe, "after the wipe").get("server_instance_id")
    if after is None or after == before:
        raise probe.last.fail(
            "another server_instance_id than before the wipe", f"server_instance_id {after!r}"
        )


@check("SKR-HLT-06", Case("max_batch_events"), Case("max_event_bytes"), Case("max_body_bytes"))
def limits_are_whole_numbers(probe: Probe, case: Case) -> None:
    value = _health(probe).get(case.name)
    if value is not None and (type(value) is not int or value < 1):
        raise probe.last.fail(f"{case.name}: a whole number above zero, or absent", f"{value!r}")
