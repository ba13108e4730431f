"""Prompts as templates: ``{field}`` in a text, checked when the configuration is read."""

from __future__ import annotations

from string import Formatter


def fields_of(template: str) -> list[str]:
    """Return the names of a template's fields, in order, each once.

    Raises:
        ValueError: A brace is left open, or a field is no plain name.

    >>> fields_of("{reference}, then {question}, {{not a field}}")
    ['reference', 'question']
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"it is no template ({error}): write {{reference}} for a field and {{{{ for a brace") from None
    names = []
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(
                f"a field is a plain name, such as {{reference}}, and it has one called '{name[:60]}': "
                "write {{ and }} for braces"
            )
        names.append(name)
    return list(dict.fromkeys(names))
