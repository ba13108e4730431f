"""The drawing library (Vega, Vega-Lite, Vega-Embed) as one script; it travels inside the page."""

from __future__ import annotations

import functools

from rlsd_cli.errors import UserError


@functools.cache
def library() -> str:
    """Return the library's script, fit to stand in a page.

    Raises:
        UserError: vl-convert-python, which brings it, is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise UserError(
            "the page's charts are drawn by Vega, which vl-convert-python brings: pip install 'rlsd-cli[report]'."
        ) from None
    return (
        vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        .replace("</script", "<\\/script")
        .replace("<!--", "<\\!--")
    )
