"""The task queues, so that a name is typed once: a queue that nobody polls looks exactly like slow work."""

from enum import StrEnum


class TaskQueue(StrEnum):
    ORDERS = "orders"
    #: long work on many orders, kept away from the slots of single orders
    BATCHES = "batches"
    #: calls of partners for many orders, at a rate that the partners can bear
    PARTNERS = "partners"
