"""What runs in the pod: one model behind plain JSON rows and the Open Inference Protocol v2, over HTTP and gRPC."""
