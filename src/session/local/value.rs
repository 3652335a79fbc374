//! Literals of CQL as the bytes that a driver would have bound.

use std::net::IpAddr;

use cqlgate_protocol::cql::statement::Term;
use cqlgate_protocol::wire::response::ColumnType;

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
        Term::Uuid(text) if *ty == ColumnType::UUID => {
            Some(uuid::Uuid::parse_str(text).ok()?.as_bytes().to_vec())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
