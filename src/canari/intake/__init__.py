"""Reading fitted models, translating them to ONNX and proving that the predictions are the same."""
