import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.execute import run
from tools.notebooks import settled

# Whatever differs from run to run: addresses, dates, hashed and random ids, widgets' ids, chunks of
# a stream, files of the kernel.
RESTLESS = [
    """import time
import ipywidgets
import matplotlib.pyplot as plt
import matplotlib_inline
import pandas as pd
matplotlib_inline.backend_inline.set_matplotlib_formats("svg")
object()""",
    """fig, ax = plt.subplots(figsize=(3, 2))
ax.plot([0.123456789, 2, 3], marker="o")
plt.show()""",
    """pd.DataFrame({"x": [0.123456, 2.5]}).style""",
    """slider = ipywidgets.FloatSlider(value=0.25, min=0, max=1)
ipywidgets.VBox([slider, ipywidgets.Label(value="rho")])""",
    """for word in "abc":
    print(word, flush=True)
    time.sleep(0.05)
compile.__self__, (lambda: 0).__code__.co_filename""",
]


@pytest.fixture(scope="session")
def restless(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A notebook whose outputs differ from run to run, executed once and settled."""
    cells = [new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(RESTLESS)]
    path = tmp_path_factory.mktemp("restless") / "restless.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return settled(run(path))
