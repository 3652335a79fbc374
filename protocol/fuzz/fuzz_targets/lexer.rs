//! The lexer covers a text without gaps: tokens follow each other, end on character boundaries, and what
//! lies between two of them is blank or comment.

#![no_main]

use cqlgate_protocol::cql::lexer::{TokenKind, next_token};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut position = 0;
    loop {
        let token = next_token(text, position);
        assert!(position <= token.start && token.start <= token.end && token.end <= text.len());
        match token.kind {
            TokenKind::Bad(_) => break,
            TokenKind::End => {
                assert_eq!(token.start, text.len());
                break;
            }
            _ => {}
        }
        assert!(token.end > token.start);
        assert!(text.is_char_boundary(token.start) && text.is_char_boundary(token.end));
        let between = text[position..token.start].trim_start_matches([' ', '\t', '\n', '\r']);
        assert!(["", "-", "/"].contains(&&between[..between.len().min(1)]), "{between:?}");
        position = token.end;
    }
});
