"""Picture files, PNG or JPEG, as arrays that a network takes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from mamlbook.errors import InputError
from mamlbook.fewshot.data.decode import UNREADABLE, DataError, opened

SUFFIXES = (".png", ".jpg", ".jpeg")
Preparation = Literal["rgb", "grey", "binary"]


def files(folder: Path) -> list[Path]:
    """The pictures of a folder by name; not what macOS adds to it, `._name`."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def hidden(path: Path) -> bool:
    """Whether a folder of the path has a name that begins with a dot, or was added by macOS."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def unlike(paths: Sequence[Path]) -> tuple[Path, int, int, Path, int, int] | None:
    """The widest and the tallest picture, each with its width and height, if their proportions
    differ by more than a tenth; else None. What cannot be read is left to `prepared`."""
    sizes = {}
    for path in paths:
        try:
            with opened(path) as picture:
                sizes[path] = picture.size
        except UNREADABLE:
            continue
    if not sizes:
        return None
    ratio = {path: width / height for path, (width, height) in sizes.items()}
    wide, tall = max(ratio, key=ratio.__getitem__), min(ratio, key=ratio.__getitem__)
    if ratio[wide] <= 1.1 * ratio[tall]:
        return None
    return wide, *sizes[wide], tall, *sizes[tall]


def read(paths: Sequence[str | Path], side: int, preparation: Preparation) -> np.ndarray:
    """Pictures, prepared: uint8 (n, side, side, channels)."""
    return np.stack([prepared(path, side, preparation) for path in paths])


def prepared(path: str | Path, side: int, preparation: Preparation) -> np.ndarray:
    """A picture as uint8 (side, side, channels), on white where it is transparent, turned as its
    camera says, resized without regard to its proportions.

    "rgb": three channels, as CIFAR's images. "grey": one, with dark ink as 255. "binary": one,
    0 where the picture is darker than mid-grey, else 255. The last two are what Omniglot's
    drawings became in the configurations `text` and `strided`, and in `lineage`.
    """
    if preparation not in ("rgb", "grey", "binary"):
        raise InputError(f"preparation is {preparation!r}; choose 'rgb', 'grey' or 'binary'.")
    try:
        with opened(path) as picture:
            image = in_eight_bits(ImageOps.exif_transpose(picture)).convert("RGBA")
    except UNREADABLE as error:
        raise DataError(
            f"The picture {path} cannot be read ({error}); replace it or move it away."
        ) from None
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if preparation == "rgb":
        return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))
    grey = image.convert("L")
    if preparation == "grey":
        return 255 - np.asarray(grey.resize((side, side), Image.Resampling.LANCZOS))[..., None]
    nearest = np.asarray(grey.resize((side, side), Image.Resampling.NEAREST))
    return np.where(nearest > 127, 255, 0).astype(np.uint8)[..., None]


def in_eight_bits(image: Image.Image) -> Image.Image:
    """A picture of 16 bits a pixel in 8, which the library's own conversion would clip."""
    if image.mode not in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        return image
    return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
