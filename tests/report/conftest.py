"""A set of all arms with three seeds each, made once; nothing writes into it."""

from pathlib import Path

import pytest
from synthetic_runs import write_paper_set

from rlsd_cli.report.comparison import Comparison, compare
from rlsd_cli.report.runs import find_runs


@pytest.fixture(scope="session")
def paper_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_paper_set(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def comparison(paper_set: Path) -> Comparison:
    return compare(find_runs([paper_set]))
