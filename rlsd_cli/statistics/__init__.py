"""Statistics of the comparison: small pure functions on NumPy arrays.

Across seeds: Student's t (a bootstrap over three seeds covers about 74 % where it says 95 %).
Across questions: one number per question first, because the samples of one question are no
independent observations. Between arms: differences of the same question under the same seed.
"""

from rlsd_cli.statistics.crossed import crossed_interval
from rlsd_cli.statistics.intervals import Interval, clustered_interval, t_band, t_interval, wilson_interval
from rlsd_cli.statistics.nested import nested_interval
from rlsd_cli.statistics.paired import holm, p_text, sign_flip_p
from rlsd_cli.statistics.passk import pass_at_k
from rlsd_cli.statistics.units import by_unit

__all__ = [
    "Interval",
    "by_unit",
    "clustered_interval",
    "crossed_interval",
    "holm",
    "nested_interval",
    "p_text",
    "pass_at_k",
    "sign_flip_p",
    "t_band",
    "t_interval",
    "wilson_interval",
]
