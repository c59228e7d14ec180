"""Command-line options made from the fields of a payload model."""

from __future__ import annotations

import enum
import json
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from spec_kitty_sync.cli.values import TEXT, WHOLE
from spec_kitty_sync.events.lanes import LANE_ALIASES, Lane
from spec_kitty_sync.events.payloads import RecordedTransition, StatusTransitionPayload
from spec_kitty_sync.events.registry import EventType


def _from_json(ctx: click.Context, param: click.Parameter, value: str | None) -> object:
    """Return the value that the option's text stands for."""
    try:
        return None if value is None else json.loads(value)
    except ValueError:
        raise click.BadParameter("expected JSON", ctx, param) from None


def written_model(kind: EventType) -> type[BaseModel] | None:
    """Return the payload model that we write for *kind*."""
    models = [shape.model for shape in kind.shapes]
    return StatusTransitionPayload if RecordedTransition in models else models[-1]


def payload_options(kind: EventType) -> list[click.Option]:
    """Return one option for each field of the payload that we write for *kind*."""
    model = written_model(kind)
    return [_option(name, field) for name, field in model.model_fields.items()] if model else []


def _option(name: str, field: FieldInfo) -> click.Option:
    flag = f"--{name.replace('_', '-')}"
    bare = _bare(field.annotation)
    needed = "Required." if field.is_required() else None
    if bare is bool:
        return click.Option([flag], is_flag=True, default=None, help=needed)
    if get_origin(bare) is tuple:
        return click.Option(
            [flag, name], type=TEXT, multiple=True, help="May be given several times."
        )
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        return click.Option([flag], type=TEXT, metavar="JSON", callback=_from_json, help=needed)
    return click.Option([flag], type=_type(bare), help=needed)


def _type(bare: Any) -> click.ParamType[Any]:
    if bare is int:
        return WHOLE
    if get_origin(bare) is Literal:
        return click.Choice([str(each) for each in get_args(bare)])
    if bare is Lane:
        return click.Choice([*(lane.value for lane in Lane), *LANE_ALIASES])
    if isinstance(bare, type) and issubclass(bare, enum.Enum):
        return click.Choice([each.value for each in bare])
    return TEXT


def _bare(annotation: Any) -> Any:
    """Return *annotation* without None and without metadata."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        (only, *_) = [each for each in get_args(annotation) if each is not type(None)]
        return _bare(only)
    return annotation
