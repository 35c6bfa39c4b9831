"""What IAM policies say of a request.

A statement that would apply but for a condition or a variable that is not understood here is an error, and never a
permission. (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html)
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

# Condition keys whose values the local AWS knows for every request that has them. Of any other key nobody could say
# here whether a request lacks it.
KNOWN_KEYS = frozenset(
    {
        "aws:principalarn",
        "aws:securetransport",
        "aws:tagkeys",
        "events:detail-type",
        "events:source",
        "kms:viaservice",
        "s3:delimiter",
        "s3:if-match",
        "s3:if-none-match",
        "s3:max-keys",
        "s3:prefix",
    }
)
# Parsed policies and patterns that are kept; every call of a function asks for the same few.
_CACHED = 1024
# In an ARN a `*` reaches beyond a colon only where a segment ends with it
# (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html).
_IN_ARN = re.compile(r"(?P<rest>\*(?=:|\Z))|(?P<some>\*)|(?P<one>\?)|(?P<plain>[^*?]+)")
_MEANING_IN_ARN = {"rest": ".*", "some": "[^:]*", "one": "[^:]"}
_IN_TEXT = re.compile(r"(?P<some>\*)|(?P<one>\?)|(?P<plain>[^*?]+)")
_MEANING_IN_TEXT = {"some": ".*", "one": "."}


class PolicyError(Exception):
    """A policy says something that is not understood here."""


@dataclass(frozen=True)
class Access:
    """One thing that a call must be allowed.

    Attributes:
        action: Such as `s3:GetObject`.
        resource: ARN; `*` for an action without resources; None where it is not known. Then whatever allows the action
            on anything is enough, and only what denies it on everything, whatever the conditions, is a denial.
        context: Values of condition keys, by their names in lower case. The request has no others of `KNOWN_KEYS`.
    """

    action: str
    resource: str | None
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Statement:
    """A statement of a policy: actions and resources are those that it is about, or, inverted, those that it is not."""

    denies: bool
    actions: tuple[str, ...]
    actions_inverted: bool
    resources: tuple[str, ...]
    resources_inverted: bool
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]

    def applies(self, access: Access) -> bool:
        """Whether the statement is about an access.

        Raises:
            PolicyError: If that cannot be said.
        """
        action = access.action.lower()
        if any(_text(pattern.lower()).fullmatch(action) for pattern in self.actions) == self.actions_inverted:
            return False
        if access.resource is None:
            return not self.denies or ("*" in self.resources and not self.resources_inverted and not self.conditions)
        if any(_arn(pattern).fullmatch(access.resource) for pattern in self.resources) == self.resources_inverted:
            return False
        return all(_holds(operator, key, wanted, access.context) for operator, key, wanted in self.conditions)


def refusal(access: Access, policies: Sequence[str], boundary: str | None) -> str | None:
    """Return why an access is not allowed, in AWS's words; None if it is.

    Args:
        access: What is to be allowed.
        policies: Policies of the identity, as JSON.
        boundary: Its permissions boundary, as JSON; None for none.

    Raises:
        PolicyError: If a policy cannot be evaluated.
    """
    kinds = [("identity-based policy", policies)]
    if boundary is not None:
        kinds.append(("permissions boundary", [boundary]))
    for kind, documents in kinds:
        if _any_applies(access, documents, denies=True):
            return f"with an explicit deny in {'an' if kind[0] == 'i' else 'a'} {kind}"
    for kind, documents in kinds:
        if not _any_applies(access, documents, denies=False):
            return f"because no {kind} allows the {access.action} action"
    return None


def _any_applies(access: Access, documents: Iterable[str], *, denies: bool) -> bool:
    statements = (statement for text in documents for statement in _statements(text) if statement.denies == denies)
    return any(statement.applies(access) for statement in statements)


@lru_cache(_CACHED)
def _statements(document: str) -> tuple[_Statement, ...]:
    return tuple(
        _Statement(
            denies=written["Effect"] == "Deny",
            actions=_several(written.get("Action") or written["NotAction"]),
            actions_inverted="NotAction" in written,
            resources=_several(written.get("Resource") or written["NotResource"]),
            resources_inverted="NotResource" in written,
            conditions=tuple(
                (operator, key, _several(values))
                for operator, keys in written.get("Condition", {}).items()
                for key, values in keys.items()
            ),
        )
        for written in _listed(json.loads(document)["Statement"])
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _several(value: Any) -> tuple[str, ...]:
    """Return the values of an element that may be one or a list; JSON's own `true` counts as its text."""
    return tuple(one if isinstance(one, str) else json.dumps(one) for one in _listed(value))


def _holds(operator: str, key: str, wanted: tuple[str, ...], context: Mapping[str, tuple[str, ...]]) -> bool:
    quantifier, _, exact = operator.rpartition(":")
    name = exact.removesuffix("IfExists")
    values = _values(key, context)
    if name == "Null":
        return (not values) == (wanted == ("true",))
    if name not in _TESTS or quantifier not in {"", "ForAllValues", "ForAnyValue"}:
        raise PolicyError(f"the sandbox does not know the condition operator {operator}")
    test, negated = _TESTS[name]
    if not values:
        return name != exact or quantifier == "ForAllValues" or (negated and not quantifier)
    results = [any(test(value, one) for one in wanted) != negated for value in values]
    if not quantifier and len(results) > 1:
        raise PolicyError(f"{key} has several values; {operator} needs ForAllValues or ForAnyValue")
    return any(results) if quantifier == "ForAnyValue" else all(results)


def _values(key: str, context: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if key.lower() not in KNOWN_KEYS:
        raise PolicyError(f"the sandbox does not know the condition key {key}")
    return context.get(key.lower(), ())


def _arn_like(value: str, wanted: str) -> bool:
    return _arn(wanted).fullmatch(value) is not None


def _like(value: str, wanted: str) -> bool:
    return _text(wanted).fullmatch(value) is not None


def _equal(value: str, wanted: str) -> bool:
    return value == _plain(wanted)


def _equal_in_any_case(value: str, wanted: str) -> bool:
    return value.lower() == _plain(wanted).lower()


# Each operator's test of one value against one wanted value, and whether it asks for the opposite.
_TESTS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    "ArnEquals": (_arn_like, False),
    "ArnLike": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnNotLike": (_arn_like, True),
    "Bool": (_equal_in_any_case, False),
    "StringEquals": (_equal, False),
    "StringEqualsIgnoreCase": (_equal_in_any_case, False),
    "StringLike": (_like, False),
    "StringNotEquals": (_equal, True),
    "StringNotEqualsIgnoreCase": (_equal_in_any_case, True),
    "StringNotLike": (_like, True),
}


@lru_cache(_CACHED)
def _arn(text: str) -> re.Pattern[str]:
    return _compiled(text, _IN_ARN, _MEANING_IN_ARN)


@lru_cache(_CACHED)
def _text(text: str) -> re.Pattern[str]:
    return _compiled(text, _IN_TEXT, _MEANING_IN_TEXT)


def _compiled(text: str, pieces: re.Pattern[str], meaning: Mapping[str, str]) -> re.Pattern[str]:
    found = pieces.finditer(_plain(text))
    return re.compile("".join(meaning.get(piece.lastgroup or "") or re.escape(piece[0]) for piece in found), re.DOTALL)


def _plain(text: str) -> str:
    if "${" in text:
        raise PolicyError(f"the sandbox does not know policy variables: {text}")
    return text
