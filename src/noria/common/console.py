"""Log lines for people: plain, on the terminal. Knows nothing of records."""

from __future__ import annotations

import logging
import warnings

from rich import get_console
from rich.console import Console
from rich.logging import RichHandler


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
