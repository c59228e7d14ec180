"""The command line as a tree: which commands and options there are."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click

from spec_kitty_sync.cli.main import cli


def refuse_unknown(command: str) -> None:
    """Raise for a command or an option that the command line does not have."""
    words = [word for word in shlex.split(command)[1:] if word not in ("…", "...")]
    context, current = click.Context(cli, info_name="spec-kitty"), cli
    while words and isinstance(current, click.Group) and not words[0].startswith("-"):
        name = words.pop(0)
        found = current.get_command(context, name)
        assert found is not None, f"{command}: there is no {name!r}"
        context, current = click.Context(found, info_name=name, parent=context), found
    options = {
        option
        for param in current.params
        if isinstance(param, click.Option)
        for option in (*param.opts, *param.secondary_opts)
    } | {"--help"}
    unknown = [w for w in words if w.startswith("-") and w != "-" and w not in options]
    assert not unknown, f"{command}: {current.name} has no {unknown}"


def every_command(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command below *group* with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group) and (*path, name) != ("emit",):
            yield from every_command(command, (*path, name))


def every_option() -> set[str]:
    """Return every option that any command has."""
    commands = [cli, *(command for _, command in every_command(cli))]
    emit = cli.get_command(click.Context(cli), "emit")
    assert isinstance(emit, click.Group)
    commands += [command for _, command in every_command(emit)]
    return {
        option
        for command in commands
        for param in command.params
        if isinstance(param, click.Option)
        for option in (*param.opts, *param.secondary_opts)
    } | {"--help"}
