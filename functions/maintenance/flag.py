"""The flag: one S3 object per state machine that says whether its gate is open.

Every write is conditional on the ETag of the flag that was read. An S3 ETag is a hash of the content, so a growing
`seq` and a random `nonce` keep ETags from coming back; the nonce also tells a write whose response was lost.
"""

import json
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, TypedDict, Unpack

from maintenance.cloud import Cloud, ConflictError, Event
from maintenance.keys import Keys
from maintenance.timestamps import from_text, to_text
from shared.logs import logger

_log = logger(__name__)


class State(StrEnum):
    """What a flag says."""

    OPEN = "open"
    CLOSED = "closed"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Lease:
    """Who resumes parked tasks, and until when nobody else may."""

    owner: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of parked tasks."""

    resumed: int = 0
    dead: int = 0
    quarantined: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.resumed + other.resumed, self.dead + other.dead, self.quarantined + other.quarantined)

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(self.resumed - other.resumed, self.dead - other.dead, self.quarantined - other.quarantined)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A maintenance that was announced as begun, but not as ended.

    Attributes:
        since: When the gate was closed: the key of this maintenance.
        reason: Why, in the words of who began it.
        by: Who began it.
        until: When it was to end by itself.
        ended_at: When it was ended; its parked tasks may still wait.
        ended_by: Who ended it.
        end_reason: Why it was ended.
    """

    since: datetime
    reason: str | None = None
    by: str | None = None
    until: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    end_reason: str | None = None


class Changes(TypedDict, total=False):
    """What a write may change; the rest is kept, `seq`, `nonce` and `checked_at` are always new."""

    state: State
    closed_at: datetime | None
    reason: str | None
    by: str | None
    until: datetime | None
    lease: Lease | None
    overridden: datetime | None
    tally: Counts
    told: Told | None
    troubles: tuple[str, ...]
    outbox: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """The content of a flag.

    Attributes:
        state: Open, closed or draining.
        seq: Grows by one with every write.
        nonce: New and random with every write.
        checked_at: When it was last written.
        closed_at: Since when it is closed (kept while draining, also if it is closed again meanwhile).
        reason: Why, in the words of who began the maintenance.
        by: Who began it.
        until: When the maintenance is to end by itself.
        lease: Who drains it.
        overridden: `closed_at` of the maintenance of all that closed it last, if one did.
        tally: What became of the parked tasks since `closed_at`; at least that, for a drain may die between two writes.
        told: The maintenance that was announced.
        troubles: Kinds of trouble that were announced since `closed_at`.
        outbox: Events that were written together with what they tell, and are not known to be sent.
    """

    state: State
    seq: int
    nonce: str
    checked_at: datetime | None
    closed_at: datetime | None = None
    reason: str | None = None
    by: str | None = None
    until: datetime | None = None
    lease: Lease | None = None
    overridden: datetime | None = None
    tally: Counts = field(default_factory=Counts)
    told: Told | None = None
    troubles: tuple[str, ...] = ()
    outbox: tuple[Event, ...] = ()

    def to_json(self) -> bytes:
        """Return the object's body."""
        return json.dumps(
            {
                "state": self.state.value,
                "seq": self.seq,
                "nonce": self.nonce,
                "checked_at": self.checked_at and to_text(self.checked_at),
                "closed_at": self.closed_at and to_text(self.closed_at),
                "reason": self.reason,
                "by": self.by,
                "until": self.until and to_text(self.until),
                "lease": self.lease and {"owner": self.lease.owner, "expires": to_text(self.lease.expires)},
                "overridden": self.overridden and to_text(self.overridden),
                "tally": asdict(self.tally),
                "told": self.told and _texts(asdict(self.told)),
                "troubles": self.troubles,
                "outbox": [asdict(event) for event in self.outbox],
            }
        ).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Return the flag that a body holds.

        Raises:
            ValueError: If it holds none.
        """
        try:
            content: dict[str, Any] = json.loads(body)
            lease, told = content.get("lease"), content.get("told")
            return cls(
                state=State(content["state"]),
                seq=int(content["seq"]),
                nonce=str(content["nonce"]),
                checked_at=_moment(content.get("checked_at")),
                closed_at=_moment(content.get("closed_at")),
                reason=content.get("reason"),
                by=content.get("by"),
                until=_moment(content.get("until")),
                lease=lease and Lease(str(lease["owner"]), from_text(lease["expires"])),
                overridden=_moment(content.get("overridden")),
                tally=Counts(**content.get("tally", {})),
                told=told and Told(**told | {name: _moment(told.get(name)) for name in ("since", "until", "ended_at")}),
                troubles=tuple(content.get("troubles", ())),
                outbox=tuple(Event(**event) for event in content.get("outbox", ())),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a flag: {error!r}") from error


_NEVER_WRITTEN = Flag(state=State.CLOSED, seq=0, nonce="", checked_at=None)


@dataclass(frozen=True, slots=True)
class Seen:
    """A flag as one request saw it: the ETag is what the next write is conditional on.

    A missing flag counts as closed: it may be the first check-in under a tag that nobody has looked at.

    Attributes:
        flag: Its content; that of a closed flag where it is missing or makes no sense.
        etag: None if there is no flag.
    """

    flag: Flag
    etag: str | None

    @property
    def missing(self) -> bool:
        """Whether there is no flag."""
        return self.etag is None

    def changed(self, **changes: Unpack[Changes]) -> "Seen":
        """Return the flag with changes that are to be written with the next ones."""
        return replace(self, flag=replace(self.flag, **changes))

    @property
    def lets_pass(self) -> bool:
        """Whether check-ins proceed: also while parked tasks are drained, or the queue would never end."""
        return self.flag.state is not State.CLOSED

    def leased(self, now: datetime, but_to: str = "") -> bool:
        """Whether somebody (else than `but_to`) holds the lease."""
        lease = self.flag.lease
        return lease is not None and lease.owner != but_to and lease.expires > now


class Flags:
    """The flags in the bucket."""

    def __init__(
        self,
        cloud: Cloud,
        keys: Keys,
        *,
        now: Callable[[], datetime],
        nonce: Callable[[], str],
        known: MutableMapping[str, Seen],
    ) -> None:
        """Reads and writes flags.

        Args:
            cloud: AWS.
            keys: The bucket's layout.
            now: The time.
            nonce: A new random text with every call.
            known: Flags that this container has read, by name; spares the sweep most reads.
        """
        self._cloud = cloud
        self._keys = keys
        self._now = now
        self._nonce = nonce
        self._known = known

    def read(self, name: str) -> Seen:
        """Read a flag.

        Raises:
            CloudError: If S3 does not answer.
        """
        stored = self._cloud.get_object(self._keys.flag(name))
        if stored is None:
            return Seen(_NEVER_WRITTEN, None)
        try:
            seen = Seen(Flag.from_json(stored.body), stored.etag)
        except ValueError:
            # Closed is the safe meaning; the next refresh writes a good one over it.
            _log.exception("flag makes no sense: taken as closed", extra={"key": self._keys.flag(name)})
            seen = Seen(_NEVER_WRITTEN, stored.etag)
        self._known[name] = seen
        return seen

    def read_listed(self, name: str, etag: str) -> Seen:
        """Return a flag that a listing shows with this ETag, reading it only if this container has not yet.

        Raises:
            CloudError: If S3 does not answer.
        """
        known = self._known.get(name)
        return known if known is not None and known.etag == etag else self.read(name)

    def write(self, name: str, seen: Seen, **changes: Unpack[Changes]) -> Seen:
        """Write a flag in place of the one that was seen.

        Raises:
            ConflictError: If it is no longer the one that was seen.
            CloudError: If S3 does not answer.
        """
        flag = replace(seen.flag, **changes, seq=seen.flag.seq + 1, nonce=self._nonce(), checked_at=self._now())
        key, body = self._keys.flag(name), flag.to_json()
        try:
            if seen.etag is None:
                etag = self._cloud.create_object(key, body)
            else:
                etag = self._cloud.replace_object(key, body, seen.etag)
        except ConflictError:
            # A retry after a lost response conflicts with the first try, which did succeed.
            current = self.read(name)
            if current.flag.nonce != flag.nonce:
                raise
            return current
        return Seen(flag, etag)


def _texts(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_text(value) if isinstance(value, datetime) else value for name, value in content.items()}


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_text(text)
