"""Omniglot and CIFAR-100 as arrays: found, decoded, checked against their digest, and cached.

A file is looked for in the folder `$MAMLBOOK_DATA`, then in the user's cache, then downloaded.
What counts is the content: the digest is taken of the decoded originals, so a repacked archive
with the same images is as good as the upstream one, and an altered image is refused.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pooch
import torch

from mamlbook.fewshot.data import decode, pictures
from mamlbook.fewshot.data.decode import DataError
from mamlbook.records import write_atomic


@dataclass(frozen=True)
class ImageSet:
    """Images of one size, the same number of every class.

    images: uint8 (classes, examples, height, width, channels), on the device asked for.
    classes: the name of each class; groups: the name of each class's alphabet (Omniglot) or
    superclass (CIFAR-100); digest: SHA-256 of the decoded originals.
    """

    name: str
    images: torch.Tensor
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    digest: str

    def turns(self) -> torch.Tensor:
        """uint8 (4 * classes * examples, height, width, channels): all images, then all turned by
        90, 180 and 270 degrees."""
        flat = self.images.flatten(0, 1)
        return torch.cat([torch.rot90(flat, turn, (1, 2)) for turn in range(4)])

    def to(self, device: str | torch.device) -> "ImageSet":
        """The same images on another device."""
        return ImageSet(self.name, self.images.to(device), self.classes, self.groups, self.digest)


@dataclass(frozen=True)
class Source:
    """Where a data set comes from: archives (name -> MD5, URLs), alternatives, and its decoder.

    `files` is tried in order: each entry is a tuple of file names that together hold the set.
    """

    name: str
    files: tuple[tuple[str, ...], ...]
    upstream: dict[str, str]
    urls: dict[str, tuple[str, ...]]
    digest: str
    decode: Callable[[tuple[Path, ...]], decode.Decoded]
    folder: str = ""
    """The folder in MAMLBOOK_DATA with the files, if it has not the name of the set."""


def _archived(url: str) -> str:
    return f"https://web.archive.org/web/2022id_/{url}"


_LAKE = "https://github.com/brendenlake/omniglot/raw/master/python/"
_LAKE_MIRROR = "https://cdn.jsdelivr.net/gh/brendenlake/omniglot@master/python/"
_CIFAR = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
_OMNIGLOT_FILES = ("images_background.zip", "images_evaluation.zip")
_OMNIGLOT_PACKED = (
    _OMNIGLOT_FILES,
    ("images_background.tar.gz", "images_evaluation.tar.gz"),
)
_OMNIGLOT_UPSTREAM = {
    "images_background.zip": "md5:68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "md5:6b91aef0f799c5bb55b94e3f2daec811",
}
_OMNIGLOT_DIGEST = "308ac7ccbf96c742c7087faf6866e19deb5e15033216577fc806ecb136c55892"
_OMNIGLOT = Source(
    "omniglot",
    files=_OMNIGLOT_PACKED,
    upstream=_OMNIGLOT_UPSTREAM,
    urls={name: (_LAKE + name, _LAKE_MIRROR + name) for name in _OMNIGLOT_FILES},
    digest=_OMNIGLOT_DIGEST,
    decode=decode.omniglot,
)

SOURCES = {
    "omniglot": _OMNIGLOT,
    "omniglot-binary": replace(
        _OMNIGLOT, name="omniglot-binary", decode=decode.omniglot_binary, folder="omniglot"
    ),
    "cifar100": Source(
        "cifar100",
        files=(
            ("cifar-100-binary.tar.gz",),
            ("cifar-100-binary.zip",),
            ("train.bin", "test.bin"),
            ("train.bin.xz", "test.bin.xz"),
        ),
        upstream={"cifar-100-binary.tar.gz": "md5:03b5dce01913d631647c71ecec9e9cb8"},
        urls={"cifar-100-binary.tar.gz": (_CIFAR, _archived(_CIFAR))},
        digest="77e2de35489d148b4822768381106640981552dfaad79ff5f0adad1e0820b874",
        decode=decode.cifar100,
    ),
}


def load(name: str, device: str | torch.device = "cpu") -> ImageSet:
    """The images of "omniglot" (28 x 28 x 1, grays, ink 255), "omniglot-binary" (28 x 28 x 1, 0
    where there is ink, else 255) or "cifar100" (32 x 32 x 3) on `device`.

    The first call decodes and leaves the arrays in the user's cache; later calls read them.
    Omniglot's 105 x 105 originals are resampled by Pillow's Lanczos filter, as grays, or, for
    "omniglot-binary", by taking the nearest pixel, as Pillow does of images of one bit.
    Raises DataError, in one sentence with the remedy, if a file is missing or not what it
    should be; nothing is left half-written.
    """
    if name not in SOURCES:
        raise DataError(f"There is no data set {name!r}; choose one of {', '.join(SOURCES)}.")
    source = SOURCES[name]
    cache = _cache()
    dataset = _from_cache(source, cache)
    if dataset is None:
        files = _find(source, cache)
        dataset = source.decode(files)
        if dataset.digest != source.digest:
            listed = " and ".join(str(file) for file in files)
            raise DataError(
                f"{listed} decode to other images than {name}'s (digest {dataset.digest[:12]}..., "
                f"expected {source.digest[:12]}...); download them again."
            )
        try:
            _to_cache(source, cache, dataset)
        except OSError as error:  # no home, a read-only one, a full disk
            warnings.warn(
                f"The images of {name} are not kept in {cache} ({error.strerror}), so each "
                "command decodes them again.",
                stacklevel=2,
            )
    images = torch.from_numpy(dataset.images).to(device)
    return ImageSet(name, images, dataset.classes, dataset.groups, dataset.digest)


def from_folder(
    path: str | Path,
    side: int = 32,
    preparation: pictures.Preparation = "rgb",
    *,
    examples: int | None = None,
    least: tuple[int, int] = (1, 0),
) -> ImageSet:
    """The classes PATH/CLASS/*.png, or PATH/GROUP/CLASS/*.png, each picture `prepared`.

    `examples`: images of each class, the first in the order of their names; by default as many as
    the smallest class has. least: support and query images that a task needs of each class. A
    class's group is the folder around it; without one, the class itself.
    The digest is of the prepared images and the names of their classes.
    Raises DataError, in one sentence, if there is no class, too few images or a damaged one.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give one that holds a folder for each class.")
    classes = {
        folder: pictures.files(folder)
        for folder in sorted(root.rglob("*"))
        if folder.is_dir() and not pictures.hidden(folder.relative_to(root))
    }
    classes = {folder: held for folder, held in classes.items() if held}
    if not classes:
        raise DataError(
            f"{root} holds no folder of {', '.join(pictures.SUFFIXES)} files; "
            "it needs one for each class."
        )
    scarce = min(classes, key=lambda folder: len(classes[folder]))
    count = examples or len(classes[scarce])
    if len(classes[scarce]) < sum(least):
        raise DataError(
            f"The class {scarce.relative_to(root)} has {len(classes[scarce])} images, but "
            f"{least[0]} shots and {least[1]} query images need {sum(least)}: add images, ask for "
            "fewer shots or queries, or move the folder away."
        )
    if len(classes[scarce]) < count:
        raise DataError(
            f"The class {scarce.relative_to(root)} has {len(classes[scarce])} images, not {count}; "
            "ask for fewer examples or move the folder away."
        )
    if found := pictures.unlike([path for held in classes.values() for path in held[:count]]):
        warnings.warn(
            "{} is {} x {} pixels and {} {} x {}; all are stretched to {side} x {side}: crop them "
            "first if that harms them.".format(*found, side=side),
            stacklevel=2,
        )
    images = np.stack([pictures.read(held[:count], side, preparation) for held in classes.values()])
    names = tuple(folder.relative_to(root).as_posix() for folder in classes)
    groups = tuple(name.rpartition("/")[0] or name for name in names)
    digest = hashlib.sha256(repr((names, images.shape)).encode() + images.tobytes()).hexdigest()
    return ImageSet(root.name, torch.from_numpy(images), names, groups, digest)


def from_arrays(classes: dict[str, np.ndarray], name: str = "arrays") -> ImageSet:
    """Classes by name, each uint8 (examples, side, side, channels), all of one shape."""
    shapes = {array.shape for array in classes.values()}
    if len(shapes) != 1 or any(array.dtype != np.uint8 for array in classes.values()):
        raise DataError(
            f"Classes of shapes {sorted(shapes)}; all must be uint8 of one shape "
            "(examples, side, side, channels)."
        )
    images, names = np.stack(list(classes.values())), tuple(classes)
    digest = hashlib.sha256(repr((names, images.shape)).encode() + images.tobytes()).hexdigest()
    return ImageSet(name, torch.from_numpy(images), names, names, digest)


def _cache() -> Path:
    """The user's cache folder; for a user without HOME and without a passwd entry, a path where
    nothing is found and nothing can be written."""
    try:
        folder = Path(pooch.os_cache("mamlbook"))
    except RuntimeError:  # of a new platformdirs; an old one answers "~/.cache/mamlbook"
        folder = Path("~")
    return folder if folder.is_absolute() else Path(os.devnull) / "cache"


def _find(source: Source, cache: Path) -> tuple[Path, ...]:
    """The archives of a data set: from $MAMLBOOK_DATA, from the cache, or downloaded there."""
    folders = [cache]
    given = os.environ.get("MAMLBOOK_DATA")
    if given:
        if not Path(given).is_dir():
            raise DataError(
                f"MAMLBOOK_DATA is {given!r}, which is not a folder; set it to the folder "
                f"that holds {source.name}'s archives, or unset it to download them."
            )
        folders = [Path(given) / (source.folder or source.name), Path(given), cache]
    for folder in folders:
        for names in source.files:
            files = tuple(folder / name for name in names)
            if all(file.is_file() for file in files):
                return files
    return tuple(_download(source, name, cache) for name in source.upstream)


def _download(source: Source, name: str, cache: Path) -> Path:
    failures = []
    for url in source.urls[name]:
        try:
            return Path(pooch.retrieve(url, source.upstream[name], fname=name, path=cache))
        except (OSError, ValueError) as error:  # no network, or a hash that does not match
            failures.append(f"{url}: {type(error).__name__}")
    raise DataError(
        f"{name} of {source.name} is neither in $MAMLBOOK_DATA nor in {cache} and could not be "
        f"downloaded ({'; '.join(failures)}); put it into a folder and set MAMLBOOK_DATA to it."
    )


def _from_cache(source: Source, cache: Path) -> decode.Decoded | None:
    """The decoded arrays of an earlier call, or None if there are none or they are damaged."""
    try:
        stored = json.loads((cache / f"{source.name}.json").read_bytes())
        images = np.load(cache / f"{source.name}.npy", allow_pickle=False)
        if stored["digest"] != source.digest or stored["sha256"] != _sha256(images):
            return None
        return decode.Decoded(
            images, tuple(stored["classes"]), tuple(stored["groups"]), stored["digest"]
        )
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _to_cache(source: Source, cache: Path, dataset: decode.Decoded) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    stored = {
        "digest": dataset.digest,
        "sha256": _sha256(dataset.images),
        "classes": dataset.classes,
        "groups": dataset.groups,
    }
    write_atomic(cache / f"{source.name}.npy", decode.npy(dataset.images))
    write_atomic(cache / f"{source.name}.json", json.dumps(stored, ensure_ascii=False).encode())


def _sha256(images: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()
