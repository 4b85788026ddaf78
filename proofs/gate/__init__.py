"""The proof that the gate does not lie: `python -m proofs.gate`, explained in `proofs.gate.__main__`.

- `traces`: recorded latencies of two real servers of one version, kept small; `recording`: how they are recorded
- `neighbour`: the noisy one meanwhile
- `releases`: releases drawn from them; `faults`: what is put into the candidate's requests
- `simulation`: a thousand releases judged, and every fault; `peers`: what others would have said of the same requests
- `real`: gates against real servers; `proxy`: faults put into them
- `report`: the tables in docs/verdict.md
"""
