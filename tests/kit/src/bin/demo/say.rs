//! The demo's voice.

/// A line on standard output.
#[expect(clippy::print_stdout, reason = "the demo is for reading")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// What went wrong, on standard error.
#[expect(clippy::print_stderr, reason = "the demo is for reading")]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}
