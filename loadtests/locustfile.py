"""What one call of this project's callers is: edit it, and every gate and rehearsal sends it.

The gate decides when calls are due, to whom they go and with which rows. To try it alone against one server, ten calls a
second: `locust -f loadtests/locustfile.py --headless --run-time 10s --host http://localhost:3000`.
"""

from typing import ClassVar

from canari.gate.user import PredictUser


class Caller(PredictUser):
    """A service that asks for one prediction at a time.

    Override `call(self, row)` for anything else: it sends `row` with `self.client`, a client of Locust's `FastHttpUser`, and
    marks a wrong answer with `response.failure("...")`. An answer of 400 or more is a failure by itself.
    """

    rate = 10.0  # calls a second where `locust` itself runs this file; a gate's rules file and the rehearsal say their own
    path = "/predict"
    headers: ClassVar[dict[str, str]] = {}
