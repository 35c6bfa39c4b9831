"""Park dead and quarantined tasks once more: those that Step Functions called over by mistake, or that were repaired.

Most dead tasks are over for good, or were resumed long ago: they come back as dead, and nothing else happens.
"""

from itertools import chain, islice
from typing import Any

from maintenance.gate import Gate
from maintenance.machines import Machine
from maintenance.refresh import refresh_each
from shared.logs import logger

_AT_ONCE = 1000  # tasks of one invocation: a few seconds of requests leave time to resume them

_log = logger(__name__)


def replay(gate: Gate, machine: Machine) -> dict[str, Any]:
    """Park a state machine's dead and quarantined tasks again, and resume them if its gate is open.

    Nothing is sent here: a drain resumes them under the flag, like any parked task.

    Args:
        gate: The gate.
        machine: The state machine.

    Returns:
        The gate's state, how many tasks were `replayed`, and whether there are `more` to replay by the same action.

    Raises:
        IncompleteError: If tasks could not be resumed; they stay parked, and the sweep tries again.
        CloudError: If S3 does not answer.
    """
    folders = (gate.keys.dead(machine.name), gate.keys.quarantine(machine.name))
    # Listed before anything is resumed: what is dead once more must not come by a second time.
    found = [one.key for one in islice(chain.from_iterable(map(gate.tasks.all, folders)), _AT_ONCE + 1)]
    replayed = 0
    for key in found[:_AT_ONCE]:
        if gate.time_short:
            break
        stored = gate.cloud.get_object(key)
        if stored is None:
            continue  # somebody else replays
        # A new key: those of parked tasks are never used again. After a crash in between both stay, which is harmless.
        gate.cloud.put_object(gate.keys.task(machine.name, gate.runtime.task_id()), stored.body)
        gate.cloud.delete_object(key)
        replayed += 1
    _log.info("tasks parked again", extra={"machine": machine.name, "replayed": replayed})
    answer = refresh_each(gate, [machine]).answer("replay")
    return {**answer, "replayed": replayed, "more": replayed < len(found)}
