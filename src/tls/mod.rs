//! TLS of every listener, by rustls on aws-lc-rs; plaintext where the configuration allows it.
//!
//! In: an accepted TCP stream. Out: a [`ClientStream`] to read from and write to, or, for the HTTP
//! listeners, served requests ([`http`]).

pub mod http;
mod server;
mod stream;

pub use server::{TlsError, acceptor};
pub use stream::ClientStream;

use std::sync::Once;

/// Installs the process-wide crypto provider, once.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that another provider is there already; nothing else in this process installs one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}
