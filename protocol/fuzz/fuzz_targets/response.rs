//! Any bytes are a response or are refused; rows can be walked to their end.

#![no_main]

use cqlgate_protocol::wire::response::{Response, ResultBody};
use cqlgate_protocol::wire::{HEADER_LENGTH, Header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(header) = Header::parse(bytes) else { return };
    let body = bytes.get(HEADER_LENGTH..).unwrap_or_default();
    if let Ok(Response::Result(ResultBody::Rows(rows))) = Response::parse(&header, body) {
        for row in rows.iter() {
            if row.is_err() {
                break;
            }
        }
    }
});
