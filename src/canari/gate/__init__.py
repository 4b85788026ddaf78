"""The gate: two versions measured side by side in the same seconds, and a verdict that says how sure it is.

Nothing is imported here: Locust patches the standard library when it is imported, so only the modules that send load
(`user`, `load`, `callers`) import it, and they run as processes of their own. The others are plain:

- `recording`: the raw requests, written, read and followed while they are written
- `rules`: the rules file; `judging`: rules and recordings in, results out; `statistics`: the intervals below them
- `predictions`: the same rows to both versions
- `live`: what callers get meanwhile
- `shadow`: copies of callers' requests to both versions
- `verdict`: results, combined; `run`: the whole gate, as `canari gate run` does it; `report`: the page of it
"""
