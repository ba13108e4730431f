"""Who trains in a run directory: a lock that a lost process or machine does not hold for ever.

The lock is ``flock`` on ``.lock``, and what the file says: machine, process, and by its time of change when the holder
last gave a sign of life. ``flock`` alone is not enough where machines share a file system. Some reach no further than
one machine; others keep a dead machine's lock; and a process forked by a dead holder keeps it, too.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from rlsd_cli.errors import UserError
from rlsd_cli.runs.directory import no_links

LOCK_FILE = ".lock"
BEAT_S = 10.0
GONE_AFTER_S = 60.0  # without a sign of life, where the process itself can't be looked up
CLOCK_S = 2.0  # by so much the start of one process may be told differently: it is counted from the machine's own start
LOST = 75  # exit code of a run whose lock was taken


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock."""

    host: str
    system: str  # boot and process namespace: process numbers mean the same within it
    pid: int
    started: float

    @property
    def is_near(self) -> bool:
        """Whether the process can be looked up from here."""
        return (self.host, self.system) == (socket.gethostname(), _system())

    @property
    def runs(self) -> bool:
        """Whether the process, which is near, is there."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - self.started) < CLOCK_S
        except psutil.Error:
            return False


def this_process() -> Holder:
    """Return the holder that this process would be."""
    import psutil

    return Holder(socket.gethostname(), _system(), os.getpid(), psutil.Process().create_time())


def _system() -> str:
    """Return what tells one set of process numbers from another; '' where the system does not say."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def holder_of(path: Path) -> Holder | None:
    """Return the process that a lock file names, None where it names none."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def silence(path: Path) -> float:
    """Return the seconds since the last sign of life, by the clock of the file system that keeps the file."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".clock-") as file:
            now = os.fstat(file.fileno()).st_mtime
    except OSError:  # not ours to write in
        now = time.time()
    return now - path.stat().st_mtime


def busy(directory: Path) -> bool:
    """Tell whether a living process trains in a run directory."""
    try:
        with open(directory / LOCK_FILE, opener=no_links) as file:
            return _keeper(directory / LOCK_FILE, _lock(file, fcntl.LOCK_SH)) is not None
    except FileNotFoundError:
        return False


def _lock(file: IO[str], how: int = fcntl.LOCK_EX) -> bool | None:
    """Lock an open file without waiting; return whether that went, None on a file system without locks."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES) else None
    return True


def _keeper(path: Path, locked: bool | None) -> str | None:
    """Return who keeps a lock file from us that we could lock or could not, None where nobody living does."""
    holder = holder_of(path)
    if holder is None:
        return "another process" if locked is False else None
    if holder.is_near:
        return f"another process ({holder.pid})" if holder.runs and not locked else None
    quiet = silence(path)
    if quiet >= GONE_AFTER_S:
        return None
    return f"another process ({holder.pid} on {holder.host}, last seen {quiet:.0f} s ago)"


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold a run directory for this process, which gives signs of life until it lets go.

    A lock whose process is gone is taken over. A process that finds its lock taken ends at once: two must not write.

    Raises:
        UserError: A living process trains in the directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / LOCK_FILE
    while True:
        file = open(path, "a+", encoding="utf-8", opener=no_links)  # noqa: SIM115 - kept open as long as it is held
        locked = _lock(file)
        if keeper := _keeper(path, locked):
            file.close()
            raise UserError(f"{keeper} is training in {directory}: wait for it or stop it.")
        if _owns(file, path) and locked is not False:
            break
        with suppress(FileNotFoundError):  # a dead holder's: its lock stays with the file, so a new one takes its place
            if _owns(file, path):
                path.unlink()
        file.close()
    file.truncate(0)
    file.write(json.dumps(asdict(this_process())))
    file.flush()
    done = threading.Event()
    beat = threading.Thread(target=_give_signs, args=(file, path, done), daemon=True)
    beat.start()
    try:
        yield
    finally:
        done.set()
        beat.join()
        file.truncate(0)  # let go in good order: nobody has to wait for silence
        file.close()


def _owns(file: IO[str], path: Path) -> bool:
    """Tell whether an open file is still the one at its path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _give_signs(file: IO[str], path: Path, done: threading.Event) -> None:
    while not done.wait(BEAT_S):
        with suppress(OSError):  # such as a file server that is away for a moment
            if path.exists() and not _owns(file, path):
                sys.stderr.write(f"rlsd: another process has taken over {path.parent}; this one ends.\n")
                sys.stderr.flush()
                os._exit(LOST)
            os.utime(file.fileno())
