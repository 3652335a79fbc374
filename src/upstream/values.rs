//! Values of the schema tables and of `system_auth`.

use cqlgate_protocol::wire::{Reader, WireError};

/// A row: values in the order of the query's columns, `None` for null.
pub(super) type Row<'a> = [Option<&'a [u8]>];

/// A text that must be there.
pub(super) fn text<'a>(row: &Row<'a>, column: usize) -> Result<&'a str, WireError> {
    optional_text(row, column)?.ok_or_else(|| missing("a name"))
}

/// A text, or null.
pub(super) fn optional_text<'a>(row: &Row<'a>, column: usize) -> Result<Option<&'a str>, WireError> {
    let Some(bytes) = row.get(column).copied().flatten() else { return Ok(None) };
    std::str::from_utf8(bytes).map(Some).map_err(|_| WireError::NotUtf8("a name in the schema"))
}

/// A list of texts that must be there.
pub(super) fn text_list<'a>(row: &Row<'a>, column: usize) -> Result<Vec<&'a str>, WireError> {
    texts(row.get(column).copied().flatten().ok_or_else(|| missing("a list of names"))?)
}

/// The elements of a `set<text>` or `list<text>`: their number, then each with its length.
pub(super) fn texts(collection: &[u8]) -> Result<Vec<&str>, WireError> {
    let mut reader = Reader::new(collection);
    let mut texts = Vec::new();
    for _ in 0..reader.int()? {
        let text = reader.bytes()?.ok_or_else(|| missing("an element of a collection"))?;
        texts.push(std::str::from_utf8(text).map_err(|_| WireError::NotUtf8("an element of a collection"))?);
    }
    reader.end()?;
    Ok(texts)
}

pub(super) fn missing(what: &'static str) -> WireError {
    WireError::Invalid(format!("{what} is missing"))
}

/// A `set<text>` or `list<text>` of these.
#[cfg(test)]
pub(super) fn collection(texts: &[&str]) -> Vec<u8> {
    let mut bytes = u32::try_from(texts.len()).unwrap().to_be_bytes().to_vec();
    for text in texts {
        bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_are_read_to_their_end() {
        assert_eq!(texts(&collection(&["a", ""])).unwrap(), ["a", ""]);
        assert_eq!(texts(&collection(&[])).unwrap(), [""; 0]);
        let whole = collection(&["ab"]);
        assert!((0..whole.len()).all(|end| texts(&whole[..end]).is_err()));
        for bad in [
            [&whole[..], b"x"].concat(),
            vec![0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF],
            vec![0, 0, 0, 1, 0, 0, 0, 1, 0xFF],
        ] {
            assert!(texts(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rows_lack_what_they_lack() {
        let list = collection(&["x"]);
        let row: &Row<'_> = &[Some(b"a"), None, Some(&list), Some(b"\xFF")];
        assert_eq!((text(row, 0), optional_text(row, 1)), (Ok("a"), Ok(None)));
        assert_eq!(text_list(row, 2), Ok(vec!["x"]));
        assert!(text(row, 1).is_err() && text(row, 3).is_err() && text(row, 4).is_err());
        assert!(text_list(row, 1).is_err() && text_list(row, 0).is_err());
    }
}
