"""The whole canary on one machine: two versions, a real Envoy between callers and them, the gate, the verdict, a report."""
