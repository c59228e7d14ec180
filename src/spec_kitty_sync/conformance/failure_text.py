"""How a finding reads: requirement, request, answer, meaning, and what to do next."""

from __future__ import annotations

import textwrap
from pathlib import Path

from spec_kitty_sync.conformance.catalogue import Requirement
from spec_kitty_sync.conformance.consequence import consequence_of
from spec_kitty_sync.conformance.excerpt import excerpt
from spec_kitty_sync.conformance.exchange import Exchange
from spec_kitty_sync.conformance.outcome import CheckResult, Outcome, Suspect
from spec_kitty_sync.conformance.reply import grouped, last_words, shorten, visible
from spec_kitty_sync.conformance.request_text import body_file, curl_command, headers_of

_WIDTH = 100
_LABEL = 13
_STEPS_SHOWN = 6
_SENT_SHOWN = 420
_BROKE_SHOWN = 4000


def render(
    requirement: Requirement, result: CheckResult, folder: Path = Path(".sk"), url: str = ""
) -> str:
    """Return the text of a result that did not pass, as the terminal and the reports show it.

    *folder* is where the run writes its replay capsules; *url* is what was judged.
    """
    lines = [_headline(requirement, result)]
    if result.suspects and result.finding is None:
        return "\n".join(lines + _suspects(result, folder, url or "URL"))
    lines += _line("requirement", _clause(requirement))
    step = _step(result)
    if step:
        lines += _before(result, step)
    if step is not None:
        lines += _line(f"step {step + 1} of {len(result.exchanges)}", _summary(result, step))
        about = result.finding.about if result.finding else ""
        lines += _exchange_lines(result.exchanges[step], about)
    if result.finding is None:
        lines += _line("reason", result.reason)
    else:
        lines += _finding_lines(requirement, result, step)
        for one in result.suspects:
            told = f"{one.name}, step {one.step}, answered just before: a receiver can die late"
            lines += _line("or else", told)
        if result.outcome in {Outcome.FAILED, Outcome.WARNING}:
            for hint in _replay_hints(requirement, result, step, folder, url or "URL"):
                lines += _line("replay", hint)
    lines += _line("explain", f"spec-kitty conformance explain {result.check_id}")
    return "\n".join(lines)


def _clause(requirement: Requirement) -> str:
    told = f'{requirement.clause}: "{requirement.sentence}"'
    return f"{told} (provisional)" if requirement.provisional else told


def _headline(requirement: Requirement, result: CheckResult) -> str:
    left = f"{result.name}  {requirement.level}  {requirement.title}"
    right = result.outcome.value.upper().replace("_", " ")
    return f"{left}{' ' * max(2, _WIDTH - len(left) - len(right))}{right}"


def _step(result: CheckResult) -> int | None:
    if not result.exchanges:
        return None
    if result.finding and result.finding.step:
        return result.finding.step - 1
    return len(result.exchanges) - 1


def _before(result: CheckResult, step: int) -> list[str]:
    """Return what came before the step in question: of a long story, its last steps."""
    first = max(0, step - _STEPS_SHOWN)
    lines = _line("before", f"{first} steps, then") if first else []
    for place in range(first, step):
        one = result.exchanges[place]
        told = one.request.note or f"{one.request.method} {one.request.path}"
        label = "before" if place == first and not lines else ""
        lines += _line(label, f"{place + 1}. {told} → {one.gist}")
    return lines


def _summary(result: CheckResult, step: int) -> str:
    exchange = result.exchanges[step]
    note = f"  [{exchange.request.note}]" if exchange.request.note else ""
    return exchange.summary + note


def _exchange_lines(exchange: Exchange, about: str, *, suspect: bool = False) -> list[str]:
    if exchange.is_command:
        printed = exchange.response.text if exchange.response else exchange.broke
        read = exchange.request.text
        lines = _line("read", shorten(read, 420)) if read else []
        return lines + _line("printed", last_words(printed, 480) or "(nothing)")
    heard = exchange.response.text if exchange.response else ""
    sent = excerpt(exchange.request.text, "events", about, heard)
    headers = headers_of(exchange)
    lines = _line("headers", shorten(headers, 300)) if headers else []
    # Nothing but the request can say what broke the connection: it is shown as whole as it goes.
    limit = _BROKE_SHOWN if exchange.broke or suspect else _SENT_SHOWN
    lines += _line("sent", shorten(sent, limit) or "(no body)")
    answer = exchange.response
    if answer is not None:
        kind = answer.header("Content-Type") or "no Content-Type"
        if answer.header("Location"):
            kind += f", Location {answer.header('Location')}"
        said = excerpt(answer.text, "results", about)
        lines += _line("answered", f"{answer.status} {kind}: {shorten(said, 480)}")
    return lines


def _finding_lines(requirement: Requirement, result: CheckResult, step: int | None) -> list[str]:
    finding = result.finding
    if finding is None:
        return []
    lines = _line("expected", finding.expected) + _line("got", finding.got)
    lines += _line("means", finding.means or requirement.why)
    effect = finding.sender
    if not effect and step is not None and requirement.about_receivers:
        effect = consequence_of(result.exchanges[step], finding.about)
    if effect:
        lines += _line("sender does", effect)
    if finding.beside:
        lines += _line("neighbours", shorten(finding.beside, 500))
    if result.siblings:
        lines += _line("other cases", shorten(grouped(result.siblings), 500))
    ruled_out = _ruled_out(result, step)
    if ruled_out:
        lines += _line("ruled out", ruled_out)
    return lines


def _ruled_out(result: CheckResult, step: int | None) -> str:
    known = [f"{', '.join(result.ruled_out)} passed"] if result.ruled_out else []
    if step:
        before = "step 1" if step == 1 else f"steps 1-{step}"
        known.append(f"{before} of this check answered as expected")
    return ", ".join(known)


def _replay_hints(
    requirement: Requirement, result: CheckResult, step: int | None, folder: Path, url: str
) -> list[str]:
    stem = f"{folder}/{capsule_stem(result)}"
    if not requirement.about_receivers:
        return [f"spec-kitty conformance replay {stem}.json"] if result.exchanges else []
    hints = [f"spec-kitty conformance replay {stem}.json --to {url}"]
    # One request alone repeats a story of several steps only by chance.
    if step != 0 or not result.exchanges[step].request.body:
        return hints
    request = result.exchanges[step].request
    return [*hints, curl_command(request, body_file(f"{stem}.1", request), url)]


def capsule_stem(result: CheckResult) -> str:
    """Return the file name of the result's capsule, without its ending."""
    return _file_name(f"{result.check_id}.{result.case}" if result.case else result.check_id)


def _suspects(result: CheckResult, folder: Path, url: str) -> list[str]:
    """Return what is known of a death without a culprit: the requests it may have come of."""
    lines = _line("reason", result.reason)
    for one in result.suspects:
        beside = f", one of {one.at_once} sent at once" if one.at_once > 1 else ""
        lines += _line("suspect", f"{one.name}, step {one.step}{beside}: {one.exchange.summary}")
        lines += _exchange_lines(one.exchange, "", suspect=True)
        name = body_file(f"{folder}/{suspect_stem(one)}", one.exchange.request)
        lines += _line("replay", curl_command(one.exchange.request, name, url))
    checks = ",".join(dict.fromkeys(one.check_id for one in result.suspects))
    how = "start the receiver again and send this request: if it is gone after it, its log says why"
    lines += _line("go on", how)
    return lines + _line("then", f"spec-kitty conformance receiver {url} --only {checks}")


def suspect_stem(suspect: Suspect) -> str:
    """Return the file name of a suspect's request, without its ending."""
    return f"{_file_name(suspect.name)}.{suspect.step}.suspect"


def _file_name(name: str) -> str:
    plain = name.replace("[", ".").removesuffix("]")
    return "".join(char if char.isalnum() or char in "-._" else "_" for char in plain)


def _line(label: str, text: str) -> list[str]:
    wrapped = textwrap.wrap(
        visible(text), _WIDTH - _LABEL - 2, break_long_words=True, break_on_hyphens=False
    ) or [""]
    head = f"  {label:<{_LABEL - 1}} {wrapped[0]}"
    return [head] + [" " * (_LABEL + 2) + rest for rest in wrapped[1:]]
