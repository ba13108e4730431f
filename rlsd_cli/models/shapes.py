"""Shapes of images that a model's processor refuses, found before anything is sampled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rlsd_cli.errors import UserError

# Sizes that every processor takes are not tried: at least so many pixels on the shorter side, at most so oblong.
SHORT_SIDE, OBLONG = 64, 8


class Shapes:
    """Asks an image processor, by a blank picture for each size, whether it takes it.

    Args:
        image_processor: The part of a model's processor that reads images.
    """

    def __init__(self, image_processor: Any) -> None:
        self.image_processor = image_processor
        self.known: dict[tuple[int, int], str] = {}

    def refusal(self, size: tuple[int, int]) -> str:
        """Return why a picture of (width, height) is refused, '' where it isn't."""
        short, long = sorted(size)
        if short >= SHORT_SIDE and long <= OBLONG * short:
            return ""
        if size not in self.known:
            self.known[size] = self.tried(size)
        return self.known[size]

    def tried(self, size: tuple[int, int]) -> str:
        """Return what the processor says against a blank picture of a size."""
        from PIL import Image

        try:
            self.image_processor(images=[Image.new("RGB", size)], return_tensors="pt")
        except Exception as error:  # every processor has its own kinds
            return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        return ""

    def check(self, sizes: Iterable[tuple[int, int]], where: str) -> None:
        """Check the images of a row.

        Raises:
            UserError: One has a shape that the model can't read; the row, the size and the limit are named.
        """
        for size in sizes:
            if reason := self.refusal(size):
                raise UserError(
                    f"{where} has an image of {size[0]}×{size[1]} pixels, which the model cannot read ({reason}): "
                    "crop it, or drop that row."
                )
