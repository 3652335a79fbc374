//! The promises of cqlgate, one module each, on a real Cassandra.

// What helps the tests may state what it expects, as they may: for clippy, that is code under `cfg(test)`.
#[cfg(test)]
mod audit;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod bypass;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod drivers;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod grammar;
#[cfg(test)]
mod holes;
#[cfg(test)]
mod house;
#[cfg(test)]
mod judging;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod login;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod shown;
#[cfg(test)]
mod status_page;
#[cfg(test)]
mod system_tables;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod whole_way;
#[cfg(test)]
mod world;
