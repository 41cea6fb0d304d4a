"""The outer gradient's tensor operations, recorded once and repeated without its Python code.

In a small network an operation takes a tenth of a millisecond; the Python code between operations
takes a fifth of a step's time, and threads wait for each other's. A recording lists the operations
of one call and gives their results fixed places in memory. A view of such a place, which is every
second operation, is then made once, when recording. The other operations are written out as one
function without branches. They are the same operations in the same order, so the results are equal
to the last bit.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache
from inspect import unwrap
from threading import Lock
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mamlbook.fewshot.data.tasks import Episodes, Shape
from mamlbook.fewshot.engine.learners import Learner, Outcome, outer_gradient
from mamlbook.fewshot.engine.network import Network

aten = torch.ops.aten
EMPTY = {aten.new_empty.default}
FILLED = {aten.new_zeros.default: 0, aten.new_ones.default: 1}
COPIED = {aten.clone.default, aten._to_copy.default}
PADDED = aten.constant_pad_nd.default
COMPILED = BuiltinFunctionType, MethodDescriptorType
PATIENCE = 25  # calls with tasks of one shape that save about what recording costs


class Gradients:
    """The outer gradients of one training's tasks, as `outer_gradient` computes them: on a CPU
    recorded for each shape of tasks, and once more for each thread that needs them at once."""

    def __init__(self, learner: Learner, network: Network, images: torch.Tensor) -> None:
        self.learner, self.network, self.images = learner, network, images
        self.calls: Counter[tuple] = Counter()
        self.idle: defaultdict[tuple, list[Recording]] = defaultdict(list)
        self.turn = Lock()  # one records at a time, which takes much memory for a moment

    def __call__(self, theta: torch.Tensor, episodes: Episodes) -> Outcome:
        """That of theta (1, size) on these tasks."""
        inputs = (theta, episodes.support, episodes.query)
        key = (episodes.shape, theta.dtype, *(each.shape for each in inputs))
        recording = None
        with self.turn:
            self.calls[key] += 1
            if self.calls[key] > PATIENCE and theta.device.type == "cpu":
                idle = self.idle[key]
                recording = idle.pop() if idle else self._recorded(episodes.shape, *inputs)
        if recording is None:
            return outer_gradient(self.learner, self.network, theta, self.images, episodes)
        outcome = Outcome(*recording(*inputs))
        self.idle[key].append(recording)
        return outcome

    def _recorded(self, shape: Shape, *inputs: torch.Tensor) -> "Recording":
        plain = unwrap(outer_gradient)  # in inference mode, composite operations stay composite

        def gradient(theta, support, query):
            episodes = Episodes(shape, support, query)
            outcome = plain(self.learner, self.network, theta, self.images, episodes)
            return outcome.gradient, outcome.loss, outcome.accuracy

        return Recording(gradient, *inputs)


class Call(NamedTuple):
    """An operation, and what it returned or, if it writes to tensors instead, None."""

    operation: Any
    args: tuple
    kwargs: dict[str, Any]
    returned: Any = None

    def tensors(self) -> list[torch.Tensor]:
        """All that it reads, writes and returns."""
        return _tensors((self.args, self.kwargs, self.returned))


class Recording:
    """The operations of `function` on tensors of the shapes of `inputs`, for any values in them.

    The function must not decide anything by the values. A recording keeps the memory that a call
    needs, and serves one thread at a time.
    """

    def __init__(
        self, function: Callable[..., tuple[torch.Tensor, ...]], *inputs: torch.Tensor
    ) -> None:
        with torch.inference_mode(False), torch.no_grad():
            self.inputs = [each.clone() for each in inputs]
            with _Recorder() as recorder:
                results = function(*self.inputs)
        calls, placed = _needed(_used(recorder.calls, results), self.inputs)
        with torch.inference_mode():
            self.repeat = _written(calls, _moved(calls, results, placed), results)

    @torch.inference_mode()
    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The function's results for these inputs."""
        for own, each in zip(self.inputs, inputs, strict=True):
            own.copy_(each)
        return self.repeat()


class _Recorder(TorchDispatchMode):
    """Keeps the calls and with them all tensors, so that no two have the same address."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Not to mark it for the library's compiler, which takes seconds to import."""
        return False

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        returned = operation(*args, **(kwargs or {}))
        self.calls.append(Call(operation, args, kwargs or {}, returned))
        return returned


def _used(calls: list[Call], results: tuple[torch.Tensor, ...]) -> list[Call]:
    """The calls that the results depend on."""
    tensors, storages, used = set(map(id, results)), set(_of(results)), []
    for call in reversed(calls):
        made, read = _tensors(call.returned), _tensors((call.args, call.kwargs))
        wrote = call.operation._schema.is_mutable and not storages.isdisjoint(_of(made))
        if wrote or not tensors.isdisjoint(map(id, made)):
            used.append(call)
            tensors.update(map(id, read))
            storages.update(_of(read))
    return used[::-1]


def _needed(calls: list[Call], inputs: list[torch.Tensor]) -> tuple[list[Call], set[int]]:
    """The calls to repeat, and the storages that get a fixed place.

    Left out are the calls that do not depend on the inputs, and the views of storages with a fixed
    place. An operation that can write its result to a given tensor gets one. One that cannot, such
    as a convolution, returns a new tensor at each call, of which the views are made again.
    """
    written: set[int] = set()
    for call in calls:
        if call.operation._schema.is_mutable:
            written.update(_of(call.returned))
    varying, given = set(_of(inputs)), set(_of(inputs))
    placed: set[int] = set()
    needed = []
    for call in calls:
        operation, args, kwargs, returned = call
        read, made = set(_of((args, kwargs))), set(_of(returned))
        if operation._schema.is_mutable:
            needed.append(Call(_bound(operation), args, kwargs))
        elif not (read & varying or made & written):
            continue
        elif made <= read:
            if not made <= placed | given:
                needed.append(call._replace(operation=_bound(operation)))
        elif operation == PADDED and made.isdisjoint(written):
            given |= made  # its margin stays as it is
            needed.append(Call(torch.Tensor.copy_, (_inner(returned, args[1]), args[0]), {}))
        elif (into := _into(call)) is not None:
            placed |= made
            needed += into
        else:
            needed.append(call._replace(operation=_bound(operation)))
        varying |= made
    return needed, placed


def _inner(padded: torch.Tensor, widths: list[int]) -> torch.Tensor:
    """What the margins surround: their widths before and after it, from the last dimension on."""
    for place in range(len(widths) // 2):
        before, after = widths[2 * place : 2 * place + 2]
        size = padded.shape[-1 - place]
        padded = padded.narrow(-1 - place, before, size - before - after)
    return padded


def _into(call: Call) -> list[Call] | None:
    """The calls that write the results of this one to its tensors; None if there are none."""
    operation, args, kwargs, returned = call
    if operation in EMPTY:
        return []
    if operation in FILLED:
        return [Call(torch.Tensor.fill_, (returned, FILLED[operation]), {})]
    if operation in COPIED:
        return [Call(torch.Tensor.copy_, (returned, args[0]), {})]
    other, names = _writing(operation)
    if not names:
        return None
    results, bound = _tensors(returned), _bound(operation)
    if bound is operation:
        return [Call(other, args, kwargs | dict(zip(names, results, strict=True)))]
    return [Call(bound, args, kwargs | {"out": results if results[1:] else results[0]})]


@cache
def _writing(operation: Any) -> tuple[Any, list[str]]:
    """The same operation where it writes to given tensors, and the names of these."""
    packet = operation.overloadpacket
    own = [(each.name, str(each.type)) for each in operation._schema.arguments]
    for other in (getattr(packet, name) for name in packet.overloads()):
        arguments = other._schema.arguments
        rest = [(each.name, str(each.type)) for each in arguments if not each.is_out]
        out = [each.name for each in arguments if each.is_out]
        # A generated one writes to tensors by copying what it has computed elsewhere.
        if out and rest == own and torch.Tag.generated not in other.tags:
            return other, out
    return None, []


@cache
def _bound(operation: Any) -> Any:
    """The library's own function for the operation, which takes half the time to read its
    arguments, if there is one; else the operation."""
    name = operation._schema.name.removeprefix("aten::")
    for home in (torch, torch._C._nn, torch.Tensor):
        if isinstance(found := getattr(home, name, None), COMPILED):
            return found
    return operation


def _moved(
    calls: list[Call], results: tuple[torch.Tensor, ...], placed: set[int]
) -> dict[int, torch.Tensor]:
    """By identity, each tensor of a storage that gets a fixed place, in its place. A place serves
    another storage as soon as no later call uses the first."""
    last = {storage: turn for turn, call in enumerate(calls) for storage in _of(call.tensors())}
    last |= dict.fromkeys(_of(results), len(calls))
    places: dict[int, torch.UntypedStorage] = {}
    free: list[torch.UntypedStorage] = []
    moved = {}
    for turn, tensors in enumerate([*(call.tensors() for call in calls), list(results)]):
        touched = [each for each in tensors if _storage(each) in placed]
        for each in touched:
            storage = _storage(each)
            if storage not in places:
                places[storage] = _place(free, each)
            moved[id(each)] = torch.empty(0, dtype=each.dtype).set_(
                places[storage], each.storage_offset(), each.size(), each.stride()
            )
        free += [places[storage] for storage in set(_of(touched)) if last[storage] == turn]
    return moved


def _place(free: list[torch.UntypedStorage], tensor: torch.Tensor) -> torch.UntypedStorage:
    """One for the tensor's storage: of those that are free and at most four times as large, the
    last to become so, which is likeliest to be in the cache; else a new one."""
    size = tensor.untyped_storage().nbytes()
    for index in reversed(range(len(free))):
        if size <= free[index].nbytes() <= 4 * size:
            return free.pop(index)
    return torch.empty(size, dtype=torch.uint8).untyped_storage()


def _written(
    calls: list[Call], moved: dict[int, torch.Tensor], results: tuple[torch.Tensor, ...]
) -> Callable[[], tuple[torch.Tensor, ...]]:
    """The calls, one after another, as a function that returns copies of the results."""
    last = {id(each): turn for turn, call in enumerate(calls) for each in call.tensors()}
    last |= dict.fromkeys(map(id, results), len(calls))
    known: dict[str, Any] = {}
    names: dict[int, str] = {}

    def name(value: Any, letter: str) -> str:
        return names.setdefault(id(value), f"{letter}{len(names)}")

    def text(value: Any) -> str:
        if isinstance(value, list | tuple):
            return f"[{', '.join(map(text, value))}]"
        if id(value) not in names:
            known[name(value, "c")] = moved.get(id(value), value)
        return names[id(value)]

    lines = []
    for turn, call in enumerate(calls):
        words = [text(each) for each in call.args]
        words += [f"{key}={text(each)}" for key, each in call.kwargs.items()]
        line = f"{text(call.operation)}({', '.join(words)})"
        if call.returned is not None:
            several = isinstance(call.returned, list | tuple)
            new = [
                name(each, "v") if isinstance(each, torch.Tensor) else "_"
                for each in (call.returned if several else [call.returned])
            ]
            line = f"{', '.join(new)}{',' * several} = {line}"
        dead = {names[id(each)] for each in call.tensors() if last[id(each)] == turn}
        lines += [line, *(f"del {each}" for each in sorted(dead - known.keys()))]
    lines.append(f"return {', '.join(f'{text(each)}.clone()' for each in results)},")
    exec("def repeat():\n " + "\n ".join(lines), known)
    return known["repeat"]


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return []
    return [tensor for each in value for tensor in _tensors(each)]


def _of(tree: Any) -> list[int]:
    """The storage of each tensor, as a number."""
    return [_storage(each) for each in _tensors(tree)]


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata
