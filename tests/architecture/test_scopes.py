"""Every command that the API offers belongs to a scope, or is for full tokens on purpose."""

from orders.access import COMMANDS
from orders.scopes import COVERS, FULL_ONLY, Scope, allow
from orders.vocabulary import Channel


def test_each_command_of_the_api_was_put_into_a_scope() -> None:
    decided = FULL_ONLY.union(*COVERS.values())
    missing = {rule.permission for rule in COMMANDS if Channel.API in rule.doors} - decided
    assert not missing, f"{missing}: put each into a scope of orders/scopes.py, or into FULL_ONLY."


def test_what_no_scope_names_is_for_full_tokens_only() -> None:
    narrow = [scope for scope in Scope if scope is not Scope.FULL]
    for permission in (*FULL_ONLY, "orders.unheard_of", "auth.change_user"):
        assert not allow(narrow, permission)
        assert allow([Scope.FULL], permission)
