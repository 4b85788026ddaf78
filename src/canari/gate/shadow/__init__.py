"""The shadow of a canary: copies of the callers' requests, sent to both versions, and their answers compared.

- `answers`: what two answers to one request have in common
- `summary`: the account that is kept of them, and what `GET /summary` tells of it
- `server`: takes the copies, asks both versions, as `canari gate shadow` does it
- `judging`: the gate's rules on a summary
"""
