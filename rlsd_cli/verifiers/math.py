r"""Mathematical equality by math-verify, in a child process with a hard deadline.

math-verify's time-outs are alarms: in a thread they raise, and without them an answer such as
``9^{9^{9^{9}}}`` hangs a training run. So it runs in a child that is killed when it is late.
Extraction is our own and strict (``rlsd_cli.verifiers.extract``): math-verify by itself takes any
number of the text, counts boxes inside ``<think>`` and merges adjacent boxes into a set.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from rlsd_cli.errors import UserError
from rlsd_cli.tasks.base import Verdict
from rlsd_cli.verifiers.exact import normalise
from rlsd_cli.verifiers.extract import MAX_ANSWER_CHARS, last_box, stated_answer

DEADLINE_SECONDS = 10.0  # the official script's grader_timeout
START_SECONDS = 120.0
WORKER = Path(__file__).with_name("math_worker.py")


class MathChild:
    """A child process that compares expressions; started when first asked, again after it was killed.

    One child serves one process: threads take turns, and a forked process starts its own.
    """

    def __init__(self, deadline: float = DEADLINE_SECONDS) -> None:
        self.deadline = deadline
        self.lock = threading.Lock()
        self.process: subprocess.Popen[str] | None = None
        self.owner = 0

    def start(self) -> subprocess.Popen[str]:
        """Return the running child, a new one if there is none.

        Raises:
            UserError: The child does not start, as where math-verify is not installed.
        """
        if self.process and self.owner == os.getpid() and self.process.poll() is None:
            return self.process
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self.owner = os.getpid()
        if self.ask(self.process, None, START_SECONDS) != "ready":
            raise UserError("the math verifier does not start: install it with pip install 'math-verify>=0.9,<0.10'.")
        return self.process

    @staticmethod
    def ask(process: subprocess.Popen[str], line: str | None, seconds: float) -> str:
        """Send a line and return the next one, '' if the child had to be killed."""
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            if line is not None:
                process.stdin.write(line + "\n")
                process.stdin.flush()
            return process.stdout.readline().strip()
        except OSError:
            return ""
        finally:
            timer.cancel()

    def equal(self, answer: str, gold: str) -> bool:
        """Return whether two expressions are equal; False where the comparison takes too long."""
        with self.lock:
            process = self.start()
            reply = self.ask(process, json.dumps([answer, gold]), self.deadline)
            if not reply:
                process.kill()
                process.wait()
                self.process = None
            return reply == "true"

    def close(self) -> None:
        """End the child."""
        with self.lock:
            if self.process and self.owner == os.getpid():
                self.process.kill()
                self.process.wait()
            self.process = None


CHILD = MathChild()
atexit.register(CHILD.close)


def verify_math(text: str, gold: str, child: MathChild = CHILD) -> Verdict:
    r"""Judge the stated answer by mathematical equality.

    Equal strings are right without asking the child. What math-verify does is kept: ``50\%`` equals
    both 0.5 and 50, ``1/3`` is not 0.333, ``1,2`` is the set of both.

    Args:
        text: The whole completion.
        gold: The gold answer, bare, in dollars or in a box.
        child: The process that compares.

    Raises:
        UserError: math-verify is not installed.
    """
    extracted = stated_answer(text)
    target = gold if (box := last_box(gold)) is None else box
    if not extracted or not target.strip() or len(target) > MAX_ANSWER_CHARS:
        return Verdict(correct=False, extracted=extracted)
    if normalise(extracted) == normalise(target):
        return Verdict(correct=True, extracted=extracted)
    bare = [each.replace("$", " ").strip() for each in (extracted, target)]
    return Verdict(correct=child.equal(*bare), extracted=extracted)
