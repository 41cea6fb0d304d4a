def verdict(d): return d.kind
