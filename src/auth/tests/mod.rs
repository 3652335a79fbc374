//! Log-in against the test issuer. `bench` puts an authenticator, an issuer and a directory together; the
//! other modules break one thing each.

mod bench;
mod who;
