"""The bucket's layout. Names of service folders begin with `~`, which a state machine name cannot contain.

{Prefix}/{StateMachineName}/{UUID}.json      a parked task
{Prefix}/~flags/{StateMachineName}.json      the flag: open, closed or draining
{Prefix}/~flags/~all.json                    the override: a maintenance of every state machine
{Prefix}/~dead/{StateMachineName}/...        parked tasks that Step Functions calls over
{Prefix}/~quarantine/{StateMachineName}/...  parked tasks that nobody can resume
{Prefix}/~sweep.json                         the last sweep's report
"""

import re
from dataclasses import dataclass
from typing import Self

OVERRIDE = "~all"
"""Takes the place of a state machine's name in the override's key."""

_TASK = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\.json")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys below one prefix. `root` is empty or ends with a slash."""

    root: str

    @classmethod
    def below(cls, prefix: str) -> Self:
        """Return the keys below a prefix; slashes at its ends do not matter, none means the whole bucket."""
        stripped = prefix.strip("/")
        return cls(f"{stripped}/" if stripped else "")

    @property
    def flags(self) -> str:
        """The folder of the flags."""
        return f"{self.root}~flags/"

    def flag(self, name: str) -> str:
        """The flag of a state machine (or `OVERRIDE`)."""
        return f"{self.flags}{name}.json"

    def name_of_flag(self, key: str) -> str | None:
        """The state machine (or `OVERRIDE`) whose flag this key is."""
        name = key.removeprefix(self.flags)
        return name.removesuffix(".json") if name.endswith(".json") else None

    def tasks(self, name: str) -> str:
        """The folder of a state machine's parked tasks. Its closing slash keeps `Order` off `OrderRefund`."""
        return f"{self.root}{name}/"

    def task(self, name: str, task_id: str) -> str:
        """A parked task."""
        return f"{self.tasks(name)}{task_id}.json"

    def is_task(self, key: str) -> bool:
        """Whether this key of a task folder is a parked task; anything else there is somebody else's."""
        return _TASK.fullmatch(key.rpartition("/")[2]) is not None

    @property
    def all_dead(self) -> str:
        """The folder of the folders of dead tasks."""
        return f"{self.root}~dead/"

    def dead(self, name: str) -> str:
        """The folder of a state machine's dead tasks."""
        return f"{self.all_dead}{name}/"

    @property
    def all_quarantined(self) -> str:
        """The folder of the folders of tasks that nobody can resume."""
        return f"{self.root}~quarantine/"

    def quarantine(self, name: str) -> str:
        """The folder of a state machine's tasks that nobody can resume."""
        return f"{self.all_quarantined}{name}/"

    @property
    def report(self) -> str:
        """The last sweep's report."""
        return f"{self.root}~sweep.json"
