from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"
    verbose_name = "Back office"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from orders.database_errors import leave_read_only_servers
        from orders.services import accounts  # noqa: F401 - connects the signal

        connection_created.connect(leave_read_only_servers)
