"""The settings of one instance as a file of `NAME='value'` lines, for a shell, a systemd unit and a container alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from shared.runtime.instance.settings import RuntimeSettings, prefix_of

#: What the file says beside the settings, for the command that starts the instance.
KIND: Final = "CAUSEWAY_KIND"


def settings_text(instance: str, kind: str, given: Mapping[str, str | int | Path]) -> str:
    """Every setting that there is: those `given`, by name without prefix; of the others what holds without the line."""
    prefix = prefix_of(instance)
    lines = [
        f"# Settings of the instance {instance}. docs/operations/settings.md says what each means.",
        "# A line that begins with # states what is in force without it.",
        f"{KIND}={_quoted(kind)}",
        *(f"{prefix}{name}={_quoted(str(value))}" for name, value in given.items()),
        *(f"#{prefix}{name}={value}" for name, value in _defaults() if name not in given),
    ]
    return "\n".join(lines) + "\n"


def _defaults() -> Iterator[tuple[str, str]]:
    """The other settings, with their defaults as a file would say them."""
    for name, field in RuntimeSettings.model_fields.items():
        default = None if field.is_required() else field.default
        yield name.upper(), "" if default is None else str(default)


def _quoted(value: str) -> str:
    """In single quotes, which all three readers take. What we write holds none."""
    return f"'{value}'"
