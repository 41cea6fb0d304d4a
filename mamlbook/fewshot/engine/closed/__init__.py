"""The network's passes in closed form, without autograd: forward, backward, Hessian-vector."""
