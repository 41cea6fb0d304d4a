"""Algorithms, each defined once, and their two backends.

`algorithms` defines them by autograd, for any model and loss. `learners` has the same gradients in
closed form for the network of `network`: it is made of the passes in `closed`, and runs as one
task after another on a CPU (`recorded`) or as all runs at once (`grouped`).
"""
