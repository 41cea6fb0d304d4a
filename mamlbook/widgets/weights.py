"""Trained networks as a page fetches them: float16, compressed, and read with NumPy alone.

A network of Table 1 has 112,005 parameters. Each is rounded to float16 and becomes the whole number
that float16 numbers have by their order; of some networks the difference from the initialization,
which the page draws from its seed, is stored instead, where that is smaller. High bytes then stand
before low ones, behind a first byte that says which of the two it is, all in gzip.
"""

import gzip
import json
from pathlib import Path

import numpy as np

MODELS = Path(__file__).parent.parent / "fewshot" / "models"
BLOCKS = 4
PARTS = (
    *(
        f"block{block + 1}.{part}"
        for block in range(BLOCKS)
        for part in ("weights", "scale", "shift")
    ),
    *("head.weights", "head.bias"),
)


def packed(name: str, seed: int) -> bytes:
    """The shipped model of this name, trained from the initialization of `seed`."""
    parts = read(MODELS / f"{name}.safetensors")
    theta = np.concatenate([parts[part].ravel() for part in PARTS])
    return encoded(theta, initial({part: parts[part].shape for part in PARTS}, seed))


def read(path: Path) -> dict[str, np.ndarray]:
    """The float32 tensors of a .safetensors file, by name."""
    blob = path.read_bytes()
    start = 8 + int.from_bytes(blob[:8], "little")
    return {
        name: np.frombuffer(blob[start:][slice(*part["data_offsets"])], "<f4").reshape(
            part["shape"]
        )
        for name, part in json.loads(blob[8:start]).items()
        if name != "__metadata__"
    }


def initial(shapes: dict[str, tuple[int, ...]], seed: int) -> np.ndarray:
    """theta (size,), float32, as `Network.initial` draws it with a head "xavier"."""
    twister = np.random.RandomState(seed)._bit_generator  # PyTorch's too
    parts = []
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        if name.endswith("weights"):
            fan = sum(shape) if name.startswith("head") else shape[1] + 9 * shape[0]
            unit = (twister.random_raw(count) & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)
            parts.append((unit * 2 - 1) * np.float32((6 / fan) ** 0.5))
        else:
            parts.append(np.full(count, name.endswith("scale"), np.float32))
    return np.concatenate(parts)


def encoded(theta: np.ndarray, start: np.ndarray) -> bytes:
    """theta (size,), rounded to float16, as bytes; start: its initialization, float32."""
    places = _places(theta.astype(np.float16).view(np.int16))
    return min((_bytes(places, 0), _bytes(places, near(start))), key=len)


def decoded(data: bytes, start: np.ndarray) -> np.ndarray:
    """theta (size,), float16: the inverse of `encoded` up to its rounding."""
    blob = np.frombuffer(gzip.decompress(data), np.uint8)
    high, low = blob[1:].astype(np.int32).reshape(2, -1)
    code = high << 8 | low
    places = ((code >> 1 ^ -(code & 1)) + (near(start) if blob[0] else 0)).astype(np.int16)
    return np.where(places < 0, -0x8000 - places, places).astype(np.int16).view(np.float16)


def near(theta: np.ndarray) -> np.ndarray:
    """The places of theta, float32, cut off (not rounded) to float16, in whole numbers alone."""
    bits = np.asarray(theta, np.float32).view(np.int32)
    half = np.maximum((bits & 0x7FFFFFFF) - (112 << 23), 0) >> 13
    return np.where(bits < 0, -half, half)


def _places(bits: np.ndarray) -> np.ndarray:
    """Whole numbers in the order of the float16 numbers with these bits, 0 for zero."""
    return np.where(bits < 0, -(bits & 0x7FFF), bits)


def _bytes(places: np.ndarray, start: np.ndarray | int) -> bytes:
    step = (places - start).astype(np.int16)  # modulo 2^16
    code = (step << 1 ^ step >> 15).view(np.uint16)  # small numbers of either sign first
    first = bytes([np.ndim(start)])
    return gzip.compress(
        first + (code >> 8).astype("u1").tobytes() + code.astype("u1").tobytes(), 9, mtime=0
    )
