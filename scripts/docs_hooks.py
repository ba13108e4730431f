"""What MkDocs does beside its own work: README as the first page, and links out of docs/ as file names.

Pages link to files of the checkout (``../results/…``), which work where the repository is read. The site has
only docs/, so there such a link becomes its text and the file's name; a file that does not exist is an error.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, *, config: Any) -> Files:
    """Add README.md as the first page, with its links as seen from docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    inside = re.sub(r"\]\(docs/", "](", text)
    outside = LINK.sub(lambda m: m.group(0) if _here(m.group(2)) else f"[{m.group(1)}](../{m.group(2)})", inside)
    files.append(File.generated(config, "index.md", content=outside))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Turn links to files outside docs/ into text.

    Raises:
        PluginError: A page links to a file that does not exist.
    """

    def plain(match: re.Match[str]) -> str:
        text, target = match.group(1), match.group(2)
        if not target.startswith("../"):
            return match.group(0)
        path = target.removeprefix("../")
        if not (ROOT / path).exists():
            raise PluginError(f"{page.file.src_uri} links to {path}, which does not exist: fix the link.")
        return f"`{path}`" if text.strip("`") == path else f"{text} (`{path}`)"

    return LINK.sub(plain, markdown)


def _here(target: str) -> bool:
    return "://" in target or (ROOT / "docs" / target).exists()
