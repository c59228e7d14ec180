"""AUT: who may write."""

from spec_kitty_sync.conformance.probe import NotApplicable, Probe
from spec_kitty_sync.conformance.suite import Case, check

_STORED = {
    "duplicate": "the receiver stored the event before it looked at the token",
    "": "once its request was refused, the event is taken no more, with the right token either",
}
_BLURRED = "a bad token is not told apart from other trouble, so nobody refreshes it"


@check("SKR-AUT-02")
def missing_token_is_401(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    probe.post([event], token=None, note="no Authorization").expect_error(
        401, means={"2xx": "a request without a token got past the door", "": _BLURRED}
    )
    reply = probe.post([event], note="the same event with the token")
    probe.taken(reply, [event], _STORED)


@check(
    "SKR-AUT-03",
    Case("unknown", {"value": "Bearer sk-not-a-token"}),
    Case("empty", {"value": "Bearer "}),
    Case("no-scheme", {"value": "sk-not-a-token"}),
    Case("basic", {"value": "Basic c2s6c2s="}),
    Case("jwt-like", {"value": "Bearer a.b.c"}),
    Case("alg-none", {"value": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJzayJ9."}),
    Case("long", {"value": "Bearer " + "x" * 4000}),
    Case("non-ascii", {"value": "Bearer schlüssel"}),
    Case("scheme-only", {"value": "Bearer"}),
    Case("own-as-basic", {"value": "Basic {own}"}),
    Case("own-without-scheme", {"value": "{own}"}),
)
def wrong_token_is_401(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    header = ("Authorization", case["value"].replace("{own}", probe.around.token or ""))
    reply = probe.post([event], headers=[header], note=f"{case.name} token")
    door = "the scheme is not looked at" if case.name.startswith("own-") else "anyone can write"
    reply.expect_error(401, means={"2xx": f"{case.name}: it gets in, {door}", "": _BLURRED})
    reply = probe.post([event], note="the same event with the token")
    probe.taken(reply, [event], _STORED)


@check(
    "SKR-AUT-04",
    Case("not-json", {"body": b"{", "encoding": None}),
    Case("not-gzip", {"body": b"no gzip at all", "encoding": "gzip"}),
    Case("wrong-shape", {"body": b'{"events":7}', "encoding": None}),
    Case("empty-batch", {"body": b'{"events":[]}', "encoding": None}),
)
def token_comes_before_body(probe: Probe, case: Case) -> None:
    reply = probe.post(
        body=case["body"],
        encoding=case["encoding"],
        packed=True,
        token="sk-not-a-token",
        note=f"wrong token and bad body ({case.name})",
    )
    means = {"2xx": "a wrong token gets in", "": "the body is looked at before the token"}
    reply.expect_error(401, means=means)


@check("SKR-AUT-05")
def expired_token_is_401(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    reply = probe.post([event], token=_spare(probe, "expired"), note="an expired token")
    means = {"2xx": "a token opens the door for ever", "": "the sender does not refresh it"}
    reply.expect_error(401, means=means)
    probe.taken(probe.post([event], note="the same event, valid token"), [event], _STORED)


@check("SKR-AUT-06", Case("foreign-team"), Case("foreign-token"))
def teams_are_kept_apart(probe: Probe, case: Case) -> None:
    if case.name == "foreign-team":
        if probe.around.team is None:
            raise NotApplicable("name the team of the token in the variable SK_TEAM")
        event = probe.make.event(team_slug=f"sk-foreign-{probe.around.namespace.label}")
        reply = probe.post([event], note="team_slug of a team that is not the token's")
        if reply.status != 403:
            probe.refused(reply, event, "a token writes into the history of any team")
        return
    other = _spare(probe, "other_team")
    event = probe.make.event()
    probe.control([event], "an event of our team")
    changed = {**event, "node_id": "ffffffffffff"}
    reply = probe.post([changed], token=other, note="other content, the other team's token")
    reply.expect_status(200, 401, 403, means="the other team's request took it down")
    reply = probe.post([event], note="our event again, our token")
    means = "the other team's event replaced ours"
    probe.repeated(reply, [event], {"success": means, "rejected": means})


def _spare(probe: Probe, name: str) -> str:
    token = probe.around.spare_tokens.get(name)
    if token is None:
        raise NotApplicable(f"give such a token in the variable SK_TOKEN_{name.upper()}")
    return token


@check("SKR-AUT-07")
def challenge_names_bearer(probe: Probe, case: Case) -> None:
    reply = probe.post(probe.make.events(1), token=None).expect_status(401)
    challenge = reply.header("WWW-Authenticate") or ""
    if not challenge.lower().startswith("bearer"):
        raise reply.fail("WWW-Authenticate: Bearer", f"WWW-Authenticate: {challenge or 'none'}")


@check("SKR-AUT-08", Case("bearer"), Case("BEARER"))
def scheme_has_no_case(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    header = ("Authorization", f"{case.name} {probe.around.token}")
    reply = probe.post([event], headers=[header], note=f"scheme written {case.name}")
    probe.taken(reply, [event], "the scheme is compared byte by byte")


@check("SKR-AUT-09", Case("last"), Case("first"), Case("shorter"), Case("longer"))
def changed_token_is_401(probe: Probe, case: Case) -> None:
    token = probe.around.token or ""
    changed = {
        "last": token[:-1] + _other(token[-1:]),
        "first": _other(token[:1]) + token[1:],
        "shorter": token[:-1],
        "longer": token + "x",
    }[case.name]
    reply = probe.post(probe.make.events(1), token=changed, note=f"{case.name}: one character")
    reply.expect_error(401, means={"2xx": "a token is not compared whole", "": _BLURRED})


def _other(char: str) -> str:
    return "B" if char == "A" else "A"


@check("SKR-AUT-10", Case("without"), Case("with"))
def open_receiver_takes_both(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    token = "sk-any-token" if case.name == "with" else None
    reply = probe.post([event], token=token, note=f"{case.name} a token")
    probe.taken(reply, [event], "a receiver without authentication looks at the header")
