//! The grammar reads or refuses any text; what it reads stays the same however the text is dressed, and
//! everything that can be asked of it has an answer.

#![no_main]

use cqlgate_protocol::cql::statement::Definition;
use cqlgate_protocol::cql::{Limits, Statement, parse};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/cql/printer.rs"]
mod printer;

fuzz_target!(|text: &str| {
    let limits = Limits::default();
    let statement = match parse(text, &limits) {
        Ok(statement) => statement,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    assert_eq!(statement.bind_markers().count(), statement.bind_marker_count());
    if let Statement::Select(select) = &statement {
        assert!(select.selectors().take(text.len() + 1).count() <= text.len());
        assert!(select.restrictions().take(text.len() + 1).count() <= text.len());
        let _ = select.limit();
    }
    let dressed = format!("/* ; */{text} ;;\n");
    let again = parse(&dressed, &limits).expect("blanks, comments and semicolons around a statement");
    assert_eq!(again.kind(), statement.kind());
    assert_eq!(again.table(), statement.table());
    assert_eq!(again.is_fully_qualified(), statement.is_fully_qualified());
    printer::check(text, &limits);
    // Two statements are never one, whatever separates them.
    for separator in ["", ";", " ", "\n", "/**/"] {
        let twice = format!("{text}{separator}DROP TABLE k.t");
        if let Ok(other) = parse(&twice, &limits) {
            assert!(!matches!(other, Statement::Definition(Definition::DropTable(_))), "{twice:?}");
        }
    }
});
