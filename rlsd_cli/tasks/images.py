"""Images of a data set's rows: stored bytes, paths, base64 text or PIL images, as RGB PIL images."""

from __future__ import annotations

import base64
import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlsd_cli.errors import UserError
from rlsd_cli.records.missing import is_missing
from rlsd_cli.tasks.pixels import as_rgb, fitted, size_of

if TYPE_CHECKING:
    from PIL.Image import Image

# What PIL, base64 and the file system raise for a bad image.
BROKEN = (
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    SyntaxError,
    EOFError,
    struct.error,
    OverflowError,
    MemoryError,
    RuntimeError,
    ZeroDivisionError,
)
BASE64_CHARS = 512  # no path is longer; base64 of an image hardly ever shorter
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.I)


class BadPath(ValueError):
    """A path of an image is of a form that isn't read; the message says which, and what to do."""


def as_list(value: Any) -> list[Any]:
    """Return a row's images as a list: none, one or several."""
    values = value if isinstance(value, list | tuple) else [value]
    return [each for each in values if not is_missing(each)]


def inside(folder: Path, name: str) -> Path:
    """Return the file ``name`` of ``folder``. Links in the folder are followed: the hub's cache is made of them.

    Raises:
        BadPath: The name is an address or absolute, has backslashes or leads out of the folder, or is no plain file's.
    """
    if _ADDRESS.match(name):
        scheme = name.split(":", maxsplit=1)[0].lower()
        advice = "give a path relative to task.data.image_dir" if scheme == "file" else "download the image"
        raise BadPath(f"its path is an address ({scheme}), and nothing is downloaded: {advice}")
    if Path(name).is_absolute() or re.match(r"[A-Za-z]:[\\/]", name):
        raise BadPath("its path is absolute: give it relative to the image folder, task.data.image_dir")
    if ".." in re.split(r"[\\/]", name):
        raise BadPath("its path leads out of the image folder by '..': give it relative to task.data.image_dir")
    path = folder / name
    if path.exists() and not path.is_file():
        raise BadPath("its path is no plain file")
    if "\\" in name and not path.exists():
        raise BadPath("its path has backslashes: write it with slashes")
    return path


def opened(value: Any, folder: Path) -> Image:
    """Return the PIL image behind a value of an image column, its pixels not read; raises what PIL raises."""
    from PIL import Image

    if isinstance(value, Image.Image):
        return value
    if isinstance(value, dict):  # the hub's storage: {"bytes": …, "path": …}
        stored = value.get("bytes") if value.get("bytes") is not None else value.get("path")
        if stored is None:
            raise BadPath("it has neither bytes nor a path: give {'bytes': …} or {'path': …}")
        if isinstance(stored, str) and Path(stored).is_absolute() and Path(stored).is_relative_to(folder.absolute()):
            stored = str(Path(stored).relative_to(folder.absolute()))  # the library `datasets` writes them so
        return opened(stored, folder)
    if isinstance(value, str):
        if not value.startswith("data:") and len(value) <= BASE64_CHARS:
            return Image.open(inside(folder, value))
        value = base64.b64decode(value.split(",", 1)[-1], validate=True)
    if not isinstance(value, bytes | bytearray | memoryview):
        raise BadPath(f"it is {type(value).__name__}, and neither bytes nor a path")
    return Image.open(io.BytesIO(value))


def named(item: Any) -> str:
    """Return what to call a value of an image column in an error: its file where it has one."""
    path = item.get("path") if isinstance(item, dict) else item
    return f"the image {path}" if isinstance(path, str) and len(path) <= BASE64_CHARS else "an image"


@contextmanager
def told(item: Any, where: str) -> Iterator[None]:
    """Turn whatever goes wrong with an image into a sentence that names it and its row."""
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombError, DecompressionBombWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DecompressionBombWarning)
            yield
    except FileNotFoundError as error:
        raise UserError(
            f"{where} names the image {error.filename}, which does not exist: put it there, or set task.data.image_dir."
        ) from None
    except BadPath as error:
        raise UserError(f"{named(item)} of {where} cannot be read: {error}.") from None
    except (DecompressionBombError, DecompressionBombWarning):
        raise UserError(
            f"{named(item)} of {where} has more pixels than a picture may have: scale it down or drop that row."
        ) from None
    except BROKEN as error:
        # PIL's own words for "no picture" are an object's address.
        known = not isinstance(error, UnidentifiedImageError)
        reason = " ".join(str(error).split())[:120].rstrip(".") if known else "no picture that PIL knows"
        raise UserError(f"{named(item)} of {where} cannot be read ({reason}): repair or drop that row.") from None


def load_images(
    value: Any, folder: Path, where: str, min_pixels: int | None = None, max_pixels: int | None = None
) -> tuple[Image, ...]:
    """Return a row's images in RGB, as `as_rgb` makes them.

    Args:
        value: None, an image, or a list of images: PIL, bytes, {"bytes", "path"}, a path, or base64 text.
        folder: Where relative paths start.
        where: Names the row in an error, as in "row 3 of data.parquet".
        min_pixels: Smaller images are scaled up to it.
        max_pixels: Larger images are scaled down to it.

    Raises:
        UserError: An image is missing or unreadable.
    """
    images = []
    for item in as_list(value):
        with told(item, where), opened(item, folder) as stored:
            image = as_rgb(stored)
            size = fitted(image.size, min_pixels, max_pixels)
            images.append(image if size == image.size else image.resize(size))
    return tuple(images)


def image_sizes(
    value: Any, folder: Path, where: str, min_pixels: int | None = None, max_pixels: int | None = None
) -> list[tuple[int, int]]:
    """Return (width, height) of each image that `load_images` would return; only the headers of files are read.

    Raises:
        UserError: An image is missing, or its header unreadable.
    """
    sizes = []
    for item in as_list(value):
        with told(item, where), opened(item, folder) as image:
            sizes.append(fitted(size_of(image), min_pixels, max_pixels))
    return sizes
