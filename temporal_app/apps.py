from django.apps import AppConfig


class TemporalAppConfig(AppConfig):
    name = "temporal_app"
