"""From the archives of Omniglot and CIFAR-100, in whichever container, to uint8 arrays."""

import hashlib
import io
import lzma
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mamlbook.errors import InputError

CIFAR_SUPERCLASSES = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables",
    "household_electrical_devices", "household_furniture", "insects", "large_carnivores",
    "large_man-made_outdoor_things", "large_natural_outdoor_scenes",
    "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates", "people",
    "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)  # fmt: skip
CIFAR_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
    "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
    "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake",
    "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


class DataError(InputError):
    """A data set is missing, truncated or altered."""


@dataclass(frozen=True)
class Decoded:
    """images: uint8 (classes, examples, height, width, channels); digest: of the originals."""

    images: np.ndarray
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    digest: str


def omniglot(files: tuple[Path, ...]) -> Decoded:
    """1623 characters of 50 alphabets, 20 drawings each, ink 255, resampled to 28 x 28.

    The digest covers the 105 x 105 originals in order of alphabet, character and drawing.
    """
    return _omniglot(files, _greys)


def omniglot_binary(files: tuple[Path, ...]) -> Decoded:
    """As `omniglot`, but of each drawing the nearest pixels, ink 0 and paper 255."""
    return _omniglot(files, _nearest)


UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError)


def opened(file: str | Path | io.BytesIO, size: tuple[int, int] | None = None) -> Image.Image:
    """A picture that is not decoded yet. Raises one of UNREADABLE if it is none, if it has more
    pixels than Pillow holds safe, or another size than the one it must have."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = Image.open(file)
        except Image.DecompressionBombWarning as warning:
            raise Image.DecompressionBombError(str(warning)) from None
    if size is not None and picture.size != size:
        raise OSError("it has {} x {} pixels instead of {} x {}".format(*picture.size, *size))
    return picture


def _greys(original: Image.Image) -> np.ndarray:
    return 255 - np.asarray(original.resize((28, 28), Image.Resampling.LANCZOS))


def _nearest(original: Image.Image) -> np.ndarray:
    return np.asarray(original.resize((28, 28), Image.Resampling.NEAREST))


def _omniglot(files: tuple[Path, ...], small: Callable[[Image.Image], np.ndarray]) -> Decoded:
    drawings: dict[tuple[str, str], dict[str, bytes]] = {}
    for file in files:
        with _said(file):
            for parts, read in _members(file):
                name = parts[-1].lower()
                if name.endswith(".png") and len(parts) >= 3:
                    character = drawings.setdefault((parts[-3], parts[-2]), {})
                    character[name.rpartition("_")[2]] = read()
    digest = hashlib.sha256()
    images = np.empty((len(drawings), 20, 28, 28, 1), np.uint8)
    for index, (character, held) in enumerate(sorted(drawings.items())):
        digest.update("/".join(character).encode())
        if len(held) != 20:
            raise DataError(
                f"Omniglot's {'/'.join(character)} has {len(held)} drawings instead of 20; "
                "download the archives again."
            )
        for drawing, (_, png) in enumerate(sorted(held.items())):
            try:
                original = opened(io.BytesIO(png), (105, 105)).convert("L")
            except UNREADABLE as error:
                raise DataError(
                    f"A drawing of Omniglot's {'/'.join(character)} cannot be read ({error}); "
                    "download the archives again."
                ) from None
            digest.update(np.packbits(np.asarray(original) > 127).tobytes())
            images[index, drawing, :, :, 0] = small(original)
    names = sorted(drawings)
    return Decoded(
        images,
        tuple("/".join(name) for name in names),
        tuple(alphabet for alphabet, _ in names),
        digest.hexdigest(),
    )


def cifar100(files: tuple[Path, ...]) -> Decoded:
    """100 classes of 600 images, the 500 of the training file before the 100 of the test file.

    Each record is a coarse label, a fine label, and 32 x 32 red, green and blue values; the
    digest covers the two files' records in their order.
    """
    if len(files) == 1:
        with _said(files[0]):
            held = {
                parts[-1].lower(): read()
                for parts, read in _members(files[0])
                if parts[-1].lower() in ("train.bin", "test.bin")
            }
            blobs = [held[name] for name in ("train.bin", "test.bin")]
    else:
        blobs = []
        for file in files:
            with _said(file), (lzma.open if file.suffix == ".xz" else open)(file, "rb") as stream:
                blobs.append(stream.read())
    digest = hashlib.sha256()
    for blob, count in zip(blobs, (50_000, 10_000), strict=True):
        digest.update(blob)
        if len(blob) != count * 3074:
            raise DataError(
                f"{files[0].parent} holds {len(blob):,} bytes of CIFAR-100 where "
                f"{count * 3074:,} belong; download the archives again."
            )
    records = np.frombuffer(b"".join(blobs), np.uint8).reshape(-1, 3074)
    coarse, fine = records[:, 0], records[:, 1]
    if fine.max() > 99 or coarse.max() > 19 or (np.bincount(fine, minlength=100) != 600).any():
        raise DataError(
            f"The labels in {files[0].parent} are not CIFAR-100's; download the archives again."
        )
    order = np.argsort(fine, kind="stable")
    pixels = records[order, 2:].reshape(100, 600, 3, 32, 32)
    groups = coarse[order].reshape(100, 600)[:, 0]
    return Decoded(
        np.ascontiguousarray(pixels.transpose(0, 1, 3, 4, 2)),
        CIFAR_CLASSES,
        tuple(CIFAR_SUPERCLASSES[group] for group in groups),
        digest.hexdigest(),
    )


def npy(array: np.ndarray) -> bytes:
    """The array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


class _said:
    """Turns whatever a damaged container raises into one sentence that names the file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        damage = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError)
        # RuntimeError: a password, an unknown compression, or links that lead in a circle
        if isinstance(error, (*damage, OSError, KeyError, RuntimeError)):
            said = str(error).partition("\n")[0]  # tarfile lists all that it has tried
            raise DataError(
                f"{self.file} is truncated or damaged ({said}); delete it and download it again."
            ) from None


def _members(file: Path) -> Iterator[tuple[list[str], Callable[[], bytes]]]:
    """The files in a zip or tar archive, whatever its suffix and compression: the parts of each
    one's name, and what reads it. Without what macOS adds: `__MACOSX`, `._name`, `.DS_Store`."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if not name.endswith("/") and (parts := _own(name)):
                    yield parts, partial(archive.read, name)
        return
    with tarfile.open(file) as archive:
        for member in archive:
            if (member.isfile() or member.islnk() or member.issym()) and (
                parts := _own(member.name)
            ):
                yield parts, partial(_extracted, archive, member)


def _own(name: str) -> list[str] | None:
    parts = [part for part in name.split("/") if part != "."]
    return None if "__MACOSX" in parts or parts[-1].startswith(".") else parts


def _extracted(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    if stream is None:
        raise KeyError(member.name)
    return stream.read()
