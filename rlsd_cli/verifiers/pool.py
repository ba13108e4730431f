"""Comparing expressions in child processes, each pair once, within one budget of time for a batch.

What a model writes can hang any computer algebra (``9^{9^{9^{9}}}``), and an alarm fails in threads and in C code.
So the comparison runs in children that end themselves when they are late. A batch asks all its different pairs at
once: first each for a short time, then the first of the late ones for longer. So a hanging answer costs its own verdict
and no other's, however many completions of a group agree on it. Seconds are those of the child's processor, and what
each pair gets hangs on the number of pairs alone: a busy machine takes longer and gives the same verdicts.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rlsd_cli.errors import UserError

Pair = tuple[str, str]  # (answer, gold)

START_SECONDS = 300.0  # of the clock
FIRST_SECONDS = 3.0  # of the first try of a pair, less where the batch has many
LEAST_SECONDS = 0.5
SECOND_SECONDS = 10.0  # the official script's grader_timeout, for what the first round left
BATCH_SECONDS = 60.0  # of each of the two rounds, over all children
LAST_RESORT = 30.0  # times the seconds: of the clock, for a child that waits for something else than the processor
WORKERS = max(1, min(4, os.cpu_count() or 1))
REMEMBERED = 100_000
WORKER = Path(__file__).with_name("math_worker.py")


class Child:
    """One child process; started when first asked, again after it was ended."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        """Return the running process, a new one if there is none.

        Raises:
            UserError: It does not start, as where math-verify is not installed.
        """
        if self.process and self.process.poll() is None:
            return self.process
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        if self.ask(None, START_SECONDS) != "ready":
            self.end()
            raise UserError("the math verifier does not start: install it with pip install 'math-verify>=0.9,<0.10'.")
        return self.process

    def ask(self, question: Any, seconds: float) -> str:
        """Send a question and return the answer, '' if the process died or had to be ended."""
        process = self.process
        assert process is not None
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        timer = threading.Timer(seconds, process.kill)
        timer.daemon = True
        timer.start()
        try:
            reply = self.exchange(stdin, stdout, question)
        finally:
            timer.cancel()
        if not reply:
            self.end()
        return reply

    @staticmethod
    def exchange(stdin: IO[str], stdout: IO[str], question: Any) -> str:
        """Write a line, if there is one, and read a line; '' where the pipe is closed."""
        try:
            if question is not None:
                stdin.write(json.dumps(question) + "\n")
                stdin.flush()
            line = stdout.readline()
            return str(json.loads(line)) if line.strip() else ""
        except (OSError, ValueError):
            return ""

    def compare(self, pair: Pair, seconds: float) -> str:
        """Return what a pair is: 'equal', 'different', 'unread', or 'late'.

        A child that dies of a pair (out of time in C code, out of memory) says 'late' of it.

        Raises:
            UserError: The child does not start.
        """
        self.start()
        return self.ask([*pair, seconds], LAST_RESORT * (seconds + 1)) or "late"

    def end(self) -> None:
        """End the process."""
        if self.process:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe:
                    pipe.close()
            self.process = None


class MathPool:
    """Children that compare expressions, and what they found before.

    One pool serves one process: threads take turns, and a forked process starts its own children.

    Args:
        workers: How many children at most; no more are started than a batch has pairs.
        first: Most seconds of the first try of a pair.
        second: Seconds of the second try of those that were late.
        batch: Seconds of each of the two rounds, over all children.
    """

    def __init__(
        self,
        workers: int = WORKERS,
        first: float = FIRST_SECONDS,
        second: float = SECOND_SECONDS,
        batch: float = BATCH_SECONDS,
    ) -> None:
        self.workers, self.first, self.second, self.batch = workers, first, second, batch
        self.lock = threading.RLock()
        self.children: list[Child] = []
        self.owner = 0
        self.known: OrderedDict[Pair, str] = OrderedDict()
        self.collected: list[Pair] | None = None

    def compare(self, pair: Pair) -> str:
        """Return what one pair is; while a batch collects its pairs, '' for one that is not known yet."""
        with self.lock:
            if pair in self.known:
                self.known.move_to_end(pair)
                return self.known[pair]
            if self.collected is not None:
                self.collected.append(pair)
                return ""
            self.compare_all([pair])
            return self.known[pair]

    @contextmanager
    def collecting(self) -> Iterator[list[Pair]]:
        """Note the pairs that are asked for within, in place of comparing them one by one."""
        with self.lock:
            self.collected = []
            try:
                yield self.collected
            finally:
                self.collected = None

    def compare_all(self, pairs: Iterable[Pair]) -> None:
        """Compare the pairs that are not known yet, all within the batch's bound.

        Raises:
            UserError: math-verify is not installed.
        """
        with self.lock:
            new = [pair for pair in dict.fromkeys(pairs) if pair not in self.known]
            if not new:
                return
            if self.owner != os.getpid():
                self.children, self.owner = [], os.getpid()
            wanted = min(self.workers, len(new))
            self.children += [Child() for _ in range(wanted - len(self.children))]
            late = self.round(new, min(self.first, max(LEAST_SECONDS, self.batch / len(new))))
            self.round(late[: int(self.batch / self.second)], self.second)
            while len(self.known) > max(REMEMBERED, len(new)):
                self.known.popitem(last=False)

    def round(self, pairs: list[Pair], seconds: float) -> list[Pair]:
        """Compare pairs side by side, so many seconds each, and return the late ones."""
        waiting: queue.SimpleQueue[Pair] = queue.SimpleQueue()
        for pair in pairs:
            waiting.put(pair)
        errors: list[UserError] = []

        def work(child: Child) -> None:
            while not errors:
                try:
                    pair = waiting.get_nowait()
                    self.known[pair] = child.compare(pair, seconds)
                except queue.Empty:
                    return
                except UserError as error:
                    errors.append(error)

        others = [threading.Thread(target=work, args=(child,), daemon=True) for child in self.children[1 : len(pairs)]]
        for thread in others:
            thread.start()
        if pairs:
            work(self.children[0])
        for thread in others:
            thread.join()
        if errors:
            raise errors[0]
        return [pair for pair in pairs if self.known[pair] == "late"]

    def close(self) -> None:
        """End the children."""
        with self.lock:
            if self.owner == os.getpid():
                for child in self.children:
                    child.end()
            self.children = []


POOL = MathPool()
atexit.register(POOL.close)
