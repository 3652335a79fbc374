//! Whole responses of a node, changed before they go on: a warning added, rows left out.
//!
//! In: an envelope as the node sent it. Out: another one with the same stream id. What is not understood is
//! an error; nothing is guessed.

use super::{ResultKind, Rows};
use crate::wire::error::WireError;
use crate::wire::header::{Flags, HEADER_LENGTH, Header};
use crate::wire::opcode::Opcode;
use crate::wire::read::Reader;

/// Where the parts of a body stand that come before its message (spec section 2.2).
struct Prelude {
    /// Behind the tracing id.
    warnings_at: usize,
    /// Behind the warnings and the custom payload.
    message_at: usize,
    warnings: u16,
}

fn prelude(header: &Header, body: &[u8]) -> Result<Prelude, WireError> {
    let mut reader = Reader::new(body);
    let at = |reader: &Reader<'_>| body.len() - reader.rest().len();
    if header.flags.has(Flags::TRACING) {
        reader.raw(16)?;
    }
    let warnings_at = at(&reader);
    let mut warnings = 0;
    if header.flags.has(Flags::WARNING) {
        reader.string_list(|_| warnings += 1)?;
    }
    if header.flags.has(Flags::CUSTOM_PAYLOAD) {
        reader.bytes_map(|_, _| {})?;
    }
    Ok(Prelude { warnings_at, message_at: at(&reader), warnings })
}

fn split(envelope: &[u8]) -> Result<(Header, &[u8]), WireError> {
    let short = WireError::NotEnoughBytes("a whole envelope");
    let header = Header::parse(envelope).ok_or(short)?;
    let body = envelope.get(HEADER_LENGTH..).unwrap_or_default();
    Ok((header, body))
}

fn assemble(header: &Header, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut envelope =
        Header::encode(header.version, flags, header.stream, header.opcode, body.len()).to_vec();
    envelope.extend_from_slice(body);
    envelope
}

/// The same response with one more warning (from v4 on; v3 has none, and passes as it is). An ERROR passes as
/// it is, too.
///
/// # Errors
/// What comes before the message cannot be read.
pub fn with_warning(envelope: &[u8], warning: &str) -> Result<Vec<u8>, WireError> {
    let (header, body) = split(envelope)?;
    if header.opcode == Opcode::Error.byte() || header.version & 0x7F < 4 {
        return Ok(envelope.to_vec());
    }
    let prelude = prelude(&header, body)?;
    let (before, rest) = body.split_at_checked(prelude.warnings_at).unwrap_or((body, &[]));
    let there = if header.flags.has(Flags::WARNING) { rest.get(2..).unwrap_or_default() } else { rest };
    let length = u16::try_from(warning.len()).map_err(|_| WireError::Invalid("a warning too long".into()))?;
    let count = prelude.warnings.saturating_add(1);
    let mut out = Vec::with_capacity(body.len() + warning.len() + 4);
    out.extend_from_slice(before);
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(warning.as_bytes());
    out.extend_from_slice(there);
    Ok(assemble(&header, header.flags.0 | Flags::WARNING, &out))
}

/// The same RESULT with only the rows whose value in one column is kept; what is not of kind Rows passes as it
/// is.
///
/// # Errors
/// The rows cannot be read, or have no such column.
pub fn retain_rows(
    envelope: &[u8],
    column: usize,
    mut keep: impl FnMut(Option<&[u8]>) -> bool,
) -> Result<Vec<u8>, WireError> {
    let (header, body) = split(envelope)?;
    if header.opcode != Opcode::Result.byte() {
        return Ok(envelope.to_vec());
    }
    let prelude = prelude(&header, body)?;
    let mut reader = Reader::new(body.get(prelude.message_at..).unwrap_or_default());
    if ResultKind::read(&mut reader)? != ResultKind::Rows {
        return Ok(envelope.to_vec());
    }
    let page = Rows::read(reader)?;
    let width = page.width();
    if !page.is_empty() && column >= width {
        return Err(WireError::Invalid("a result without the column to keep rows by".into()));
    }
    let mut reader = page.content();
    let rows_at = body.len() - reader.rest().len();
    let (mut rows, mut kept) = (Vec::new(), 0_i32);
    for _ in 0..page.len() {
        let row = reader.rest();
        let mut wanted = false;
        for index in 0..width {
            let value = reader.bytes()?;
            if index == column {
                wanted = keep(value);
            }
        }
        if wanted {
            rows.extend_from_slice(row.get(..row.len() - reader.rest().len()).unwrap_or_default());
            kept += 1;
        }
    }
    reader.end()?;
    // The count of rows stands before them.
    let head = rows_at - 4;
    let mut out = body.get(..head).unwrap_or_default().to_vec();
    out.extend_from_slice(&kept.to_be_bytes());
    out.extend_from_slice(&rows);
    Ok(assemble(&header, header.flags.0, &out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Version;
    use crate::wire::response::{ColumnType, Response, ResultBody, RowSet, error, raw_error, rows, void};

    fn parse(envelope: &[u8]) -> Response<'_> {
        let header = Header::parse(envelope).unwrap();
        assert_eq!(usize::try_from(header.length).unwrap(), envelope.len() - HEADER_LENGTH);
        Response::parse(&header, &envelope[HEADER_LENGTH..]).unwrap()
    }

    #[test]
    fn a_warning_stands_before_the_message_and_those_that_are_there_stay() {
        let plain = void(Version::V4, 7);
        let once = with_warning(&plain, "one").unwrap();
        let twice = with_warning(&once, "two").unwrap();
        assert!(matches!(parse(&twice), Response::Result(ResultBody::Void)));
        let header = Header::parse(&twice).unwrap();
        assert_eq!((header.stream, header.flags.0), (7, Flags::WARNING));
        assert_eq!(&twice[HEADER_LENGTH..], b"\0\x02\0\x03two\0\x03one\0\0\0\x01");
        // Behind a tracing id, before a payload.
        let mut traced = Header::encode(0x84, Flags::TRACING | Flags::CUSTOM_PAYLOAD, 1, 8, 22).to_vec();
        traced.extend_from_slice(&[9; 16]);
        traced.extend_from_slice(&[0, 0, 0, 0, 0, 1]);
        let warned = with_warning(&traced, "w").unwrap();
        assert_eq!(&warned[HEADER_LENGTH..HEADER_LENGTH + 16], &[9; 16]);
        assert_eq!(&warned[HEADER_LENGTH + 16..], b"\0\x01\0\x01w\0\0\0\0\0\x01");
    }

    #[test]
    fn an_error_and_v3_have_no_warning_added() {
        let refused = error(Version::V4, 1, crate::wire::ErrorCode::Invalid, "no");
        assert_eq!(with_warning(&refused, "w").unwrap(), refused);
        let old = void(Version::V3, 1);
        assert_eq!(with_warning(&old, "w").unwrap(), old);
        assert!(with_warning(&[0x84, 2, 0, 1, 8, 0, 0, 0, 1, 0], "w").is_err(), "a cut tracing id");
    }

    #[test]
    fn rows_are_kept_by_one_column() {
        let text = ColumnType::VARCHAR;
        let columns = [("keyspace_name", &text), ("name", &text)];
        let set = RowSet { keyspace: "system", table: "describe", columns: &columns };
        let value = |text: &str| Some(text.as_bytes().to_vec());
        let all = vec![
            vec![value("a"), value("1")],
            vec![value("b"), None],
            vec![None, value("3")],
            vec![value("a"), value("")],
        ];
        for metadata in [true, false] {
            let envelope = rows(Version::V4, 3, &set, &all, metadata);
            let kept = retain_rows(&envelope, 0, |value| value == Some(b"a")).unwrap();
            let expected = vec![all[0].clone(), all[3].clone()];
            assert_eq!(kept, rows(Version::V4, 3, &set, &expected, metadata));
            assert_eq!(retain_rows(&envelope, 1, |_| true).unwrap(), envelope);
            assert!(retain_rows(&envelope, 2, |_| true).is_err(), "no such column");
            assert!(retain_rows(&envelope[..envelope.len() - 1], 0, |_| true).is_err(), "cut");
        }
        let refused = raw_error(Version::V4, 1, 0x2200, "no");
        assert_eq!(retain_rows(&refused, 0, |_| false).unwrap(), refused);
        let done = void(Version::V4, 1);
        assert_eq!(retain_rows(&done, 0, |_| false).unwrap(), done);
    }
}
