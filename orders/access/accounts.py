"""Commands on accounts, groups and tokens."""

from orders.access.rules import BY_SUPERUSERS, LEADS, SUPERUSERS, CommandRule
from orders.vocabulary import Channel

#: nobody who can make accounts is a second person, so those who decide about accounts cannot change one
DECIDE = "orders.decide_approval"

ACCOUNT_COMMANDS: tuple[CommandRule, ...] = (
    CommandRule(
        name="add_user",
        says="Make an account, and mail its owner a link to choose a password",
        permission="auth.add_user",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("UserAdmin.add",)},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="change_user",
        says="Change an account: its roles, its mail address, whether it is active",
        permission="auth.change_user",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("UserAdmin.change",), Channel.CLI: ("give_role",)},
        not_offered={Channel.API: BY_SUPERUSERS},
        four_eyes="when it gives the account a role, a permission or superuser rights, or switches it on again",
        approved_with=DECIDE,
    ),
    CommandRule(
        name="send_password_link",
        says="Mail the owner of an account a link to choose a new password",
        permission="auth.change_user",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("UserAdmin.send_link",)},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="remove_factor",
        says="Remove the second factor of somebody who lost it",
        permission="mfa.delete_authenticator",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("UserAdmin.remove_factor",)},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="end_session",
        says="End a session of anybody",
        permission="usersessions.delete_usersession",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("UserSessionAdmin.end",)},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="add_group",
        says="Create a group of your own",
        permission="auth.add_group",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("GroupAdmin.add",)},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="change_group",
        says="Change which permissions a group holds",
        permission="auth.change_group",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("GroupAdmin.change",)},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
        four_eyes="when it gives the group a permission",
        approved_with=DECIDE,
    ),
    CommandRule(
        name="delete_group",
        says="Delete a group",
        permission="auth.delete_group",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("GroupAdmin.delete", "GroupAdmin.delete_selected")},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
    CommandRule(
        name="issue_token",
        says="Issue an API token for oneself, with scopes and an end",
        permission="orders.issue_token",
        roles=LEADS,
        doors={Channel.ADMIN: ("admin:orders_apitoken_issue",), Channel.API: ("Tokens.create",)},
        not_offered={Channel.CLI: "a token belongs to whoever signed in"},
    ),
    CommandRule(
        name="revoke_token",
        says="Revoke an API token of anybody",
        permission="orders.revoke_token",
        roles=LEADS,
        doors={Channel.ADMIN: ("ApiTokenAdmin.revoke",), Channel.API: ("Tokens.revoke",)},
        not_offered={Channel.CLI: "it is a click on the page of tokens"},
    ),
    CommandRule(
        name="lift_lock",
        says="Lift the lock that wrong sign-ins put on an account",
        permission="axes.delete_accessattempt",
        roles=SUPERUSERS,
        doors={Channel.ADMIN: ("AccessAttemptAdmin.delete", "AccessAttemptAdmin.delete_selected")},
        not_offered={Channel.API: BY_SUPERUSERS, Channel.CLI: BY_SUPERUSERS},
    ),
)
