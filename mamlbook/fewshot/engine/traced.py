"""The outer gradient as a recorded graph, which runs outside the Python interpreter.

The threads of `learners.parallel_gradients` take turns at the interpreter between operations of a
tenth of a millisecond, and in small networks a second thread gains nothing. The library's tracer
records the operations of one call for tasks of one shape; from then on the graph calls the same
operations with the same numbers, to the last bit, and no thread waits for another. The tracer is
deprecated; the library has no other way to run a graph on a CPU without a compiler.
"""

import threading
import warnings
from collections import Counter
from collections.abc import Callable

import torch

from mamlbook.fewshot.data.tasks import Episodes
from mamlbook.fewshot.engine.learners import Learner, Outcome, outer_gradient
from mamlbook.fewshot.engine.network import Network

PATIENCE = 100  # calls with tasks of one shape that save about what recording costs, a second

_graphs: dict[tuple, Callable[..., tuple[torch.Tensor, ...]]] = {}
_calls: Counter[tuple] = Counter()
_turn = threading.Lock()


@torch.inference_mode()
def traced_gradient(
    learner: Learner,
    network: Network,
    theta: torch.Tensor,
    images: torch.Tensor,
    episodes: Episodes,
) -> Outcome:
    """What `outer_gradient` returns, by a graph once there were 100 calls with these shapes."""
    inputs = (theta, images, episodes.support, episodes.query)
    shapes = tuple((each.shape, each.dtype, each.device) for each in inputs)
    key = (learner, network, episodes.shape, shapes)
    with _turn:
        _calls[key] += 1
        if key not in _graphs and _calls[key] > PATIENCE:
            _graphs[key] = _record(learner, network, episodes.shape, inputs)
    if key not in _graphs:
        return outer_gradient(learner, network, theta, images, episodes)
    return Outcome(*_graphs[key](*inputs))


def _record(learner, network, shape, inputs):
    def gradient(theta, images, support, query):
        episodes = Episodes(shape, support, query)
        outcome = outer_gradient(learner, network, theta, images, episodes)
        return outcome.gradient, outcome.loss, outcome.accuracy

    with warnings.catch_warnings():
        # Of its deprecation, and that the graph holds for these shapes alone, as intended.
        warnings.simplefilter("ignore")
        return torch.jit.trace(gradient, inputs, check_trace=False)
