"""Pictures of every kind come out as a person sees them, or are named with their row; sizes are told from headers."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from rlsd_cli.errors import UserError
from rlsd_cli.models.shapes import Shapes
from rlsd_cli.tasks.images import image_sizes, load_images
from rlsd_cli.tasks.pixels import as_rgb, fitted

RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)


def stored(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def shown(data):
    (image,) = load_images(data, None, "row 0 of x")
    assert image.mode == "RGB"
    return image


def turned(orientation):
    """A picture with its left tenth red, whose EXIF data ask for a turn."""
    image = Image.new("RGB", (60, 40), "white")
    image.paste("red", (0, 0, 6, 40))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return stored(image, "JPEG", exif=exif, quality=95, subsampling=0)


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    # What the EXIF standard asks for: 1 nothing, 3 half a turn, 6 a quarter clockwise, 8 a quarter back, 2 a mirror.
    [
        (1, (60, 40), (2, 20)),
        (3, (60, 40), (57, 20)),
        (6, (40, 60), (20, 2)),
        (8, (40, 60), (20, 57)),
        (2, (60, 40), (57, 20)),
    ],
)
def test_a_photo_is_turned_as_its_camera_was(orientation, size, red_at):
    data = turned(orientation)
    image = shown(data)
    assert image.size == size
    assert image_sizes(data, None, "x") == [size]
    red, green, _ = image.getpixel(red_at)
    assert red > 200
    assert green < 60
    assert min(image.getpixel((size[0] - 1 - red_at[0], size[1] - 1 - red_at[1]))) > 200


@pytest.mark.parametrize("dtype", [np.uint16, ">u2"])
def test_a_deep_grey_is_scaled_and_not_clipped(dtype):
    # 65535 / 255 = 257: the grey g of 8 bits is 257 g in 16.
    ramp = (np.arange(256).reshape(16, 16) * 257).astype(np.uint16)
    image = shown(stored(Image.fromarray(ramp), "PNG" if dtype is np.uint16 else "TIFF"))
    assert np.array_equal(np.asarray(image)[..., 0], np.arange(256).reshape(16, 16))


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        (np.array([[0, 65535]], np.int32), [0, 255]),
        (np.array([[0, 128]], np.int32), [0, 128]),
        (np.array([[-100, 100_000]], np.int32), [0, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 255.0, np.nan]], np.float32), [0, 255, 0]),
        (np.zeros((1, 2), np.int32), [0, 0]),
    ],
)
def test_greys_of_32_bits_and_of_floats_keep_their_shades(values, seen):
    assert np.asarray(shown(stored(Image.fromarray(values), "TIFF")))[0, :, 0].tolist() == seen


def drawing(mode):
    """A black corner on a ground that is transparent, its hidden colour black as most tools leave it."""
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 4))
    return image.convert(mode)


@pytest.mark.parametrize(
    "data",
    [
        stored(drawing("RGBA")),
        stored(drawing("RGBA"), "WEBP", lossless=True),
        stored(drawing("LA")),
        stored(drawing("RGBA").quantize(), "PNG"),
        stored(drawing("RGBA"), "GIF"),
    ],
    ids=["rgba", "webp", "grey", "palette", "gif"],
)
def test_what_is_transparent_is_white(data):
    image = shown(data)
    assert image.getpixel((7, 7)) == WHITE
    assert image.getpixel((1, 1)) == BLACK


def test_half_transparent_is_half_white_and_a_transparent_colour_counts():
    assert shown(stored(Image.new("RGBA", (2, 2), (0, 0, 0, 128)))).getpixel((0, 0)) == (127, 127, 127)
    keyed = Image.new("RGB", (2, 1), BLACK)
    keyed.putpixel((1, 0), RED)
    image = shown(stored(keyed, transparency=BLACK))
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [WHITE, RED]


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (stored(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95), RED),
        (stored(Image.new("1", (8, 8), 1)), WHITE),
        (stored(Image.new("L", (8, 8), 7)), (7, 7, 7)),
        (stored(Image.new("RGB", (8, 8), "red").quantize(2), "PNG"), RED),
        (stored(Image.new("RGB", (8, 8), "red"), "WEBP", lossless=True), RED),
        (stored(Image.new("RGB", (8, 8), "red"), "BMP"), RED),
        (stored(Image.new("RGB", (8, 8), "red"), "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8))]), RED),
    ],
    ids=["cmyk", "bilevel", "grey", "palette", "webp", "bmp", "first frame"],
)
def test_other_kinds_keep_their_colours(data, colour):
    assert np.abs(np.subtract(shown(data).getpixel((3, 3)), colour)).max() <= 2


def png_of_size(width, height):
    """The header of a PNG that says a size, and no pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("look", [load_images, image_sizes])
@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 10_000)])
def test_a_picture_that_would_fill_the_memory_is_refused_from_its_header(look, size):
    with pytest.raises(UserError, match=r"row 4 of x has more pixels than a picture may have: scale it down"):
        look([png_of_size(*size)], None, "row 4 of x")


def test_a_picture_that_ends_early_is_named_when_it_is_opened():
    data = stored(Image.effect_noise((64, 64), 50))
    with pytest.raises(UserError, match="row 2 of x cannot be read"):
        load_images(data[: len(data) // 2], None, "row 2 of x")
    assert image_sizes(data[: len(data) // 2], None, "row 2 of x") == [(64, 64)]


def test_damaged_exif_data_are_no_obstacle():
    data = bytearray(turned(6))
    place = data.index(b"Exif\x00\x00") + 6
    data[place : place + 12] = b"\xff" * 12
    assert shown(bytes(data)).size == (60, 40)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("img\\a.png", "has backslashes: write it with slashes"),
        ("C:\\data\\a.png", "is absolute: give it relative to the image folder, task.data.image_dir"),
        ("{folder}/img/a.png", "is absolute"),
        ("file://{folder}/img/a.png", r"is an address \(file\).*give a path relative"),
        ("https://example.org/a.png", r"is an address \(https\), and nothing is downloaded: download the image"),
        ("s3://bucket/a.png", r"is an address \(s3\)"),
        ("img/../img/a.png", "leads out of the image folder by '..'"),
        ("img", "is no plain file"),
        ("img/A.png", "does not exist: put it there"),
        ({"path": None}, "neither bytes nor a path"),
        ({"url": "x"}, "neither bytes nor a path"),
        (7, "it is int"),
    ],
)
def test_a_path_of_a_form_that_is_not_read_is_told_as_that_form(tmp_path, path, words):
    (tmp_path / "img").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "img" / "a.png")
    value = path.format(folder=tmp_path) if isinstance(path, str) else path
    for look in (load_images, image_sizes):
        with pytest.raises(UserError, match=words):
            look(["img/a.png", value], tmp_path, "row 3 of x")


@pytest.mark.parametrize("value", [None, "", " ", float("nan"), [], [None, ""]])
def test_a_row_without_a_picture_has_none(value):
    assert load_images(value, None, "x") == ()


def test_sizes_are_those_of_the_loaded_pictures(tmp_path):
    Image.new("RGB", (80, 60)).save(tmp_path / "a.png")
    data = stored(Image.new("RGB", (30, 20)))
    value = ["a.png", data, {"bytes": data, "path": None}, "data:image/png;base64," + base64.b64encode(data).decode()]
    for bounds in [(None, None), (1000, 2000), (None, 100), (10_000, None)]:
        loaded = load_images(value, tmp_path, "x", *bounds)
        assert image_sizes(value, tmp_path, "x", *bounds) == [image.size for image in loaded]


def test_shapes_are_fitted_and_never_vanish():
    assert fitted((80, 60), None, 1200) == (40, 30)
    assert fitted((9000, 1), None, 100) == (948, 1)
    assert fitted((3, 2), None, None) == (3, 2)


def test_the_processor_itself_says_which_shapes_it_refuses_and_is_asked_once():
    asked = []

    def processor(images, return_tensors):
        asked.append(images[0].size)
        if max(images[0].size) > 200 * min(images[0].size):
            raise ValueError("absolute aspect ratio must be smaller than 200.")

    shapes = Shapes(processor)
    shapes.check([(640, 480), (10, 20), (10, 20)], "row 0 of x")
    assert asked == [(10, 20)], "usual shapes are not tried, and each unusual one is tried once"
    with pytest.raises(UserError, match=r"row 7 of x has an image of 900×3 pixels, .*\(absolute aspect ratio .* 200\)"):
        shapes.check([(900, 3)], "row 7 of x")


def test_as_rgb_leaves_the_given_picture_alone():
    image = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    as_rgb(image)
    assert image.mode == "RGBA"
