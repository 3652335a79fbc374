//! Literals of CQL as the bytes that a driver would have bound, and the value of `now()`.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use cqlgate_protocol::cql::statement::Term;
use cqlgate_protocol::wire::response::ColumnType;
use uuid::{Builder, Uuid};

/// The bytes of a literal for a column of this type; `None`: it is no such value.
pub(super) fn encode(term: &Term<'_>, ty: &ColumnType) -> Option<Vec<u8>> {
    match term {
        Term::String(text) if *ty == ColumnType::INET => match text.parse().ok()? {
            IpAddr::V4(address) => Some(address.octets().to_vec()),
            IpAddr::V6(address) => Some(address.octets().to_vec()),
        },
        Term::String(text) if *ty == ColumnType::VARCHAR || *ty == ColumnType::ASCII => {
            Some(text.as_bytes().to_vec())
        }
        Term::Integer(digits) if *ty == ColumnType::INT => {
            Some(digits.parse::<i32>().ok()?.to_be_bytes().to_vec())
        }
        Term::Uuid(text) if *ty == ColumnType::UUID => Some(Uuid::parse_str(text).ok()?.as_bytes().to_vec()),
        _ => None,
    }
}

/// A UUID of this moment (version 1, RFC 9562 section 5.1), of no host: the node's six bytes are drawn, and say so.
pub(super) fn now() -> Uuid {
    /// From the start of the Gregorian calendar to that of Unix time, in steps of 100 ns.
    const UNIX_TIME: u64 = 0x01B2_1DD2_1381_4000;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ticks = UNIX_TIME.saturating_add(u64::try_from(since.as_nanos() / 100).unwrap_or_default());
    let drawn = Uuid::new_v4().as_u64_pair();
    let ([first, node @ .., _, _], [.., high, low]) = (drawn.0.to_be_bytes(), drawn.1.to_be_bytes());
    let [second, third, fourth, fifth, sixth] = node;
    let node = [first | 1, second, third, fourth, fifth, sixth];
    Builder::from_gregorian_timestamp(ticks, u16::from_be_bytes([high, low]), &node).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_a_uuid_of_this_moment_and_another_each_time() {
        let (one, other) = (now(), now());
        assert_ne!(one, other);
        assert_eq!((one.get_version_num(), one.get_variant()), (1, uuid::Variant::RFC4122));
        let (seconds, _) = one.get_timestamp().unwrap().to_unix();
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(today - seconds < 60, "{seconds} and {today}");
    }

    #[test]
    fn literals_become_what_drivers_bind() {
        let inet = Term::String("127.0.0.1".into());
        assert_eq!(encode(&inet, &ColumnType::INET), Some(vec![127, 0, 0, 1]));
        assert_eq!(encode(&inet, &ColumnType::INT), None);
        assert_eq!(encode(&Term::Integer("9042"), &ColumnType::INT), Some(vec![0, 0, 0x23, 0x52]));
        assert_eq!(encode(&Term::Integer("99999999999"), &ColumnType::INT), None);
        assert_eq!(encode(&Term::String("local".into()), &ColumnType::VARCHAR), Some(b"local".to_vec()));
        assert_eq!(encode(&Term::String("nowhere".into()), &ColumnType::INET), None);
    }
}
