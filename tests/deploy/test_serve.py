"""What `causeway serve` does to its process before it begins."""

from __future__ import annotations

import gc

from deploy.serve import COLLECTED_EVERY, settle_collector


def test_what_is_loaded_is_left_alone_and_garbage_is_looked_for_rarely() -> None:
    before = gc.get_threshold()
    try:
        settle_collector()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == COLLECTED_EVERY
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
