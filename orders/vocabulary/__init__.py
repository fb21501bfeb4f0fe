"""The words of the domain, in one place that everyone may read.

Models use these enums as choices and CHECK constraints, workflows branch on them inside the sandbox, pages turn them
into sentences. A literal string compared anywhere else is how two parts of a system come to disagree about a state.
One module a subject; everybody imports from here.
Standard library only: workflow code imports this module, and a Django import here would break the sandbox.
"""

from orders.vocabulary.batches import *
from orders.vocabulary.commands import *
from orders.vocabulary.errors import *
from orders.vocabulary.events import *
from orders.vocabulary.exports import *
from orders.vocabulary.feeds import *
from orders.vocabulary.money import *
from orders.vocabulary.orders import *
from orders.vocabulary.partner_runs import *
from orders.vocabulary.partners import *
from orders.vocabulary.playbooks import *
from orders.vocabulary.processes import *
from orders.vocabulary.quality import *
from orders.vocabulary.returns import *
from orders.vocabulary.staff import *
from orders.vocabulary.steps import *
from orders.vocabulary.sweeping import *
