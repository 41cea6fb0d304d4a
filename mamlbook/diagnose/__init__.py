"""Should MAML be used on these tasks? Tables of regression tasks in, a diagnosis out.

table of tasks -> quadratics -> initializations, losses -> rows -> report
"""

from mamlbook.diagnose.diagnosis import Diagnosis, Settings, diagnose
from mamlbook.diagnose.table import TableError, Tasks, from_arrays, from_frame, read

__all__ = [
    "Diagnosis",
    "Settings",
    "TableError",
    "Tasks",
    "diagnose",
    "from_arrays",
    "from_frame",
    "read",
]
