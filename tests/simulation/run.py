"""One seed, one run: what was broken, what happened, and the hash of the whole history."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar
from unittest.mock import patch

from tests.simulation.invariants import counts_of, violations
from tests.simulation.loop import VirtualLoop, run_virtual
from tests.simulation.parts import Parts
from tests.simulation.rules import CONTROLS
from tests.simulation.world import World

_World = TypeVar("_World", bound=World)
_POST = ("relay", "consumer", "judge", "talk", "talk_loop")
_SAYING = (*(f"shared.runtime.post.{module}" for module in _POST), "services.audit.timers")


@dataclass(frozen=True, slots=True)
class Report:
    """The end of one run. `violations` empty means that every promise was kept."""

    seed: int
    violations: tuple[str, ...]
    history: str
    events: int
    virtual_s: float
    counts: dict[str, int]


def simulate(seed: int, parts: Parts | None = None) -> Report:
    """Run one seed with the real relay and consumer, or with what `parts` puts in their place."""
    parts = parts or Parts()
    world = at_its_end(parts, lambda loop: World(seed, loop, parts))
    return Report(
        seed,
        tuple(violations(world)),
        world.trace.digest(),
        world.trace.events,
        round(world.loop.virtual_s, 3),
        counts_of(world),
    )


def at_its_end(parts: Parts, made: Callable[[VirtualLoop], _World]) -> _World:
    """A world once it has run, with what `parts` puts in the place of others."""
    loop = VirtualLoop()
    with _silent(), ExitStack() as stack:
        for target, other in parts.patches.items():
            stack.enter_context(patch(target, other))
        world = made(loop)
        stack.enter_context(patch("shared.runtime.post.talk_loop.uuid4", world.new_id))
        run_virtual(loop, world.run())
    return world


def seeds_needed(control: str, *, seeds_max: int, first: int = 0) -> int | None:
    """How many seeds from the `first` on it takes until a control shows; None where so many are not enough."""
    seeds = range(first, first + seeds_max)
    return next((seed + 1 - first for seed in seeds if simulate(seed, CONTROLS[control]).violations), None)


def collect_seldom() -> None:
    """Leave what was imported alone, and what a run makes until there is a seed's worth of it."""
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)


@contextmanager
def _silent() -> Iterator[None]:
    """Alarms and waits are what a run is made of: nobody needs to read them."""
    with ExitStack() as stack:
        for module in _SAYING:
            stack.enter_context(patch(f"{module}.log", lambda *_, **__: None))
        yield
