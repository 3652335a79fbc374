//! Reading whole responses from a node's stream, bounded and with nothing read beyond them.

use std::io;

use cqlgate_protocol::wire::{HEADER_LENGTH, Header, WireError};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Why no response could be read.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The stream failed or ended.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The bytes are no response of the native protocol.
    #[error("the node answered in no known way: {0}")]
    Malformed(#[from] WireError),
    /// The body is longer than its limit, or its length is negative.
    #[error("the node announced a response of {0} bytes")]
    Length(i32),
}

/// Reads one response, body up to `limit`. A node refuses a protocol version in a header of another one, so
/// the version is for the caller to compare.
pub(super) async fn read<R: AsyncRead + Unpin>(
    from: &mut R,
    limit: usize,
) -> Result<(Header, Vec<u8>), EnvelopeError> {
    let header = read_header(from).await?;
    let body = read_body(from, &header, limit).await?;
    Ok((header, body))
}

/// Reads the header of a response.
pub(super) async fn read_header<R: AsyncRead + Unpin>(from: &mut R) -> Result<Header, EnvelopeError> {
    let mut head = [0; HEADER_LENGTH];
    from.read_exact(&mut head).await?;
    let header = Header::parse(&head).ok_or(WireError::NotEnoughBytes("a header"))?;
    if header.is_response() {
        Ok(header)
    } else {
        Err(WireError::Invalid(format!("a first byte of 0x{:02x}", header.version)).into())
    }
}

/// Reads the body behind a header. Memory grows with the bytes that come, not with the length that was
/// announced.
pub(super) async fn read_body<R: AsyncRead + Unpin>(
    from: &mut R,
    header: &Header,
    limit: usize,
) -> Result<Vec<u8>, EnvelopeError> {
    let length = header.body_length(limit).ok_or(EnvelopeError::Length(header.length))?;
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use cqlgate_protocol::wire::Version;
    use cqlgate_protocol::wire::response;

    use super::*;

    #[tokio::test]
    async fn one_response_and_nothing_behind_it() {
        let mut bytes = response::set_keyspace(Version::V4, 1, "k");
        bytes.push(0x84);
        let mut rest = &bytes[..];
        let (header, body) = read(&mut rest, 100).await.unwrap();
        assert_eq!((header.stream, body.len()), (1, 7));
        assert_eq!(rest, [0x84]);
    }

    #[tokio::test]
    async fn what_must_be_refused() {
        let whole = response::set_keyspace(Version::V4, 1, "k");
        for cut in 0..whole.len() {
            assert!(matches!(read(&mut &whole[..cut], 100).await, Err(EnvelopeError::Io(_))), "{cut}");
        }
        assert!(matches!(read(&mut &whole[..], 6).await, Err(EnvelopeError::Length(7))));
        let negative = Header::encode(0x84, 0, 0, 8, 0);
        let mut negative = negative.to_vec();
        negative[5] = 0x80;
        assert!(matches!(read(&mut &negative[..], 6).await, Err(EnvelopeError::Length(_))));
        assert!(matches!(read(&mut &b"HTTP/1.1 400 Bad"[..], 100).await, Err(EnvelopeError::Malformed(_))));
    }
}
