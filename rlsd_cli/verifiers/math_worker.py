"""The child process of ``rlsd_cli.verifiers.math``: JSON lines in, JSON lines out.

It is run by path and imports nothing of this package, so that it starts fast and anywhere.
math-verify's own time-outs work here, in a main thread; what they cannot interrupt (a power
computed in C) is ended from outside.
"""

from __future__ import annotations

import json
import logging
import sys

MEMORY_BYTES = 4 * 2**30


def limit_memory() -> None:
    """Cap the address space, where the system can: an answer like 9^9^9 must not take the trainer's memory."""
    try:
        import resource
    except ImportError:  # Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def main() -> None:
    """Answer each line ``[answer, gold]`` with ``true`` or ``false`` until the input ends."""
    limit_memory()
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)  # math-verify logs every expression that it cannot read
    strict = [
        LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False),
        ExprExtractionConfig(try_extract_without_anchor=False),
    ]
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            answer, gold = (parse(rf"\boxed{{{text}}}", extraction_config=strict) for text in json.loads(line))
            equal = bool(answer) and bool(gold) and bool(verify(gold, answer))
        except Exception:
            equal = False
        print(json.dumps(equal), flush=True)


if __name__ == "__main__":
    main()
