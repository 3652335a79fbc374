//! Names and times as the page says them.

use std::fmt::Write;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::audit::text::is_treacherous;

/// Longer names are cut to this many characters; what they point at shows more of them.
const NAME: usize = 64;
/// The most that is shown of a statement or reason.
const TEXT: usize = 600;
/// The most that is ever sent of one.
const FULL: usize = 2048;

/// A text from outside, fit to stand on a page: what could turn or hide the text around it is spelled out,
/// and it has an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// What stands there.
    pub(super) short: String,
    /// More of it, if it was cut.
    pub(super) full: Option<String>,
}

impl Shown {
    pub(super) fn name(text: &str) -> Self {
        Self::new(text, NAME)
    }

    pub(super) fn text(text: &str) -> Self {
        Self::new(text, TEXT)
    }

    fn new(text: &str, limit: usize) -> Self {
        let short = spelled(text, limit);
        let full = (text.chars().nth(limit).is_some()).then(|| spelled(text, FULL));
        Self { short, full }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.short.is_empty()
    }
}

/// The first `limit` characters, with an ellipsis if there are more, control characters as `⟨U+202E⟩`. A
/// line break of a statement is a blank.
fn spelled(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit * 4));
    for c in text.chars().take(limit) {
        match c {
            '\n' | '\r' | '\t' => shown.push(' '),
            c if is_treacherous(c) => {
                // Writing to a String cannot fail.
                let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    if text.chars().nth(limit).is_some() {
        shown.push('…');
    }
    shown
}

/// A point in time: how far away, and exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// For machines; empty if there is no time to tell.
    pub(super) iso: String,
    /// `3 min ago`, `in 2 h`.
    pub(super) relative: String,
    /// `2026-11-23 22:59:37 UTC`.
    pub(super) exact: String,
    /// The same without what goes without saying: `22:59:37 UTC` of today, `2026-11-20 08:12 UTC` of another day.
    pub(super) brief: String,
}

impl When {
    /// `None` for an empty text: it never happened. A text that is no time is shown as it is.
    pub(super) fn new(at: &str, now: Option<OffsetDateTime>) -> Option<Self> {
        if at.is_empty() {
            return None;
        }
        let (Ok(at), Some(now)) = (OffsetDateTime::parse(at, &Rfc3339), now) else {
            let raw = spelled(at, NAME);
            return Some(Self {
                iso: String::new(),
                relative: raw.clone(),
                exact: raw,
                brief: String::new(),
            });
        };
        let utc = at.to_offset(time::UtcOffset::UTC);
        let (date, (h, m, s)) = (utc.date(), utc.time().as_hms());
        let brief = if date == now.to_offset(time::UtcOffset::UTC).date() {
            format!("{h:02}:{m:02}:{s:02} UTC")
        } else {
            format!("{date} {h:02}:{m:02} UTC")
        };
        Some(Self {
            brief,
            iso: utc.format(&Rfc3339).unwrap_or_default(),
            relative: relative(at - now),
            exact: format!("{date} {h:02}:{m:02}:{s:02} UTC"),
        })
    }
}

/// A distance in its largest unit, in words.
fn relative(distance: Duration) -> String {
    let amount = span(distance.abs());
    match distance.whole_seconds() {
        0 => "just now".into(),
        s if s < 0 => format!("{amount} ago"),
        _ => format!("in {amount}"),
    }
}

/// A length of time: `42 s`, `3 min`, `5 h`, `12 days`.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.whole_seconds();
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A number with its thousands apart: `12,345`.
pub(super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 session`, `2 sessions`.
pub(super) fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(n as u64), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_and_exact() {
        let now = OffsetDateTime::parse("2026-11-23T22:00:00Z", &Rfc3339).ok();
        let table = [
            ("2026-11-23T22:00:00.250Z", "just now"),
            ("2026-11-23T21:59:18Z", "42 s ago"),
            ("2026-11-23T21:01:00Z", "59 min ago"),
            ("2026-11-23T20:00:00Z", "2 h ago"),
            ("2026-11-22T23:00:00+01:00", "24 h ago"),
            ("2026-11-20T22:00:00Z", "3 days ago"),
            ("2026-11-23T22:05:10Z", "in 5 min"),
        ];
        for (at, words) in table {
            assert_eq!(When::new(at, now).unwrap().relative, words, "{at}");
        }
        assert_eq!(When::new("2026-11-22T23:00:01+01:00", now).unwrap().exact, "2026-11-22 22:00:01 UTC");
        assert_eq!(When::new("2026-11-23T21:59:18Z", now).unwrap().brief, "21:59:18 UTC");
        assert_eq!(When::new("2026-11-22T21:59:18Z", now).unwrap().brief, "2026-11-22 21:59 UTC");
        assert_eq!(When::new("", now), None);
        assert_eq!(When::new("<yesterday>", now).unwrap().relative, "<yesterday>");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(plural(1, "rule", "rules"), "1 rule");
    }

    #[test]
    fn hostile_names_are_spelled_out_and_cut() {
        assert_eq!(Shown::name("a\u{202e}b\0c\nd").short, "a⟨U+202E⟩b⟨U+0000⟩c d");
        let long = Shown::name(&"é".repeat(10_000));
        assert_eq!(long.short.chars().count(), NAME + 1);
        assert_eq!(long.full.unwrap().chars().count(), FULL + 1);
        assert_eq!(Shown::name(&"x".repeat(NAME)).full, None);
    }
}
