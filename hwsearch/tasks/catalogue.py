"""Tasks by name: ours and those of installed packages."""

from __future__ import annotations

from hwsearch.errors import DataError, nearest
from hwsearch.registry import entry_points
from hwsearch.tasks.base import Task


def names() -> list[str]:
    """List the names of all tasks (entry points of the group ``hwsearch.tasks``), sorted.

    Returns
    -------
    list of str
        Names that `find` takes.
    """
    return sorted({point.name for point in entry_points(group="hwsearch.tasks")})


def find(name: str) -> Task:
    """Make the task of that name, with its default preprocessing.

    Parameters
    ----------
    name : str
        An entry point of the group ``hwsearch.tasks`` that names a subclass of `Task`.

    Returns
    -------
    Task
        A new instance.

    Raises
    ------
    DataError
        If there is no such task, or the entry point names something else.
    """
    points = [point for point in entry_points(group="hwsearch.tasks") if point.name == name]
    if not points:
        raise DataError(f"there is no task {name!r}.", hint=nearest(name, names()))
    kind = points[0].load()
    if not (isinstance(kind, type) and issubclass(kind, Task)):
        raise DataError(f"the entry point {points[0].value!r} of task {name!r} is not a subclass of Task.")
    return kind()
