"""Which state machines there are to look after, without asking each one."""

from collections.abc import Iterator

from maintenance.cloud import Page
from maintenance.gate import Gate
from maintenance.keys import OVERRIDE
from maintenance.machines import MachineArnError, is_name

_PAGE = 1000  # the most that S3 lists at once


def flag_etags(gate: Gate) -> dict[str, str]:
    """Return the ETag of each state machine's flag, by name; the override is not among them.

    Raises:
        CloudError: If S3 does not answer.
    """
    etags = {}
    for page in _pages(gate, gate.keys.flags):
        for listed in page.objects:
            name = gate.keys.name_of_flag(listed.key)
            if name is not None and name != OVERRIDE and is_name(name):
                etags[name] = listed.etag
    return etags


def folders(gate: Gate, root: str) -> list[str]:
    """Return the names that have objects in their folder.

    Args:
        gate: The gate.
        root: Where the folders are: `Keys.root` for parked tasks (or something of others), `all_dead`, ...

    Raises:
        CloudError: If S3 does not answer.
    """
    return [
        name
        for page in _pages(gate, root)
        for folder in page.folders
        if is_name(name := folder.removeprefix(root).removesuffix("/"))
    ]


def tagged(gate: Gate, *names: str) -> dict[str, dict[str, str]]:
    """Return the tags of the state machines that have one of these tags, by name.

    This listing may lag: it only chooses which state machines to look at. Those of names that the gate does not serve
    are left out. Their flags and parked tasks, from a time when it did, are not: nothing parked is ever forgotten.

    Raises:
        CloudError: If the Tagging API does not answer.
    """
    tags: dict[str, dict[str, str]] = {}
    for tag in names:
        after = None
        while True:
            page = gate.cloud.list_tagged(tag, after)
            for arn, found in page.tags.items():
                try:
                    tags[gate.home.machine_of(arn).name] = dict(found)
                except MachineArnError:
                    continue  # not one of this gate's state machines
            if (after := page.after) is None:
                break
    return tags


def _pages(gate: Gate, folder: str) -> Iterator[Page]:
    after = None
    while True:
        page = gate.cloud.list_folder(folder, _PAGE, after)
        yield page
        if (after := page.after) is None:
            return
