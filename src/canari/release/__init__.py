"""Releases on Kubernetes: what the gate's Job does in the cluster, and what a person does from outside.

Argo Rollouts holds a release's state and moves the callers; nothing here sets a weight.
"""
