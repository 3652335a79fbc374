//! Addresses of the loopback net that nobody uses: each node and gateway gets one of its own, with the
//! ports that people know, and parallel runs do not meet.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::trouble::{Result, Trouble};

/// An address of `127.<net>.0.0/16` where all of `ports` are free.
pub fn free_address(net: u8, ports: &[u16]) -> Result<Ipv4Addr> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let seed = std::process::id().wrapping_mul(31) % 60_000;
    for _ in 0..1000 {
        let n = (seed + COUNT.fetch_add(1, Ordering::Relaxed)) % 60_000;
        let [.., high, low] = n.to_be_bytes();
        // .0 and .255 look like mistakes to some programs.
        let ip = Ipv4Addr::new(127, net, high, low.clamp(1, 254));
        if ports.iter().all(|port| TcpListener::bind((ip, *port)).is_ok()) {
            return Ok(ip);
        }
    }
    Err(Trouble::new(format!(
        "the ports {ports:?} are taken on every address of 127.{net}.0.0/16: something listens on 0.0.0.0 with one \
         of them (stop it), or this machine does not answer on the whole loopback net"
    )))
}
