"""Tasks by name: ours and those of installed packages."""

from __future__ import annotations

from hwsearch.errors import DataError
from hwsearch.registry import Registry
from hwsearch.tasks.base import Task

TASKS: Registry[type[Task]] = Registry(
    "hwsearch.tasks",
    "task",
    DataError,
    lambda found: isinstance(found, type) and issubclass(found, Task),
    "a subclass of Task",
)


def names() -> list[str]:
    """List the names of all tasks (entry points of the group ``hwsearch.tasks``), sorted.

    Returns
    -------
    list of str
        Names that `find` takes.
    """
    return TASKS.names()


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
        If there is no such task.
    PluginError
        If two distributions claim the name, or the entry point names something else.
    """
    return TASKS.load(name)()
