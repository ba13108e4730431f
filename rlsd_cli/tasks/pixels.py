"""From a picture as it is stored to the picture as a person sees it, in RGB."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

DEEP = 257  # 65535 / 255: from 16 to 8 bits
ORIENTATION, TURNED = 0x0112, range(5, 9)  # the EXIF tag, and its values that swap width and height


def upright(image: Image) -> Image:
    """Return ``image`` turned as its EXIF data say; damaged data say nothing."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # PIL's parsers raise whatever the bytes lead them to
        image.load()  # raises where it is the picture that is damaged
        return image


def as_rgb(image: Image) -> Image:
    """Return ``image`` in RGB: turned upright, deep greys scaled to 8 bits, what is transparent on white.

    Of an animation it is the first frame. Raises what PIL raises for a damaged picture.
    """
    from PIL import Image as Images

    image = upright(image)
    if image.mode.startswith(("I", "F")):
        return eight_bits(image).convert("RGB")
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        clear = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        return Images.alpha_composite(Images.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return image.convert("RGB")


def eight_bits(image: Image) -> Image:
    """Return a grey picture of 16 or 32 bits, or of floats, in 8: PIL itself would clip all that is above 255.

    16 bits are scaled by their range; 32 bits and floats, whose range no format says, by the smallest of 1, 255 and
    65535 that holds their values, and beyond it from the darkest to the lightest.
    """
    import numpy as np
    from PIL import Image as Images

    values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16"):
        top: float = 65535
    elif low >= 0 and high <= 65535:
        top = next(top for top in (1, 255, 65535) if high <= top and (top > 1 or image.mode == "F"))
    else:
        values, top = values - low, high - low
    return Images.fromarray(np.round(values * (255 / top)).astype(np.uint8))


def fitted(size: tuple[int, int], min_pixels: int | None, max_pixels: int | None) -> tuple[int, int]:
    """Return (width, height) scaled, the shape kept, so that width times height lies within the bounds."""
    width, height = size
    pixels = width * height
    bound = (
        max_pixels if max_pixels and pixels > max_pixels else min_pixels if min_pixels and pixels < min_pixels else 0
    )
    if not bound or not pixels:
        return size
    rounded = math.floor if bound == max_pixels else math.ceil
    scale = math.sqrt(bound / pixels)
    return max(1, rounded(width * scale)), max(1, rounded(height * scale))


def size_of(image: Image) -> tuple[int, int]:
    """Return (width, height) of an opened picture as a person sees it; its pixels are not read."""
    try:
        turned = image.getexif().get(ORIENTATION) in TURNED
    except Exception:  # as in `upright`
        turned = False
    return (image.height, image.width) if turned else image.size
