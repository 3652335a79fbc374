//! Counters and gauges, typed, one place. A leaf: everybody may count, nobody reads but `admin`.
