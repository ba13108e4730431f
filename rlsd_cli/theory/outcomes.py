"""Proposition 2, Theorem 2, Proposition 3 and Theorem 3 (Table 3) as measured outcomes of the dynamics."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rlsd_cli.statistics import t_interval
from rlsd_cli.theory.check import Check, at_most, finding
from rlsd_cli.theory.dynamics import RULES, Curves, Rule, ceiling, expected_run
from rlsd_cli.theory.leakage import fresh_reference_every_step, one_reference_per_question, reference_entropy
from rlsd_cli.theory.model import World
from rlsd_cli.theory.worlds import story_world

STEPS, RATE = 200, 0.5
QUESTIONS, PATHS = 32, 32
ROUNDING = 1e-12  # changes below it are rounding, not movement


@dataclass(frozen=True)
class Outcome:
    """What one rule did.

    Attributes:
        rule: Which.
        curves: The expected-gradient run.
        one: (steps + 1, X) leakage with one reference per question, nats.
        fresh: (·, X) leakage with a fresh reference at every step, nats, every 10 steps.
    """

    rule: Rule
    curves: Curves
    one: Tensor
    fresh: Tensor

    @property
    def objective(self) -> Tensor:
        """What the rule descends on: its own OPSD loss, or the negative expected reward, (steps + 1, X)."""
        return self.curves.stacked("loss") if self.rule.signal == "opsd" else -self.curves.stacked("accuracy")

    @property
    def worsened(self) -> float:
        """Share of (step, question) pairs at which the rule's own objective got worse."""
        return (self.objective.diff(dim=0) > ROUNDING).double().mean().item()

    @property
    def drift(self) -> float:
        """Largest relative change of the update that the teacher's move alone made."""
        return self.curves.stacked("update_drift").max().item()

    def final(self, name: str) -> Tensor:
        """Return the last entry of a series, (X,)."""
        return self.curves.stacked(name)[-1]


@dataclass(frozen=True)
class Study:
    """The world of the dynamics and what every rule did on it.

    Attributes:
        world: Where training starts.
        outcomes: One per rule.
        without_habit: The online teacher on the same world with references that share no citing habit.
    """

    world: World
    outcomes: tuple[Outcome, ...]
    without_habit: Curves

    def of(self, name: str) -> Outcome:
        """Return the outcome of the rule ``name``."""
        return next(outcome for outcome in self.outcomes if outcome.rule.name == name)


def study_dynamics(seed: int, *, questions: int = QUESTIONS, steps: int = STEPS, paths: int = PATHS) -> Study:
    """Run every rule three ways: expected gradient, one reference per question, fresh references."""
    world = story_world(seed, questions)
    outcomes = tuple(
        Outcome(
            rule,
            expected_run(world, rule, steps, RATE),
            one_reference_per_question(world, rule, steps, RATE),
            fresh_reference_every_step(world, rule, steps, RATE, paths=paths, seed=seed),
        )
        for rule in RULES
    )
    plain = story_world(seed, questions, habit=0.0)
    return Study(world, outcomes, expected_run(plain, Rule("OPSD online", "opsd"), steps, RATE))


@dataclass(frozen=True)
class TradeOff:
    """A row of Table 3 as measured: means over questions, and the yes or no that the numbers give.

    Attributes:
        rule: Name of the rule.
        worsened: Share of steps at which the own objective got worse; "stable" means none.
        drift: Largest relative change of the update by the teacher's move.
        accuracy: Final expected reward; "sustained" means above the mean teacher's at θ_0 (the paired
            95 % interval over questions excludes 0).
        leak_one: Final leakage, one reference per question, nats; "leakage-free" means that both are 0.
        leak_fresh: Final leakage, fresh references, nats.
        citing: Final probability of the citation, which every reference raises alike.
        stable: Verdict (a).
        sustained: Verdict (b).
        leakage_free: Verdict (c).
    """

    rule: str
    worsened: float
    drift: float
    accuracy: float
    leak_one: float
    leak_fresh: float
    citing: float
    stable: bool
    sustained: bool
    leakage_free: bool


def trade_offs(study: Study) -> list[TradeOff]:
    """Return Table 3 as it comes out."""
    limit = ceiling(study.world)
    return [
        TradeOff(
            rule=outcome.rule.name,
            worsened=outcome.worsened,
            drift=outcome.drift,
            accuracy=outcome.final("accuracy").mean().item(),
            leak_one=outcome.one[-1].mean().item(),
            leak_fresh=outcome.fresh[-1].mean().item(),
            citing=outcome.final("citing").mean().item(),
            stable=outcome.worsened == 0,
            sustained=t_interval((outcome.final("accuracy") - limit).numpy()).low > 0,
            leakage_free=max(outcome.one[-1].max().item(), outcome.fresh[-1].max().item()) < ROUNDING,
        )
        for outcome in study.outcomes
    ]


def dynamics_checks(study: Study) -> list[Check]:
    """Check what the propositions say of the dynamics."""
    frozen, online = study.of("OPSD frozen"), study.of("OPSD online")
    grpo, rlsd = study.of("GRPO"), study.of("RLSD")
    above = (frozen.curves.stacked("accuracy") - ceiling(study.world)).max().item()
    teacher_change = online.curves.stacked("teacher_change")
    floor, share = online.curves.stacked("floor").mean(1), online.curves.stacked("share").mean(1)
    entropy = reference_entropy(study.world).mean().item()
    return [
        finding(
            "Prop. 2",
            "frozen teacher: the student's accuracy stays below the mean teacher's at θ_0",
            above,
            "largest accuracy − ceiling over steps and questions",
            f"ceiling {ceiling(study.world).mean():.3f}, reached {frozen.final('accuracy').mean():.3f}",
        ),
        at_most(
            "Theorem 2",
            "Δ_S ≤ 0: at a held teacher and held prefixes the step lowers the loss",
            max(outcome.curves.stacked("student_change").max().item() for outcome in (frozen, online)),
            "largest Δ_S, nats",
            0.0,
            must_hold=False,
        ),
        finding(
            "Theorem 2",
            "Δ_T has no fixed sign (online teacher)",
            (teacher_change > 0).double().mean().item(),
            "share of steps with Δ_T > 0",
            f"Δ_T from {teacher_change.min():.1e} to {teacher_change.max():.2f} nats a step; the moved prefixes add a "
            f"third term of up to {online.curves.stacked('prefix_change').abs().max():.3f} nats, not in the theorem",
        ),
        finding(
            "Prop. 3",
            "online teacher: the deviation share ρ_k goes to 1",
            share[-1].item(),
            "ρ at the end (mean over questions)",
            f"starts at {share[0]:.2f}, highest {share.max():.2f}; frozen teacher ends at "
            f"{frozen.curves.stacked('share')[-1].mean():.4f}; online with references that share no citing habit at "
            f"{study.without_habit.stacked('share')[-1].mean():.4f}",
        ),
        finding(
            "Prop. 3",
            "online teacher: the spread S = I(Y_t; R | X, Y_<t) feeds itself",
            (floor[-1] / floor[0]).item(),
            "S at the end / at the start",
            f"between {floor.min() / floor[0]:.2f} and {floor.max() / floor[0]:.2f} times the start on the way",
        ),
        finding(
            "Ours",
            "citing, which every reference raises alike, says nothing about R, yet an online teacher spreads it",
            online.final("citing").mean().item(),
            "P(cites) at the end, online teacher",
            f"{online.curves.stacked('citing')[0].mean():.3f} at the start; frozen teacher "
            f"{frozen.final('citing').mean():.3f}, GRPO {grpo.final('citing').mean():.4f}, RLSD "
            f"{rlsd.final('citing').mean():.4f}: it is in the mean gradient, not in δ",
        ),
        at_most(
            "Ours",
            "GRPO leaks nothing: its output carries no information about R",
            max(grpo.one.max().item(), grpo.fresh.max().item()),
            "largest leakage, nats",
            ROUNDING,
        ),
        at_most(
            "Table 3",
            "RLSD is leakage-free: its output carries no information about R",
            rlsd.one[-1].mean().item(),
            "mean leakage, one r per question, nats",
            ROUNDING,
            must_hold=False,
            note=f"OPSD frozen {frozen.one[-1].mean():.3f}, online {online.one[-1].mean():.3f} of at most H(R|X) = "
            f"{entropy:.3f}; RLSD without decay {study.of('RLSD λ=1').one[-1].mean():.3f}; with it "
            f"{rlsd.one[min(rlsd.rule.decay_steps, len(rlsd.one) - 1)].mean():.3f} when λ reaches 0",
        ),
    ]
