"""Whether the users of the server are told apart, and with it their jobs."""

from __future__ import annotations

from typing import Literal, get_args

from jupyter_server.auth import IdentityProvider, PasswordIdentityProvider

OwnerRule = Literal["auto", "shared", "separate"]
OWNER_RULES: tuple[OwnerRule, ...] = get_args(OwnerRule)

_NAMELESS = (IdentityProvider, PasswordIdentityProvider)
"""Who knows the token or the password is let in, under a name that is drawn by lot for each browser."""


def users_are_told_apart(provider: IdentityProvider, rule: OwnerRule) -> bool:
    """Whether jobs belong to the users who submit them.

    Args:
        provider: Of the server. A class of its own, such as JupyterHub's, is taken to know who its users are: not to
            show jobs to those who may see them is the smaller harm.
        rule: What the server's configuration says; "auto" leaves it to the provider.
    """
    if rule == "auto":
        return type(provider) not in _NAMELESS
    return rule == "separate"
