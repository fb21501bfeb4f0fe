"""`manage.py seed_demo`: a few dozen orders for an empty database."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from orders.actor import system
from orders.models import Order
from orders.services import demo
from orders.vocabulary import Channel


class Command(BaseCommand):
    help = "Place demo orders and start most of them; does nothing when there are orders."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--orders", type=int, default=40)
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, *, orders: int, seed: int, **_: object) -> None:
        if Order.objects.exists():
            self.stdout.write("There are orders already; nothing was made.")
            return
        demo.ensure_catalogue()
        made = demo.place_orders(count=orders, seed=seed, actor=system("demo", Channel.CLI))
        self.stdout.write(f"Placed {len(made)} demo orders; the last four wait for somebody to start them.")
