"""Prints how many cases each reader has seen."""

from fuzzing import refused, seen


def pytest_terminal_summary(terminalreporter):
    if not seen:
        return
    terminalreporter.write_sep("-", "fuzz cases")
    for reader, count in sorted(seen.items()):
        terminalreporter.write_line(f"{reader:<24} {count:>7,} cases, {refused[reader]:>7,} refused in one sentence")
    terminalreporter.write_line(f"{'all':<24} {seen.total():>7,} cases, {refused.total():>7,} refused in one sentence")
