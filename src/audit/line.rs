//! An event as one line of JSON that no reader, program or terminal, takes for something else.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use super::{Event, text};
use crate::config::limits::AUDIT_TEXT;

/// RFC 3339 in UTC with milliseconds.
const TIME: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A time as audit lines and the status page write it; empty for a time that no clock should show.
pub(super) fn rfc3339(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(&TIME).unwrap_or_default()
}

/// The text of an event as it may be shown: passwords blanked, cut at the limit. `None` if it has none.
pub(super) fn shown_text(event: &Event) -> Option<(Cow<'_, str>, bool)> {
    let raw = event.text.as_deref()?;
    let blanked = if event.statement.is_some() { text::blank(raw) } else { text::blank_unparsed(raw) };
    let end = text::floor_char_boundary(&blanked, AUDIT_TEXT);
    let cut = end < blanked.len();
    let shown = match blanked {
        Cow::Borrowed(t) => Cow::Borrowed(t.get(..end).unwrap_or_default()),
        Cow::Owned(mut t) => {
            t.truncate(end);
            Cow::Owned(t)
        }
    };
    Some((shown, cut))
}

#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    id: &'a str,
    #[serde(flatten)]
    event: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// `text` was longer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    text_cut: bool,
}

/// Appends the line of an event.
pub(super) fn append(
    buffer: &mut Vec<u8>,
    at: SystemTime,
    id: &str,
    event: &Event,
) -> Result<(), serde_json::Error> {
    let start = buffer.len();
    let shown = shown_text(event);
    let line = Line {
        time: &rfc3339(at),
        id,
        event,
        text: shown.as_ref().map(|(t, _)| t.as_ref()),
        text_cut: shown.as_ref().is_some_and(|(_, cut)| *cut),
    };
    let mut serializer = Serializer::with_formatter(&mut *buffer, Plain(CompactFormatter));
    if let Err(e) = line.serialize(&mut serializer) {
        buffer.truncate(start);
        return Err(e);
    }
    buffer.push(b'\n');
    Ok(())
}

/// Compact JSON in which everything that a terminal or an editor acts on is escaped: DEL, the C1 controls,
/// line and paragraph separators, and the marks that turn the direction of writing.
struct Plain(CompactFormatter);

impl Formatter for Plain {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut clean = fragment;
        while let Some((at, c)) = clean.char_indices().find(|&(_, c)| text::is_treacherous(c)) {
            let (before, rest) = clean.split_at_checked(at).unwrap_or((clean, ""));
            self.0.write_string_fragment(out, before)?;
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}")?;
            }
            clean = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        self.0.write_string_fragment(out, clean)
    }
}
