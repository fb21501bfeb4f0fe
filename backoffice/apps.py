from django.apps import AppConfig, apps
from django.core.cache.backends.dummy import DummyCache
from django.db.models.signals import post_migrate
from unfold import sites


class BackofficeConfig(AppConfig):
    name = "backoffice"

    def ready(self) -> None:
        # Three register themselves.
        from backoffice import account_events, checks, database_roles, deploy_checks, mask_function

        del account_events, checks, deploy_checks
        # Unfold keeps what a search has found for five minutes, also for whoever may not see it any more, and as
        # objects, which the shared cache does not take.
        sites.cache = DummyCache("", {})
        # Once for all applications, and this one has no models to be told about.
        for follow_up in (database_roles.limit_own_role, database_roles.lock_the_switch, mask_function.create):
            post_migrate.connect(follow_up, sender=apps.get_app_config("orders"))
