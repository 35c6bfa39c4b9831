"""State machines: their names and ARNs, and which ones belong to this gate."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from shared.errors import WorkflowGatesError

# Step Functions API reference, CreateStateMachine `name`: 1-80 characters, none of these.
_NAME = re.compile(r'[^\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}')
_FIX = "pass $$.StateMachine.Id"


class MachineArnError(WorkflowGatesError):
    """A text is not the ARN of a state machine that this gate serves."""


@dataclass(frozen=True, slots=True, order=True)
class Machine:
    """A state machine; versions, aliases and map labels of it are the same machine."""

    name: str
    arn: str


@dataclass(frozen=True, slots=True)
class Home:
    """Where this function lives, and the names that it serves. The tags of other state machines it may not read."""

    partition: str
    region: str
    account: str
    names: tuple[str, ...] = ("*",)

    @classmethod
    def of_function(cls, function_arn: str, names: tuple[str, ...] = ("*",)) -> Self:
        """Return the home that a Lambda function's ARN names.

        Args:
            function_arn: The function.
            names: Names of state machines that it serves; `*` stands for any characters.
        """
        _, partition, _, region, account, *_ = function_arn.split(":")
        return cls(partition, region, account, names)

    def serves(self, name: str) -> bool:
        """Return whether a state machine of this name belongs to this gate."""
        return any(fnmatchcase(name, pattern) for pattern in self.names)

    def machine(self, name: str) -> Machine:
        """Return the state machine of this name in this account and region."""
        return Machine(name, f"arn:{self.partition}:states:{self.region}:{self.account}:stateMachine:{name}")

    def machine_of(self, arn: str) -> Machine:
        """Return the state machine that an ARN names, with or without version, alias or map label.

        Raises:
            MachineArnError: If the ARN is of something else, of another account or region, or not of a served name.
        """
        try:
            scheme, partition, service, region, account, kind, rest = arn.split(":", 6)
        except ValueError:
            scheme = ""
        if scheme != "arn":
            raise MachineArnError(f"it is not the ARN of a state machine; {_FIX}")
        if kind == "express":
            raise MachineArnError(
                "it belongs to an Express workflow, which cannot wait for a task token; use a Standard workflow"
            )
        if service != "states" or kind != "stateMachine":
            raise MachineArnError(f"it is the ARN of a {service} {kind}, not of a state machine; {_FIX}")
        if (partition, region, account) != (self.partition, self.region, self.account):
            raise MachineArnError(
                f"this gate serves account {self.account} in {self.region} ({self.partition}); "
                "deploy a gate beside the state machine"
            )
        name = re.split("[:/]", rest, maxsplit=1)[0]
        if not is_name(name):
            raise MachineArnError(f"it holds no valid state machine name; {_FIX}")
        if not self.serves(name):
            raise MachineArnError(
                f"this gate serves {', '.join(self.names)} only; add the name to its state_machine_names"
            )
        return self.machine(name)


def is_name(text: str) -> bool:
    """Return whether a state machine can have this name."""
    return _NAME.fullmatch(text) is not None
