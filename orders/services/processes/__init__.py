"""Long processes of configured steps: defined in code, driven by rows, paused, resumed and cancelled by people.

`definitions` is the table of what is run; `commanding` is what people ask for, `running` what the engine does, and
`pacing` what both leave to the work of a step. A step's work may run twice: each commits how far it is together with
what it did, so the second attempt goes on where the first one ended.
"""

from orders.services.processes.commanding import cancel, pause, resume, start
from orders.services.processes.running import Standing, give_up, look, stop, work

__all__ = ["Standing", "cancel", "give_up", "look", "pause", "resume", "start", "stop", "work"]
