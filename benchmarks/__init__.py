"""The trainers against their peers: `python -m benchmarks` writes benchmarks/table.md."""
