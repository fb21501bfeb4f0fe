"""The task queues, so that a name is typed once: a queue that nobody polls looks exactly like slow work."""

from enum import StrEnum


class TaskQueue(StrEnum):
    ORDERS = "orders"
    #: long work on many orders, kept away from the slots of single orders
    BATCHES = "batches"
    #: calls to partners besides those of single orders, which must not wait behind a slow one; at a rate that
    #: all workers share
    PARTNERS = "partners"
