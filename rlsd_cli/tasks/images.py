"""Images of a data set's rows: stored bytes, paths, base64 text or PIL images, as RGB PIL images."""

from __future__ import annotations

import base64
import io
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlsd_cli.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

# What PIL, base64 and the file system raise for a bad image.
BROKEN = (OSError, ValueError, TypeError, AttributeError, KeyError, IndexError, SyntaxError, EOFError, struct.error)
BASE64_CHARS = 512  # no path is longer; base64 of an image hardly ever shorter


def as_list(value: Any) -> list[Any]:
    """Return a row's images as a list: none, one or several."""
    if value is None:
        return []
    return [each for each in value if each is not None] if isinstance(value, list | tuple) else [value]


def inside(folder: Path, name: str) -> Path:
    """Return the file ``name`` of ``folder``. Links in the folder are followed: the hub's cache is made of them.

    Raises:
        ValueError: The name leads out of the folder, or to something that is no plain file.
    """
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("its path leads out of the image folder, task.data.image_dir")
    if path.exists() and not path.is_file():
        raise ValueError("its path is no plain file")
    return path


def read(value: Any, folder: Path) -> Image:
    """Return the PIL image behind a value of an image column; raises what PIL raises."""
    from PIL import Image

    if isinstance(value, Image.Image):
        return value
    if isinstance(value, dict):  # the hub's storage: {"bytes": …, "path": …}
        return read(value["bytes"] if value.get("bytes") is not None else value["path"], folder)
    if isinstance(value, str):
        if value.startswith("data:") or len(value) > BASE64_CHARS:
            value = base64.b64decode(value.split(",", 1)[-1], validate=True)
        else:
            value = inside(folder, value).read_bytes()
    return Image.open(io.BytesIO(value))


def named(item: Any) -> str:
    """Return what to call a value of an image column in an error: its file where it has one."""
    path = item.get("path") if isinstance(item, dict) else item
    return f"the image {path}" if isinstance(path, str) and len(path) <= BASE64_CHARS else "an image"


def fit(image: Image, min_pixels: int | None, max_pixels: int | None) -> Image:
    """Return ``image`` scaled, its shape kept, so that width times height lies within the bounds."""
    pixels = image.width * image.height
    bound = (
        max_pixels if max_pixels and pixels > max_pixels else min_pixels if min_pixels and pixels < min_pixels else 0
    )
    if not bound:
        return image
    rounded = math.floor if bound == max_pixels else math.ceil
    scale = math.sqrt(bound / pixels)
    return image.resize((max(1, rounded(image.width * scale)), max(1, rounded(image.height * scale))))


def load_images(
    value: Any, folder: Path, where: str, min_pixels: int | None = None, max_pixels: int | None = None
) -> tuple[Image, ...]:
    """Return a row's images in RGB.

    Args:
        value: None, an image, or a list of images: PIL, bytes, {"bytes", "path"}, a path, or base64 text.
        folder: Where relative paths start.
        where: Names the row in an error, as in "row 3 of data.parquet".
        min_pixels: Smaller images are scaled up to it.
        max_pixels: Larger images are scaled down to it.

    Raises:
        UserError: An image is missing or unreadable.
    """
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombError

    images = []
    for item in as_list(value):
        try:
            images.append(fit(read(item, folder).convert("RGB"), min_pixels, max_pixels))
        except FileNotFoundError as error:
            raise UserError(
                f"{where} names the image {error.filename}, which does not exist: "
                "put it there, or set task.data.image_dir."
            ) from None
        except (*BROKEN, DecompressionBombError) as error:
            # PIL's own words for "no picture" are an object's address.
            known = not isinstance(error, UnidentifiedImageError)
            reason = " ".join(str(error).split())[:120].rstrip(".") if known else "no picture that PIL knows"
            raise UserError(f"{named(item)} of {where} cannot be read ({reason}): repair or drop that row.") from None
    return tuple(images)
