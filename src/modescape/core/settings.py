"""Declare settings once: frozen dataclasses that check themselves and that a recipe may fill in."""

from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def settings(cls: type[T]) -> type[T]:
    """Make a frozen, keyword-only dataclass whose ``__post_init__`` refuses impossible values with ``ValueError``.

    The attribute is a plain dictionary that pydantic reads if it is there: unknown keys and wrong types are errors
    wherever a recipe is read, and ``core`` itself needs no pydantic.
    """
    made: Any = dataclass(frozen=True, kw_only=True)(cls)
    made.__pydantic_config__ = {"extra": "forbid", "strict": True}
    result: type[T] = made
    return result


def require(condition: bool, message: str) -> None:
    """Raise ``ValueError(message)`` unless the condition holds."""
    if not condition:
        raise ValueError(message)
