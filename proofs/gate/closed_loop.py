"""What a locustfile usually is: one user who waits for each answer, with `constant_throughput`."""

from locust import FastHttpUser, constant_throughput, task

from canari.gate.rows import GENERATED, ask_signature, generate, records


class OneUser(FastHttpUser):
    """Asks for two hundred predictions a second, one at a time."""

    wait_time = constant_throughput(200)

    def on_start(self) -> None:
        """Draw rows to send."""
        self.rows = records(generate(ask_signature(self.host or "", 10).inputs, GENERATED, seed=0))

    @task
    def predict(self) -> None:
        """One row."""
        self.client.post("/predict", json=[self.rows[0]])
