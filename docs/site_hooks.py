"""What the site needs besides its pages: Mermaid among its files, and nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

#: Where `make docs` has put what it fetched from npm.
_MERMAID = Path(__file__).parents[1] / "build" / "site" / "mermaid.min.js"
# What a browser loads as soon as it shows the page. A link to follow is not among it.
_LOADED = re.compile(
    r'<(?:script|img|iframe|source|video|audio)\b[^>]*\ssrc="(?:https?:)?//[^"]*"'
    r'|<link\b(?![^>]*\brel="(?:canonical|next|prev)")[^>]*\shref="(?:https?:)?//[^"]*"'
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add Mermaid's bundle."""
    files.append(File.generated(config, "assets/mermaid.min.js", abs_src_path=str(_MERMAID)))
    return files


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001 - the hook's form
    """Refuse a page that would load something from another host."""
    if found := _LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads from another host: {found[0]}")
    return output
