"""What the server knows of its workers' versions, from what they tell, and what it has done. Opens no model."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from noria.serving.follow import Event, Failed, Refused, Taken

log = logging.getLogger(__name__)


class Status:
    """The versions that answer, those that were refused, and counts.

    Args:
        follows: a champion is followed, so that versions are news.
    """

    def __init__(self, follows: bool) -> None:
        self.follows = follows
        self.failed: Failed | None = None
        self.newest: Taken | None = None
        self.refused: dict[str, str] = {}  # by version, why
        self.swaps = 0
        self.answered = {"requests": 0, "texts": 0, "feedback": 0}
        self._by_worker: dict[int, str] = {}
        self._hearers: list[Callable[[Event], None]] = []

    @property
    def versions(self) -> dict[str, int]:
        """Those that answer now, with how many workers each: two where one worker has swapped and one is about to."""
        return dict(sorted(Counter(self._by_worker.values()).items()))

    def pass_on(self, hearer: Callable[[Event], None]) -> None:
        """Who else is to hear of each event, after this status."""
        self._hearers.append(hearer)

    def hear(self, event: Event) -> None:
        """Takes in what a worker tells."""
        if isinstance(event, Taken):
            before = self._by_worker.get(event.worker)
            self._by_worker[event.worker] = event.named.version
            self.newest = event
            self.refused.pop(event.named.version, None)
            if before not in (None, event.named.version):
                self.swaps += 1
                log.info("Version %s answers now, in place of %s.", event.named.version, before)
        elif isinstance(event, Refused):
            self.refused[event.version] = event.reason
            goes_on = self._by_worker.get(event.worker, "the one before")
            log.warning("Version %s is not taken, %s goes on: %s", event.version, goes_on, event.reason)
        else:
            self.failed = event
        for hearer in self._hearers:
            hearer(event)
