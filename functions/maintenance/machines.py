"""State machines: their names and ARNs, and which ones belong to this gate."""

import re
from dataclasses import dataclass
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
    """Where this function lives. State machines elsewhere are not served: their tags cannot be read from here."""

    partition: str
    region: str
    account: str

    @classmethod
    def of_function(cls, function_arn: str) -> Self:
        """Return the home that a Lambda function's ARN names."""
        _, partition, _, region, account, *_ = function_arn.split(":")
        return cls(partition, region, account)

    def machine(self, name: str) -> Machine:
        """Return the state machine of this name in this account and region."""
        return Machine(name, f"arn:{self.partition}:states:{self.region}:{self.account}:stateMachine:{name}")

    def machine_of(self, arn: str) -> Machine:
        """Return the state machine that an ARN names, with or without version, alias or map label.

        Raises:
            MachineArnError: If the ARN is of something else, or of another account or region.
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
        return self.machine(name)


def is_name(text: str) -> bool:
    """Return whether a state machine can have this name."""
    return _NAME.fullmatch(text) is not None
