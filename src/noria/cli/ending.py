"""How a command ends: the exit status and the message of whatever was raised.

0 done, 1 failed, 2 a user's mistake, 130 interrupted, 143 terminated, 129 hung up.
"""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from noria.common.errors import RunError, Terminated, UserError
from noria.common.paths import conf_dir
from noria.common.visible import visible
from noria.config.messages import explain

# A disk that is full, a quota, a folder that is not to be written: no fault of Noria's.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


STOPPED = (129, 130, 143)


def ending(error: BaseException) -> tuple[int, str]:
    """The exit status and the message; the traceback of a fault that nobody understands is printed."""
    match error:
        case UserError():
            return 2, str(error)
        case HydraException() | OmegaConfBaseException():
            return 2, explain(error, conf_dir())
        case RunError():
            return 1, str(error)
        case KeyboardInterrupt():
            return 130, f"Interrupted.{_way_on(error)}"
        case Terminated():
            return error.status, f"Terminated.{_way_on(error)}"
        case SystemExit():  # Hydra's own --help and the like
            return error.code if isinstance(error.code, int) else 0 if error.code is None else 2, ""
        case OSError() if error.errno in NO_ROOM:
            return 1, f"{error.filename or 'A file'} cannot be written: {error.strerror}."
    where = traceback.extract_tb(error.__traceback__)
    at = f" ({Path(where[-1].filename).name}, line {where[-1].lineno})" if where else ""
    if isinstance(error, ModuleNotFoundError) and (package := str(error.name).partition(".")[0]) != "noria":
        return 2, (
            f"The Python module '{error.name}' is not there{at}: install the package that has it "
            f"(pip install {package}), or put it on the path (PYTHONPATH)."
        )
    print(visible("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    kind = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}{at}"
    return 1, f"{kind}\nThis is a fault in Noria or in a component of yours, not in the config."


def say(message: str, status: int) -> None:
    """Prints to standard error, without Rich: importing it takes a tenth of the second that a mistake may cost."""
    if message:
        color = "\033[33m" if status in STOPPED else "\033[31m"
        shown = visible(message)  # also in a file or a pipe: both are looked at on a terminal
        print(f"{color}{shown}\033[0m" if sys.stderr.isatty() else shown, file=sys.stderr)


def _way_on(stop: BaseException) -> str:
    return str(next(iter(stop.args), ""))
