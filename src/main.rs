//! The `cqlgate` command.

fn main() {}
