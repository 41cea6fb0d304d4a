"""Which warnings end a test: all but deprecations in other people's modules."""

import warnings

import pytest


@pytest.mark.parametrize(
    ("kind", "module", "ends"),
    [
        (RuntimeWarning, "numpy.linalg", True),
        (UserWarning, "torch.nn", True),
        (DeprecationWarning, "mamlbook.records", True),
        (FutureWarning, "tests.test_records", True),
        (DeprecationWarning, "test_build", True),
        (DeprecationWarning, "torch.package", False),
        (FutureWarning, "pandas.core", False),
    ],
)
def test_a_warning_is_an_error_unless_a_stranger_s_deprecation(kind, module, ends):
    def warn():
        warnings.warn_explicit("a fault", kind, "file.py", 1, module=module)

    if ends:
        with pytest.raises(kind):
            warn()
    else:
        warn()
