"""The task queues, so that a name is typed once: a queue that nobody polls looks exactly like slow work.

A *lane* is a queue of activities only, whose slots no other call can take: what hangs at one partner delays nothing
that is meant for another, and giving money or goods back never waits behind new orders.
"""

from enum import StrEnum


class TaskQueue(StrEnum):
    #: workflows of single orders, and their steps in the database
    ORDERS = "orders"
    #: long work on many orders, kept away from the slots of single orders
    BATCHES = "batches"
    #: calls to partners besides those of single orders, which must not wait behind a slow one; at a rate that
    #: all workers share
    PARTNERS = "partners"
    #: lanes: new orders at the fraud check, at the payment gateway and at the carrier
    FRAUD = "fraud"
    PAYMENTS = "payments"
    CARRIER = "carrier"
    #: lanes: money back at the payment gateway, parcels called back at the carrier
    REFUNDS = "refunds"
    RECALLS = "recalls"
    #: lanes: endpoints that playbooks call, and the mail server
    ENDPOINTS = "endpoints"
    MAIL = "mail"


#: activity slots, and so threads, of one worker process in each lane; `TEMPORAL_QUEUE_THREADS` changes them
LANE_THREADS = {
    TaskQueue.FRAUD: 16,
    TaskQueue.PAYMENTS: 16,
    TaskQueue.CARRIER: 16,
    TaskQueue.REFUNDS: 12,
    TaskQueue.RECALLS: 8,
    TaskQueue.ENDPOINTS: 8,
    TaskQueue.MAIL: 4,
}
