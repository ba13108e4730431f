"""The credit of two trajectories, coloured in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlsd_cli.report.credit.colours import hex_colour, ink
from rlsd_cli.report.credit.data import CreditPair, Quantity, Trajectory, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def title(trajectory: Trajectory) -> str:
    """Say which rollout this is: verdict, answer, advantage."""
    verdict = "correct" if trajectory.correct else "incorrect"
    answer = visible(trajectory.extracted) if trajectory.extracted else "none"
    advantage = f"{trajectory.advantage:+.2f}".replace("-", "−")
    return f"{verdict} rollout {trajectory.sample_id}: answer {answer}, A = {advantage}"


def tokens_line(pair: CreditPair, trajectory: Trajectory, quantity: Quantity, numbers: bool) -> Text:
    """Return the tokens on the colours of a quantity; ``numbers`` adds the value to each token."""
    from rich.text import Text

    line = Text()
    columns = zip(trajectory.tokens, trajectory.values(quantity), pair.fractions(trajectory, quantity), strict=True)
    for token, value, fraction in columns:
        # Text, never markup: a token like "[red]" is data.
        shown = visible(token) + (f"({value:+.2f})" if numbers else "")
        line.append(shown, style=f"{ink(fraction)} on {hex_colour(fraction)}")
        line.append(" ")
    return line


def show(pair: CreditPair, console: Console) -> None:
    """Print the prompt and, for each trajectory, its tokens coloured by Δ, w and Â.

    Without colours (a pipe, NO_COLOR) each token carries its number.
    """
    from rich.text import Text

    plain = console.color_system is None or console.no_color
    console.print(Text(f"{pair.label}, seed {pair.seed}, step {pair.step}, prompt {visible(pair.prompt_id)}"))
    console.print(Text(f"{visible(pair.prompt)}  (answer {visible(pair.answer)})"))
    for trajectory in pair.trajectories:
        console.print()
        console.print(Text(title(trajectory), style="bold"))
        for quantity in pair.quantities:
            heading = Text(f"{quantity.symbol} {quantity.meaning}  ")
            for fraction in (-1, 0, 1):
                heading.append(f" {pair.end(quantity, fraction)} ", style=f"{ink(fraction)} on {hex_colour(fraction)}")
            console.print(heading)
            console.print(tokens_line(pair, trajectory, quantity, plain))
    for kind, found in (("correct", pair.correct), ("incorrect", pair.incorrect)):
        if found is None:
            console.print(Text(f"\nThere is no {kind} rollout of this prompt at step {pair.step}."))
