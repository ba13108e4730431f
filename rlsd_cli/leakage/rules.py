"""The phrase rules: loading and compiling the packs of the package, and a user's own beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from rlsd_cli.errors import UserError
from rlsd_cli.leakage.initials import initials

# Clean text has runs of spaces where markup stood; a bound keeps every match short.
_SPACE, _MAYBE_SPACE = "[ ]{1,24}", "[ ]{0,24}"
_NAME = re.compile(r"<([a-z_]+)>")
_SPACE_OR_CLASS = re.compile(r"\[(?:\\.|[^\]\\])*\]| \?| ")
REACH = 64  # a match begins at most this many characters before the end of an anchor
LANGUAGES = ("zh", "es", "de", "fr")  # beside English, which is always tried


@dataclass(frozen=True)
class Near:
    """A pattern and its anchors: plain strings, near one of which a match begins.

    With ``before`` or ``after`` a match counts only if one of them stands right
    before or right behind it. ``firm`` phrases are neither negated nor hedged.
    """

    anchors: tuple[str, ...]
    pattern: re.Pattern[str]
    before: re.Pattern[str] | None = None
    after: re.Pattern[str] | None = None
    ordinary: re.Pattern[str] | None = None
    introduced: re.Pattern[str] | None = None
    firm: bool = False
    reach: int = REACH

    @cached_property
    def initials(self) -> frozenset[str]:
        """The characters that a match can begin with; empty: any."""
        return initials(self.pattern)

    @cached_property
    def anchor_set(self) -> frozenset[str]:
        """The anchors, to be compared with those of a text."""
        return frozenset(self.anchors)


@dataclass(frozen=True)
class Excuse:
    """What in a prompt explains a hit.

    With ``near`` only where that also stands in the hit's sentence; with ``same``
    only where the prompt's group 1 stands there.
    """

    pattern: re.Pattern[str]
    near: re.Pattern[str] | None = None
    same: bool = False


@dataclass(frozen=True)
class Rule:
    """One family of phrases of one language.

    ``ordinary`` vetoes a hit in whose sentence it matches, ``introduced`` one that
    follows within a few lines, an excuse one whose prompt it explains. A rule that
    is ``apart`` is reported by itself and never part of the rate.
    """

    name: str
    about: str
    weight: int
    near: tuple[Near, ...]
    ordinary: re.Pattern[str] | None
    introduced: re.Pattern[str] | None
    excuses: tuple[Excuse, ...]
    prompt_words: tuple[
        str, ...
    ]  # plain strings, one of which every excuse needs in the prompt; none: always looked at
    apart: bool = False
    like: bool = False  # a prompt that has the very words of the match explains it


@dataclass(frozen=True)
class Pack:
    """The rules of one language, with the negations and hedges that hold for each of them.

    ``markers`` are frequent words, by which it is told whether the pack is tried
    on a text (`detect.speaks`); ``joined``: the language writes without spaces.
    """

    language: str
    rules: tuple[Rule, ...]
    negated_before: re.Pattern[str] | None
    negated_after: re.Pattern[str] | None
    hedged_before: re.Pattern[str] | None
    hedged_after: re.Pattern[str] | None
    hedge_ends: re.Pattern[str] | None
    generic: re.Pattern[str] | None
    markers: tuple[str, ...]
    joined: bool

    @cached_property
    def marker_set(self) -> frozenset[str]:
        """The markers as a set."""
        return frozenset(self.markers)


@dataclass(frozen=True)
class RuleSet:
    """All rules, a pack per language."""

    version: int
    packs: tuple[Pack, ...]

    @property
    def families(self) -> dict[str, Rule]:
        """The families by name, each as its first pack has it, those apart from the rate last."""
        found: dict[str, Rule] = {}
        for pack in self.packs:
            for rule in pack.rules:
                found.setdefault(rule.name, rule)
        return dict(sorted(found.items(), key=lambda entry: entry[1].apart))


def compile_pattern(source: str, words: dict[str, str]) -> re.Pattern[str]:
    """Compile a pattern of a pack.

    ``<name>`` stands for an entry of ``words``, a space for a run of spaces, and
    a space with a question mark for a run that may be empty.
    """
    while _NAME.search(source):
        source = _NAME.sub(lambda match: f"(?:{words[match.group(1)]})", source)
    spaces = {" ?": _MAYBE_SPACE, " ": _SPACE}
    return re.compile(_SPACE_OR_CLASS.sub(lambda match: spaces.get(match.group(), match.group()), source))


def _any_of(sources: Iterable[str] | None, words: dict[str, str]) -> re.Pattern[str] | None:
    patterns = "|".join(f"(?:{source})" for source in sources or ())
    return compile_pattern(patterns, words) if patterns else None


def _near(entry: dict[str, Any], words: dict[str, str]) -> Near:
    pattern = _any_of(entry["patterns"], words)
    assert pattern is not None
    return Near(
        anchors=tuple(str(anchor) for anchor in entry["anchors"]),
        pattern=pattern,
        before=_any_of(entry.get("before"), words),
        after=_any_of(entry.get("after"), words),
        ordinary=_any_of(entry.get("ordinary"), words),
        introduced=_any_of(entry.get("introduced"), words),
        firm=bool(entry.get("firm", False)),
        reach=int(entry.get("reach", REACH)),
    )


def _excuse(entry: str | dict[str, Any], words: dict[str, str]) -> Excuse:
    if isinstance(entry, str):
        return Excuse(compile_pattern(entry, words))
    near = compile_pattern(entry["near"], words) if "near" in entry else None
    return Excuse(compile_pattern(entry["prompt"], words), near, bool(entry.get("same", False)))


def _rule(name: str, entry: dict[str, Any], words: dict[str, str]) -> Rule:
    return Rule(
        name=name,
        about=str(entry.get("about", name)),
        weight=int(entry.get("weight", 1)),
        near=tuple(_near(near, words) for near in entry["near"]),
        ordinary=_any_of(entry.get("ordinary"), words),
        introduced=_any_of(entry.get("introduced"), words),
        excuses=tuple(_excuse(excuse, words) for excuse in entry.get("explained", ())),
        prompt_words=tuple(entry.get("prompt_words", ())),
        apart=bool(entry.get("apart", False)),
        like=bool(entry.get("like", False)),
    )


def make_pack(data: dict[str, Any], language: str, shared: dict[str, str] | None = None) -> Pack:
    """Compile the data of a pack; ``shared`` are words that its patterns may use beside its own."""
    own = {name: str(value).replace("\n", "") for name, value in data.get("words", {}).items()}
    words = (shared or {}) | own
    negation, hedge = data.get("negation", {}), data.get("hedge", {})
    return Pack(
        language=language,
        rules=tuple(_rule(str(name), entry, words) for name, entry in data["rules"].items()),
        negated_before=_any_of(negation.get("before"), words),
        negated_after=_any_of(negation.get("after"), words),
        hedged_before=_any_of(hedge.get("before"), words),
        hedged_after=_any_of(hedge.get("after"), words),
        hedge_ends=_any_of(hedge.get("ends"), words),
        generic=_any_of(data.get("generic"), words),
        markers=tuple(data.get("markers", ())),
        joined=bool(data.get("joined", False)),
    )


def _load(name: str) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load(files(__package__).joinpath(name).read_text("utf-8"), loader)
    return loaded


@cache
def load_rules() -> RuleSet:
    """Load the rules that ship with the package (once per process)."""
    english = _load("rules.yaml")
    packs = [make_pack(english, "en")]
    packs += [make_pack(_load(f"languages/{language}.yaml"), language) for language in LANGUAGES]
    return RuleSet(english["version"], tuple(packs))


def english_words() -> dict[str, Any]:
    """Return the words, negations and hedges of the English pack, for rules that are made elsewhere."""
    english = _load("rules.yaml")
    return {key: english[key] for key in ("words", "negation", "hedge", "generic")}


def own_rules(path: Path) -> Pack:
    """Read a user's rules: a YAML file in the form of rules.yaml, of which only ``rules`` is needed.

    Its patterns may use the words of the English pack; its negations and hedges
    hold where it has none of its own.

    Raises:
        UserError: There is no such file, or it is no file of rules.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist: give --rules a YAML file.")
    english = english_words()
    words = {name: value.replace("\n", "") for name, value in english["words"].items()}
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
        if not isinstance(data, dict) or not isinstance(data.get("rules"), dict) or not data["rules"]:
            raise UserError(f"{path} has no `rules`: docs/leakage-audit.md shows the form.")
        merged = {"negation": english["negation"], "hedge": english["hedge"]} | data
        pack = make_pack(merged, "own", words)
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UserError(f"{path} is no YAML: docs/leakage-audit.md shows the form.") from None
    except re.error as error:
        raise UserError(f"{path}: {error.pattern!r} is no regular expression ({error.msg}).") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path} is no file of rules ({error}): docs/leakage-audit.md shows the form.") from None
    known = load_rules().families
    for rule in pack.rules:
        if rule.name in known:
            raise UserError(f"{path}: the rule {rule.name!r} exists already: give yours another name.")
    return pack


def with_packs(packs: Iterable[Pack]) -> RuleSet:
    """Return the rules of the package with further packs."""
    base = load_rules()
    return replace(base, packs=(*base.packs, *packs))
