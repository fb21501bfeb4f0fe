"""The settings of our partners: where they are, how long they may take, and how often they may be asked."""

import environ

env = environ.Env()

SIMULATOR_URL = env("SIMULATOR_URL", default="")
STRIPE_API_KEY = env("STRIPE_API_KEY", default="sk_test_simulator" if SIMULATOR_URL else "")
PAYMENTS_URL = env("PAYMENTS_URL", default=SIMULATOR_URL)
#: where the gateway sends a customer who has confirmed a payment; without it there is no link to send them
PAYMENT_RETURN_URL = env("PAYMENT_RETURN_URL", default=f"{SIMULATOR_URL}/paid" if SIMULATOR_URL else "")
#: secrets of the gateway's signed events: the current one, then the one before while it still ends; comma separated
STRIPE_WEBHOOK_SECRETS = env.list("STRIPE_WEBHOOK_SECRETS", default=[])
#: hours that a customer has to confirm a payment with the bank; then the payment is cancelled and the order ends
PAYMENT_ACTION_HOURS = env.float("PAYMENT_ACTION_HOURS", default=72.0)
#: days that a debit may take at the bank before staff get a task; it cannot be cancelled meanwhile
PAYMENT_PROCESSING_DAYS = env.float("PAYMENT_PROCESSING_DAYS", default=14.0)
#: days that a refund may be on its way before staff get a task
REFUND_PENDING_DAYS = env.float("REFUND_PENDING_DAYS", default=14.0)
CARRIER_URL = env("CARRIER_URL", default=SIMULATOR_URL)
FRAUD_URL = env("FRAUD_URL", default=SIMULATOR_URL)
RATES_URL = env("RATES_URL", default=SIMULATOR_URL)
ADDRESSES_URL = env("ADDRESSES_URL", default=SIMULATOR_URL)
#: seconds until an unanswered call counts as an unknown outcome; three of them fit into one activity attempt
PARTNER_TIMEOUT_SECONDS = env.float("PARTNER_TIMEOUT_SECONDS", default=4.0)

#: "host:port" of addresses inside our own network that playbooks may call by name; all others must be public
PLAYBOOK_ENDPOINT_HOSTS = env.list("PLAYBOOK_ENDPOINT_HOSTS", default=[])
#: this many failures in a row, of three different orders or questions, open a partner's circuit breaker; then it waits,
#: twice as long after each failed try
BREAKER_FAILURES = env.int("BREAKER_FAILURES", default=5)
BREAKER_FIRST_SECONDS = env.float("BREAKER_FIRST_SECONDS", default=5.0)
BREAKER_LONGEST_SECONDS = env.float("BREAKER_LONGEST_SECONDS", default=120.0)
#: what waited for a partner comes back at this many calls a second, so that it is not knocked down again
BREAKER_DRAIN_PER_SECOND = env.float("BREAKER_DRAIN_PER_SECOND", default=20.0)

#: a step whose request its partner refuses as wrong is tried again after so many seconds, unless a person is faster
PARKED_STEP_SECONDS = env.int("PARKED_STEP_SECONDS", default=3600)

#: calls a second that all workers together make for runs (tracking, rates, addresses) and for batches
PARTNER_CALLS_PER_SECOND = env.float("PARTNER_CALLS_PER_SECOND", default=20.0)
#: a call of a run that the partner leaves unanswered so often, while it answers others, has failed for good
PARTNER_CALL_TRIES = env.int("PARTNER_CALL_TRIES", default=8)
#: seconds for which an answer is fresh, and for which it may stand in while its partner is out of order
ANSWER_SECONDS = {
    "rates": (env.int("RATES_FRESH_SECONDS", default=900), env.int("RATES_USABLE_SECONDS", default=86_400)),
    "address_check": (
        env.int("ADDRESS_FRESH_SECONDS", default=86_400),
        env.int("ADDRESS_USABLE_SECONDS", default=30 * 86_400),
    ),
}
#: whoever finds that another one asks the same question waits so many seconds for its answer
ANSWER_WAIT_SECONDS = env.float("ANSWER_WAIT_SECONDS", default=6.0)
#: totals of orders are shown in this currency too, converted at the rates partner's rate
REPORTING_CURRENCY = env("REPORTING_CURRENCY", default="EUR")
