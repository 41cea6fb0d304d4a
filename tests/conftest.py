"""Settings that all tests share."""

from hypothesis import settings

# The same examples on every run: a failure in CI is a failure at home.
settings.register_profile("book", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("book")
