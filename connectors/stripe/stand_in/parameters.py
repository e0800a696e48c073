"""Decodes Stripe's form encoding and refuses what the `stripe` package's types do not know.

The package generates a `TypedDict` for the parameters of every request. Each is rebuilt here
as a closed one for pydantic, so the check always follows the installed API version.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import (
    Annotated,
    Any,
    ForwardRef,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from stripe import RequestOptions
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import TypedDict, is_typeddict


class Refusal(Exception):
    """A request that Stripe would answer with an error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"type": kind, "message": message, "code": code, "param": param}


def decoded(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return `a[b][0]=c` as nested dictionaries and lists.

    >>> decoded([("lines[0][amount]", "5"), ("metadata[a]", "b")])
    {'lines': [{'amount': '5'}], 'metadata': {'a': 'b'}}
    """
    tree: dict[str, Any] = {}
    for name, value in pairs:
        *path, last = name.replace("]", "").split("[")
        place = tree
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    return {key: _with_lists(value) for key, value in tree.items()}


def checked(given: Mapping[str, Any], params: Any) -> dict[str, Any]:
    """Return the parameters with their proper types.

    Raise Refusal for one that the package's `params` does not know or types otherwise.
    """
    try:
        return _adapter(params).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        # A mismatch inside a union is reported once for each branch; the path leads there.
        path = [str(step) for step in first["loc"]]
        name = path[0] + "".join(f"[{step}]" for step in path[1:])
        unknown = first["type"] == "extra_forbidden"
        raise Refusal(
            400,
            f"Received unknown parameter: {name}" if unknown else f"{name}: {first['msg']}",
            code="parameter_unknown" if unknown else "parameter_invalid",
            param=name,
        ) from None


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _with_lists(inner) for key, inner in value.items()}
    if items and all(key.isdigit() for key in items):
        return [items[key] for key in sorted(items, key=int)]
    return items


@cache
def _strict_type(params: Any) -> Any:
    """Return a TypedDict again, closed and without the options that are no parameters."""
    namespace = vars(sys.modules[params.__module__])
    own = {
        name: annotation
        for name, annotation in params.__annotations__.items()
        if name not in RequestOptions.__annotations__
    }
    shape = type(params.__name__, (), {"__annotations__": own, "__module__": params.__module__})
    hints = get_type_hints(shape, globalns=namespace, include_extras=True)
    fields: dict[str, Any] = {}
    for name, hint in hints.items():
        is_optional = get_origin(hint) is NotRequired
        kind = _strict(get_args(hint)[0] if is_optional else hint, namespace)
        fields[name] = NotRequired[kind] if is_optional else kind
    # Called by a name that mypy does not know: the fields are known at run time only.
    make: Any = TypedDict
    closed = make(params.__name__, fields)
    closed.__pydantic_config__ = ConfigDict(extra="forbid")
    return closed


@cache
def _adapter(params: Any) -> TypeAdapter[dict[str, Any]]:
    return TypeAdapter(_strict_type(params))


def _strict(hint: Any, namespace: Mapping[str, Any]) -> Any:
    """Return a type hint with closed TypedDicts and without the loopholes for newer values."""
    if isinstance(hint, (str, ForwardRef)):
        holder = type("Holder", (), {"__annotations__": {"hint": hint}})
        hint = get_type_hints(holder, globalns=dict(namespace), include_extras=True)["hint"]
    if is_typeddict(hint):
        return _strict_type(hint)
    if hint is bool:
        return Annotated[bool, BeforeValidator(_is_true)]
    if hint is Decimal:
        return Annotated[Decimal, BeforeValidator(_plain_decimal)]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _strict_union(inner, namespace)
    if origin is list:
        return list[_strict(inner[0], namespace)]  # type: ignore[misc]
    if origin is dict:
        return dict[str, _strict(inner[1], namespace)]  # type: ignore[misc]
    return hint


def _strict_union(branches: tuple[Any, ...], namespace: Mapping[str, Any]) -> Any:
    """Return a union without `str` beside literals and without the package's answer objects.

    The package lets any text pass beside the known words, for words that it has yet to learn.
    """
    evaluated = [_strict(branch, namespace) for branch in branches]
    literals = [one for one in evaluated if get_origin(one) is Literal]
    words = any(get_args(one) != ("",) for one in literals)
    kept = [
        one
        for one in evaluated
        if get_origin(one) is not UntypedStripeObject and not (words and one is str)
    ]
    return Union[tuple(kept)]  # noqa: UP007 - built at run time


def _is_true(value: object) -> object:
    return {"true": True, "false": False}.get(str(value), value)


def _plain_decimal(value: object) -> object:
    if isinstance(value, str) and not value.lstrip("-").replace(".", "", 1).isdigit():
        raise ValueError(f"Invalid decimal: {value}")
    return value
