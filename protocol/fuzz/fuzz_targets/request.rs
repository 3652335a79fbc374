//! Any bytes are a request or are refused; what a request says it holds can be read.

#![no_main]

use cqlgate_protocol::wire::request::{self, Batch, Execute, Query, Register, Startup};
use cqlgate_protocol::wire::{HEADER_LENGTH, Header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(header) = Header::parse(bytes) else { return };
    let Some(version) = header.known_version() else { return };
    let body = bytes.get(HEADER_LENGTH..).unwrap_or_default();
    let Ok(message) = request::message(version, header.flags, body) else { return };
    if let Ok(query) = Query::parse(version, message) {
        assert_eq!(query.options.values.iter().count(), query.options.values.len());
    }
    if let Ok(execute) = Execute::parse(version, message) {
        assert_eq!(execute.options.values.iter().count(), execute.options.values.len());
    }
    if let Ok(batch) = Batch::parse(version, message) {
        assert_eq!(batch.children().count(), batch.len());
    }
    let _ = request::prepare(message);
    let _ = request::auth_response(message);
    let _ = request::options(message);
    let _ = Register::parse(version, message);
    let _ = Startup::parse(message).map(|startup| startup.check());
});
