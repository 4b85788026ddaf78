"""The Open Inference Protocol v2's messages: `open_inference.proto`, and what `generate` makes of it."""
