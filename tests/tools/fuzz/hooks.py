"""What Schemathesis has to be told about Posthaste's API, for tests/api/fuzz.rs.

Receivers are on loopback. What JSON Schema cannot say is no finding: a refusal that names one of
the rules below, and nothing else.
"""

import os
import re
import string
from collections import Counter
from urllib.parse import urlsplit

import schemathesis
from hypothesis import strategies as st

RECEIVER = os.environ["FUZZ_RECEIVER"]

# Addresses of receivers are drawn like this and in no other way: nobody else is called.
schemathesis.openapi.format(
    "uri",
    st.text(alphabet=string.ascii_letters + string.digits + "-._~/?=&%20", max_size=40).map(
        lambda rest: f"{RECEIVER}/{rest}".replace("%", "%25")
    ),
)


# Names that mean the same: of two that are drawn, both would be refused.
SYNONYMS = [
    ("status", "state"),
    ("tenant", "clientId"),
    ("subscriptionId", "webhookId"),
    ("subscription", "subscriptionId"),
    ("subscription", "webhookId"),
]
turns = Counter()


@schemathesis.hook
def before_call(context, case, kwargs):
    call_nobody_else(case)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    lead_somewhere(case)
    if isinstance(case.query, dict):
        ask_for_what_there_is(case)


def call_nobody_else(case):
    """Also what was drawn by accident."""
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("url"), str):
        try:
            url = urlsplit(body["url"].strip())
        except ValueError:
            return
        is_web = url.scheme.lower() in ("http", "https")
        if is_web and url.netloc != urlsplit(RECEIVER).netloc:
            body["url"] = RECEIVER


def lead_somewhere(case):
    """The coverage phase takes the same made-up id everywhere: here it takes those there are."""
    if case.meta.phase.name.name != "COVERAGE":
        return
    config = case.operation.schema.config
    bindings = config.operations.get_for_operation(case.operation).parameters
    for name in case.path_parameters or {}:
        binding = bindings.get(f"path.{name}")
        if binding is not None:
            known = config.dictionaries[binding.dictionary].entries
            turn = turns[case.operation.label]
            case.path_parameters[name] = known[turn % len(known)].value
    turns[case.operation.label] += 1


def ask_for_what_there_is(case):
    """Most drawn queries contradict themselves; half of them get rid of it."""
    if len(case.query) % 2:
        return
    for one, other in SYNONYMS:
        if one in case.query:
            case.query.pop(other, None)
    case.query.pop("cursor", None)
    if "explain" in case.operation.query:
        for page in ("limit", "offset"):
            case.query.pop(page, None)


# Where, and what is said there: rules between two fields, about what is stored, about the time.
REFUSALS = [
    # Two names for one thing.
    (r".*", r"contradicts \w+, which means the same"),
    (r"(\[\d+\]\.)?idempotencyKey", r"contradicts the Idempotency-Key header"),
    # The key of a batch's items is longer than the header.
    (r"Idempotency-Key", r"must be 1 to 255 characters long, not \d+"),
    # Cursors are made by the relay, each for one list.
    (r"cursor", r"must be a nextCursor of this (list|search, with the same parameters)"),
    (r"offset", r"is not known to a search: follow nextCursor"),
    (r"limit|cursor|offset", r"goes with explain=true alone: a page of subscriptions"),
    (
        r"q",
        r"holds nothing to look for|has a quotation mark that is not closed"
        r"|must have at most 8 terms, not \d+|names a field with an empty level .*",
    ),
    # The time.
    (r"since", r"must be before until, which is now where it is absent|must be in the past"),
    (r"until", r"must be later than since"),
    (r"expiresAt", r"must be in the future"),
    # What is fixed once it is made.
    (r"secret|signing|id|name", r"cannot be changed(:| here:) .*"),
    # Between the fields of a subscription.
    (r"headers\..*", r"is given twice \(names ignore case\)|is a header of signature too"),
    (r"headers\..*", r"is masked and has no stored value to keep: give the value itself"),
    (
        r"(headers\.|signature).*",
        r"cannot be an own header: it is set by Posthaste or by the connection",
    ),
    (r"signature.*", r"is given twice \(names ignore case\)|is a timestampHeader too"),
    (r"signature.*", r"is one of the standard headers: name another, or set mode to instead"),
    (r"signature", r"needs a secret that the receiver shares, .*"),
    (r"secretFrom", r"is the tenant, and there is none that holds a secret: .*"),
    (r"secretFrom", r"contradicts secret or signing: give one of them"),
    (r"secret", r"cannot be given: key pairs are made here"),
    # Counted in bytes, not in characters.
    (r"secret", r"must be 8 to 512 bytes of text, not (5[1-9][3-9]|5[2-9]\d|[6-9]\d\d|\d{4,})"),
    (r"retryPolicy.capMs", r"must be \d+ to 604800000 \(milliseconds\), not \d+"),
    (r"retryPolicy.maxAgeMs", r"must be at most \d+: events are not kept for longer .*"),
    (r"breaker.coolDownMaxMs", r"must be at least coolDownMs \(\d+\)"),
    (r"eventTypes.*", r"(matches no event|names events) that Posthaste .*raises.*"),
    # What is stored.
    (r"eventIds", r"\S+ is not stored here, or not any more"),
    (r"eventIds", r"\S+ is an event that this subscription must not get: .*"),
    # What is a JSON Schema itself is said by the schema of JSON Schema.
    (r"schema", r".*"),
    # What the catalogue says of a payload.
    (r"(\[\d+\]\.)?payload.*", r"does not match its schema: .*"),
]
REFUSALS = [(re.compile(where), re.compile(what, re.S)) for where, what in REFUSALS]


def is_told(fault):
    """Whether a fault is one of those that no schema could have told before."""
    return any(
        where.fullmatch(fault["path"]) and what.fullmatch(fault["message"])
        for where, what in REFUSALS
    )


@schemathesis.hook
def filter_failure(context, failure, case, response):
    kind = type(failure).__name__
    if kind == "RejectedPositiveData" and response.status_code == 400:
        faults = response.json().get("faults", [])
        return not faults or not all(is_told(fault) for fault in faults)
    if kind == "AcceptedNegativeData" and isinstance(case.body, dict):
        # Counted in bytes, not in characters.
        secret = case.body.get("secret")
        if isinstance(secret, str) and len(secret) < 8 <= len(secret.encode()):
            return False
    if kind == "UnsupportedMethodResponse" and response.status_code == 401:
        # Who shows no key is not told which routes there are.
        return False
    if kind == "UseAfterFree":
        # What is known of a revoked key, and the history of a deleted subscription, stay.
        path = urlsplit(response.request.url).path
        return not re.fullmatch(r"/api/v1/(keys/[^/]+|subscriptions/[^/]+/history)", path)
    return True
