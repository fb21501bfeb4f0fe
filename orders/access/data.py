"""Commands on feeds, the catalogue, personal data and the seals."""

from orders.access.rules import LEADS, NIGHTLY, RULES_BY_PEOPLE, SUPERUSERS, CommandRule
from orders.vocabulary import Channel, CommandKind

DATA_COMMANDS: tuple[CommandRule, ...] = (
    CommandRule(
        name=CommandKind.IMPORT_FEED,
        says="Import an order feed",
        permission="orders.import_feed",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("admin:orders_feedimport_import",),
            Channel.API: ("Imports.create",),
            Channel.CLI: ("import_orders",),
        },
    ),
    *(
        CommandRule(
            name=kind,
            says=says,
            permission="orders.import_feed",
            roles=LEADS,
            doors={Channel.ADMIN: ("admin:orders_feedimport_tell",), Channel.API: (f"ImportCommands.{verb}",)},
            not_offered={Channel.CLI: "decided on the import's page, by a person who sees how far it is"},
        )
        for kind, verb, says in (
            (CommandKind.IMPORT_COMMIT, "commit", "Commit a dry run: store what its report says"),
            (CommandKind.IMPORT_PAUSE, "pause", "Pause an import"),
            (CommandKind.IMPORT_RESUME, "resume", "Let a paused import go on"),
            (CommandKind.IMPORT_CANCEL, "cancel", "Stop an import for good, or discard a dry run"),
        )
    ),
    CommandRule(
        name="add_feed_layout",
        says="Map the columns of a sender's file: a new version of a feed layout",
        permission="orders.add_feedlayout",
        roles=LEADS,
        doors={Channel.ADMIN: ("FeedLayoutAdmin.add",)},
        not_offered={Channel.API: RULES_BY_PEOPLE, Channel.CLI: RULES_BY_PEOPLE},
    ),
    CommandRule(
        name="add_product",
        says="Create the products, with stock, that an imported feed names and the catalogue lacks",
        permission="orders.add_product",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("admin:orders_feedimport_import",),
            Channel.API: ("Imports.create",),
            Channel.CLI: ("import_orders",),
        },
    ),
    CommandRule(
        name="change_product",
        says="Change the name or price of a product",
        permission="orders.change_product",
        roles=LEADS,
        doors={Channel.ADMIN: ("ProductAdmin.change",)},
        not_offered={
            Channel.API: "the catalogue is not part of the API",
            Channel.CLI: "a price is changed by a person who sees the old one",
        },
        four_eyes="when the price more than doubles or halves, within one change, a day or a month",
    ),
    CommandRule(
        name=CommandKind.ERASE_CUSTOMER,
        says="Erase the personal data of a customer, for ever",
        permission="orders.erase_customer",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("CustomerAdmin.erase",),
            Channel.API: ("Customers.erase",),
            Channel.CLI: ("erase_customer",),
        },
    ),
    CommandRule(
        name="seal_history",
        says="Seal all histories now instead of in the night; a day has one seal",
        permission="orders.seal_history",
        roles=SUPERUSERS,
        doors={Channel.CLI: ("seal_history",)},
        not_offered={Channel.ADMIN: NIGHTLY, Channel.API: NIGHTLY},
    ),
    CommandRule(
        name="export_seals",
        says="Take the seals over all histories elsewhere",
        permission="orders.export_historyseal",
        roles=LEADS,
        doors={
            Channel.ADMIN: ("admin:orders_historyseal_download",),
            Channel.CLI: ("export_seals",),
        },
        not_offered={Channel.API: "a seal is kept by a person or a job on the machine, away from the API's reach"},
    ),
)
