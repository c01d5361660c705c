"""What people read on the terminal: one console for all, and log lines. Knows nothing of records."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import rich
from rich.console import Console, ConsoleOptions, RenderableType
from rich.logging import RichHandler
from rich.segment import Segment
from rich.text import Text

from noria.common.visible import visible


class PlainConsole(Console):
    """A console that shows texts as they are: no part of a text is markup, and none steers the terminal.

    Labels, paths and rows come from users. Rich would take `[/INST]` for its own markup and fail, leave out
    `[nan, nan]`, and make a picture of `:cat:`. What is to be bold or red is a `Text` with a style.
    """

    def render_str(self, text: str, *, emoji: bool | None = None, markup: bool | None = None, **style: Any) -> Text:
        return super().render_str(text, emoji=bool(emoji), markup=bool(markup), **style)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def get_console() -> Console:
    """The console of this process: Rich's own one, so that Lightning's bars and our lines keep out of each other."""
    if not isinstance(rich.get_console(), PlainConsole):  # noqa: TID251
        rich._console = PlainConsole()
    return rich.get_console()  # noqa: TID251


log = logging.getLogger(__name__)


def set_up_logging(console: Console | None = None) -> None:
    """Noria's own log lines in full, those of libraries from warnings on."""
    handler = RichHandler(console=console or get_console(), show_time=False, show_path=False, show_level=False)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("noria").setLevel(logging.INFO)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # an unreachable hub gets one message of ours
    for chatty in ("lightning.pytorch", "lightning.fabric", "lightning", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Advice about choices that Noria has made on purpose.
    for advice in ("does not have many workers", "exists and is not empty", "LeafSpec", "litlogger", "sync_dist=True"):
        warnings.filterwarnings("ignore", f".*{advice}.*")


@lru_cache
def say_once(line: str) -> None:
    """A line that a process says only once, however often it is true."""
    log.warning(line)
