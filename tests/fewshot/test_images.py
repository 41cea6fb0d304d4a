import dataclasses
import errno
import hashlib
import io
import lzma
import os
import tarfile
import time
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from mamlbook.fewshot.data import decode, images, pictures
from mamlbook.fewshot.data.decode import DataError

ALPHABETS = {"background": ("Greek", "Latin"), "evaluation": ("Tifinagh",)}


def drawing(seed: int) -> Image.Image:
    ink = np.random.default_rng(seed).random((105, 105)) < 0.1
    return Image.fromarray(np.where(ink, 0, 255).astype(np.uint8)).convert("1")


def write_omniglot(folder, first_seed=0):
    """Archives in Omniglot's layout: three alphabets of one character."""
    folder.mkdir(parents=True, exist_ok=True)
    seed = first_seed
    for part, alphabets in ALPHABETS.items():
        with zipfile.ZipFile(folder / f"images_{part}.zip", "w") as archive:
            for alphabet in alphabets:
                for drawer in range(1, 21):
                    file = io.BytesIO()
                    drawing(seed).save(file, "PNG")
                    name = f"images_{part}/{alphabet}/character01/0001_{drawer:02d}.png"
                    archive.writestr(name, file.getvalue())
                    seed += 1
    return tuple(folder / f"images_{part}.zip" for part in ALPHABETS)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small Omniglot in $MAMLBOOK_DATA, an empty cache, and no network."""
    files = write_omniglot(tmp_path / "data" / "omniglot")
    held = decode.omniglot(files)
    source = dataclasses.replace(images.SOURCES["omniglot"], digest=held.digest)
    monkeypatch.setitem(images.SOURCES, "omniglot", source)
    monkeypatch.setenv("MAMLBOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(images.pooch, "os_cache", lambda name: tmp_path / "cache")
    asked = []

    def offline(url, known_hash, fname, path):
        asked.append((url, known_hash))
        raise ConnectionError(url)

    monkeypatch.setattr(images.pooch, "retrieve", offline)
    return files, tmp_path / "cache", asked


def test_decodes_and_caches(small):
    files, cache, _ = small
    first = images.load("omniglot")
    assert tuple(first.images.shape) == (3, 20, 28, 28, 1)
    assert first.groups == ("Greek", "Latin", "Tifinagh")
    assert first.classes[0] == "Greek/character01"
    small_ = drawing(0).convert("L").resize((28, 28), Image.Resampling.LANCZOS)
    assert (first.images[0, 0, :, :, 0].numpy() == 255 - np.asarray(small_)).all()
    for file in files:
        file.unlink()
    again = images.load("omniglot")
    assert (again.images == first.images).all() and again.digest == first.digest
    assert sorted(path.name for path in cache.iterdir()) == ["omniglot.json", "omniglot.npy"]


def test_the_container_does_not_matter(small, tmp_path):
    files, _, _ = small
    for file in files:
        with zipfile.ZipFile(file) as archive:
            held = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in reversed(held):
                archive.writestr(name, held[name])
    assert images.load("omniglot").digest == images.SOURCES["omniglot"].digest


def test_an_altered_image_is_refused(small, tmp_path):
    write_omniglot(tmp_path / "data" / "omniglot", first_seed=1)
    with pytest.raises(DataError, match="decode to other images than omniglot's"):
        images.load("omniglot")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_truncated_archive_is_refused(small, keep):
    files, cache, _ = small
    data = files[0].read_bytes()
    files[0].write_bytes(data[: int(keep * len(data))])
    with pytest.raises(DataError, match=r"images_background\.zip is truncated or damaged"):
        images.load("omniglot")
    assert not cache.exists()


def test_a_damaged_cache_is_made_anew(small):
    _, cache, _ = small
    first = images.load("omniglot")
    data = bytearray((cache / "omniglot.npy").read_bytes())
    data[-1] ^= 1
    (cache / "omniglot.npy").write_bytes(data)
    assert (images.load("omniglot").images == first.images).all()
    (cache / "omniglot.json").write_text("{")
    assert (images.load("omniglot").images == first.images).all()


def test_what_is_nowhere_is_asked_of_upstream_and_mirror(small, monkeypatch):
    files, cache, asked = small
    files[0].unlink()
    with pytest.raises(DataError, match=r"images_background.zip .* set MAMLBOOK_DATA to it"):
        images.load("omniglot")
    assert [url.split("/")[2] for url, _ in asked] == ["github.com", "cdn.jsdelivr.net"]
    assert {known for _, known in asked} == {"md5:68d2efa1b9178cc56df9314c21c6e718"}
    monkeypatch.setenv("MAMLBOOK_DATA", str(cache / "no such folder"))
    with pytest.raises(DataError, match="which is not a folder"):
        images.load("omniglot")
    with pytest.raises(DataError, match="no data set 'mnist'"):
        images.load("mnist")


def test_a_missing_drawing_is_told(tmp_path):
    files = write_omniglot(tmp_path)
    with zipfile.ZipFile(files[1]) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(files[1], "w") as archive:
        for name in list(held)[1:]:
            archive.writestr(name, held[name])
    with pytest.raises(DataError, match="Tifinagh/character01 has 19 drawings instead of 20"):
        decode.omniglot(files)


def repacked(files, out, change, kind=zipfile.ZIP_DEFLATED):
    """The same files under other names, in a zip archive, or, with kind "gz" and the like, a tar;
    with `macos` in `change`, what macOS adds."""
    written = []
    for file in files:
        with zipfile.ZipFile(file) as archive:
            held = {change(name): archive.read(name) for name in archive.namelist()}
        first = next(iter(held))
        held |= {
            f"__MACOSX/{first.rpartition('/')[0]}/._{name.rpartition('/')[2]}": b"\0\5\x16\7"
            for name in held
        }
        held |= {f"{name.rpartition('/')[0]}/._0001_01.png": b"\0\5\x16\7" for name in [*held]}
        held |= {".DS_Store": b"\0", f"{first.partition('/')[0]}/.DS_Store": b"\0"}
        if isinstance(kind, int):
            path = out / file.name
            with zipfile.ZipFile(path, "w", kind) as archive:
                archive.mkdir("empty")
                for name, data in held.items():
                    archive.writestr(name, data)
        else:
            path = out / f"{file.stem}.tar.gz"
            with tarfile.open(path, f"w:{kind}") as archive:
                for name, data in held.items():
                    member = tarfile.TarInfo(f"./{name}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        written.append(path)
    return tuple(written)


LAYOUTS = {
    "as published": lambda name: name,
    "without its top folder": lambda name: name.partition("/")[2],
    "in two more folders": lambda name: f"data/omniglot/{name}",
    "suffixes in capitals": lambda name: name.replace(".png", ".PNG"),
}


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, "gz", "xz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_omniglot_repacked_in_every_common_way(small, tmp_path, monkeypatch, layout, kind):
    files, cache, asked = small
    expected = images.load("omniglot").images
    for path in cache.iterdir():
        path.unlink()
    again = tmp_path / "again"
    again.mkdir()
    repacked(files, again, LAYOUTS[layout], kind)
    monkeypatch.setenv("MAMLBOOK_DATA", str(again))
    assert torch.equal(images.load("omniglot").images, expected)
    assert not asked


@pytest.mark.parametrize("name", ["cifar-100-binary.tar.gz", "cifar-100-binary.zip"])
@pytest.mark.parametrize("top", ["", "cifar-100-binary/"])
def test_cifar_repacked_in_every_common_way(records, tmp_path, monkeypatch, name, top):
    """Stored: to compress 180 MB takes seconds; the compression is the library's affair."""
    digest = hashlib.sha256(records[0] + records[1]).hexdigest()
    source = dataclasses.replace(images.SOURCES["cifar100"], digest=digest)
    monkeypatch.setitem(images.SOURCES, "cifar100", source)
    monkeypatch.setenv("MAMLBOOK_DATA", str(tmp_path))
    monkeypatch.setattr(images.pooch, "os_cache", lambda name: tmp_path / "cache")
    held = {
        f"{top}train.bin": records[0],
        f"{top}._train.bin": b"\0",
        f"__MACOSX/{top}test.bin": b"\0",
        f"{top}TEST.bin": records[1],
        f"{top}fine_label_names.txt": b"apple",
    }
    if name.endswith("zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for inner, data in held.items():
                archive.writestr(inner, data)
    else:
        with tarfile.open(tmp_path / name, "w") as archive:
            for inner, data in held.items():
                member = tarfile.TarInfo(inner)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    assert images.load("cifar100").digest == digest


@pytest.fixture(scope="module")
def records() -> list[bytes]:
    """CIFAR-100's two files with random pixels; fine label f has the coarse label f // 5."""
    rng = np.random.default_rng(0)
    blobs = []
    for count in (50_000, 10_000):
        rows = np.zeros((count, 3074), np.uint8)
        rows[:, 1] = rng.permutation(np.arange(count) % 100)
        rows[:, 0] = rows[:, 1] // 5
        rows[:, 2:10] = rng.integers(0, 256, (count, 8))
        blobs.append(rows.tobytes())
    return blobs


def test_cifar_in_every_container(records, tmp_path):
    for name, blob in zip(("train.bin", "test.bin"), records, strict=True):
        (tmp_path / name).write_bytes(blob)
    (tmp_path / "test.bin.xz").write_bytes(lzma.compress(records[1], preset=0))
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz", compresslevel=1) as archive:
        for name in ("train.bin", "test.bin"):
            archive.add(tmp_path / name, f"cifar-100-binary/{name}")
    # One file plain, one packed: each is read by itself.
    plain = decode.cifar100((tmp_path / "train.bin", tmp_path / "test.bin.xz"))
    upstream = decode.cifar100((tmp_path / "all.tar.gz",))
    assert plain.images.shape == (100, 600, 32, 32, 3)
    assert upstream.digest == plain.digest and (upstream.images == plain.images).all()
    rows = np.frombuffer(records[0], np.uint8).reshape(-1, 3074)
    first = rows[rows[:, 1] == 7][0]
    assert plain.images[7, 0, 0, :8, 0].tolist() == first[2:10].tolist()
    assert plain.groups[7] == decode.CIFAR_SUPERCLASSES[1]
    digest = hashlib.sha256(records[0] + records[1]).hexdigest()
    assert plain.digest == digest


def test_damaged_cifar_is_told(records, tmp_path):
    (tmp_path / "test.bin").write_bytes(records[1])
    (tmp_path / "train.bin").write_bytes(records[0][:-1])
    with pytest.raises(DataError, match="153,699,999 bytes of CIFAR-100 where 153,700,000"):
        decode.cifar100((tmp_path / "train.bin", tmp_path / "test.bin"))
    (tmp_path / "train.bin").write_bytes(records[0][:1] + b"\x64" + records[0][2:])
    with pytest.raises(DataError, match=r"labels in .* are not CIFAR-100's"):
        decode.cifar100((tmp_path / "train.bin", tmp_path / "test.bin"))
    packed = lzma.compress(records[1], preset=0)
    (tmp_path / "test.bin.xz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"test.bin.xz is truncated or damaged"):
        decode.cifar100((tmp_path / "test.bin.xz", tmp_path / "test.bin"))


def test_omniglot_as_published(real_data):
    held = images.load("omniglot")
    assert tuple(held.images.shape) == (1623, 20, 28, 28, 1)
    assert len(set(held.groups)) == 50 and len(set(held.classes)) == 1623
    assert held.images.float().mean() == pytest.approx(21.427, abs=1e-3)
    start = time.perf_counter()
    images.load("omniglot")
    assert time.perf_counter() - start < 1


def test_cifar_as_published(real_data):
    held = images.load("cifar100")
    assert tuple(held.images.shape) == (100, 600, 32, 32, 3)
    sizes = {group: held.groups.count(group) for group in held.groups}
    assert len(sizes) == 20 and set(sizes.values()) == {5}
    # The training file's means, as published with the data set
    total = held.images[:, :500].sum((0, 1, 2, 3), dtype=torch.int64)
    mean = total.double() / (255 * 50_000 * 32 * 32)
    assert mean.tolist() == pytest.approx(
        [0.5070751592371323, 0.48654887331495095, 0.4409178433670343], abs=1e-12
    )


@pytest.mark.slow
def test_omniglot_is_decoded_within_20_seconds(real_data):
    folder = images.Path(os.environ["MAMLBOOK_DATA"]) / "omniglot"
    start = time.perf_counter()
    decode.omniglot(tuple(folder / name for name in images.SOURCES["omniglot"].files[0]))
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize(
    "cause", ["read-only", "no home", "full disk", "no home, old platformdirs"]
)
def test_a_cache_that_cannot_be_written_is_a_warning(small, tmp_path, monkeypatch, cause):
    _, cache, _ = small
    if cause == "read-only":  # the superuser may write anywhere, but not below a file
        cache.write_text("")
    elif cause == "no home":
        monkeypatch.setattr(images.pooch, "os_cache", no_home)
    elif cause == "no home, old platformdirs":
        monkeypatch.setattr(images.pooch, "os_cache", lambda name: "~/.cache/mamlbook")
        monkeypatch.chdir(tmp_path)
    else:
        monkeypatch.setattr(os, "fsync", lambda handle: full_disk())
    with pytest.warns(UserWarning, match="are not kept in .*so each command decodes them again"):
        held = images.load("omniglot")
    assert held.digest == images.SOURCES["omniglot"].digest
    assert not (tmp_path / "~").exists()
    if cause == "full disk":
        assert not list(cache.iterdir())


def no_home(name):
    raise RuntimeError("could not determine the home directory")


def full_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def set_bits(path, at, value):
    """Write a field of both headers, local and central, of a zip archive's first member."""
    data = bytearray(path.read_bytes())
    for header, offset in ((b"PK\x03\x04", at), (b"PK\x01\x02", at + 2)):
        begin = data.find(header) + offset
        data[begin : begin + 2] = value.to_bytes(2, "little")
    path.write_bytes(data)


@pytest.mark.parametrize(("at", "value", "said"), [(6, 1, "password"), (8, 77, "compression")])
def test_an_encrypted_zip_and_an_unknown_compression_are_one_sentence(small, at, value, said):
    files, _, _ = small
    set_bits(files[0], at, value)
    with pytest.raises(DataError, match=f"{files[0].name} is truncated or damaged .*{said}"):
        images.load("omniglot")


def bomb(side):
    """A PNG of side x side pixels of one bit that is a few bytes long: its header alone."""

    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    size = side.to_bytes(4, "big")
    header = chunk(b"IHDR", size + size + bytes([1, 0, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [200, 12_000, 60_000])
def test_a_drawing_that_would_fill_the_memory_is_refused(small, side):
    files, _, _ = small
    with zipfile.ZipFile(files[0]) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    held[next(iter(held))] = bomb(side)
    with zipfile.ZipFile(files[0], "w") as archive:
        for name, data in held.items():
            archive.writestr(name, data)
    with pytest.raises(DataError, match="A drawing of Omniglot's Greek/character01 cannot be read"):
        images.load("omniglot")


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, side):
    (tmp_path / "a.png").write_bytes(bomb(side))
    with pytest.raises(DataError, match=r"a\.png cannot be read .*decompression bomb"):
        pictures.read([tmp_path / "a.png"], 28, "grey")


def test_links_that_lead_in_a_circle_are_one_sentence(tmp_path):
    path = tmp_path / "cifar-100-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, target in (("train.bin", "test.bin"), ("test.bin", "train.bin")):
            link = tarfile.TarInfo(f"cifar-100-binary/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    with pytest.raises(DataError, match="is truncated or damaged"):
        decode.cifar100((path,))
