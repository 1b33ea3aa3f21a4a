"""What is wrong with a call, said without anything that was given in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from client.problem import OptionsRefused

if TYPE_CHECKING:
    from cyclopts import CycloptsError
    from rich.panel import Panel

#: The words of a call that make a member of a body under another name; any other is made by the option of its name.
_WORDS: Final = {
    "agency": "--to",
    "answer": "SAID",
    "basis": "--basis",
    "locations": "LOCATIONS",
    "not_after": "--until",
    "retention": "--kept-class",
}
_HIDDEN: Final = "…"


def options_refused(error: ValueError) -> OptionsRefused | None:
    """The refusal of a body that is none, by the options that make it; None for an error that is of no body."""
    from pydantic import ValidationError

    from shared.contracts.base import error_locations

    if not isinstance(error, ValidationError):
        return None
    found = error.errors(include_url=False, include_input=False)
    # A rule about several members is named by what the contract raises.
    named = [one | {"type": str(one["ctx"]["error"])} if one["type"] == "value_error" else one for one in found]
    listed = error_locations(named)
    return OptionsRefused(
        tuple((_option(each["field"]), each["rule"]) for each in listed),
        tuple(each.get("expected") for each in listed),
    )


def _option(pointer: str) -> str:
    """The option, or the word by its place, that makes what a pointer into a body leads to; `/` for the whole body."""
    name, *inside = pointer.strip("/").split("/")
    if not name:
        return "/"
    number = f" {int(inside[0]) + 1}" if inside and inside[0].isdecimal() else ""
    return _WORDS.get(name, f"--{name.replace('_', '-')}") + number


def hidden(error: CycloptsError) -> Panel:
    """A call that cannot be read, as the program says it, with every value of the call left out."""
    from cyclopts import CycloptsPanel

    told = str(error)
    words = error.root_input_tokens or ()
    named = {word for word in (*words, str(getattr(error, "value", ""))) if word} - {*(error.command_chain or ())}
    for value in named:
        told = told.replace(f'"{value}"', f'"{_HIDDEN}"').replace(repr(value), repr(_HIDDEN))
    for word in words:
        option, assigned, value = word.partition("=")
        if assigned and option.startswith("-"):
            told = told.replace(word, f"{option}={_HIDDEN}").replace(f'"{value}"', f'"{_HIDDEN}"')
    return CycloptsPanel(told)
