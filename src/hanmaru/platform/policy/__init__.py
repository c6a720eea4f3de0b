"""What callers may do: Cedar policies, the door that every route has, and the cases and commands that check them."""

from hanmaru.platform.policy.cedar import Caller, Policy
from hanmaru.platform.policy.door import (
    ANYONE,
    Door,
    GuardedRoute,
    access_of,
    audit_of,
    caller_of,
    guard,
    guard_roles,
    policy_of,
    purpose_of,
    record_of,
    refusal,
    tenant_of,
    walk,
)

__all__ = [
    "ANYONE",
    "Caller",
    "Door",
    "GuardedRoute",
    "Policy",
    "access_of",
    "audit_of",
    "caller_of",
    "guard",
    "guard_roles",
    "policy_of",
    "purpose_of",
    "record_of",
    "refusal",
    "tenant_of",
    "walk",
]
