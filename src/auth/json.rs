//! JSON that means one thing only.
//!
//! In: bytes of strangers (token headers, claims, key sets). Out: a [`Value`] in which no object had the
//! same member twice, nothing followed the value, and nothing was nested deeper than asked. Parsers
//! disagree about which of two equal members counts (RFC 8259, section 4), and what two parsers read
//! differently is how a forged claim passes; RFC 7515, section 4 and RFC 7519, section 4 allow the refusal.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The text was not acceptable JSON; where and why, without its content.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not UTF-8 (a lone surrogate in an escape is [`JsonError::Syntax`]).
    #[error("not UTF-8")]
    Utf8,
    /// An object has the same member twice.
    #[error("an object has a member twice")]
    Duplicate,
    /// Deeper than allowed.
    #[error("nested deeper than {0} levels")]
    Depth(usize),
    /// No JSON, or something behind it.
    #[error("not JSON (column {0})")]
    Syntax(usize),
    /// Not an object at the top.
    #[error("not a JSON object")]
    NotAnObject,
}

/// Reads one JSON object with at most `depth` levels, itself counted.
pub(super) fn object(bytes: &[u8], depth: usize) -> Result<Map<String, Value>, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::Utf8)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { left: depth }.deserialize(&mut deserializer).and_then(|v| {
        deserializer.end()?;
        Ok(v)
    });
    match value {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(JsonError::NotAnObject),
        // serde's errors are strings; these two are ours and hold no text of the input.
        Err(error) => Err(match error.to_string() {
            text if text.starts_with(DUPLICATE) => JsonError::Duplicate,
            text if text.starts_with(TOO_DEEP) => JsonError::Depth(depth),
            _ => JsonError::Syntax(error.column()),
        }),
    }
}

const DUPLICATE: &str = "an object has a member twice";
const TOO_DEEP: &str = "nested too deep";

#[derive(Clone, Copy)]
struct Strict {
    left: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.left.checked_sub(1).map(|left| Self { left }).ok_or_else(|| E::custom(TOO_DEEP))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Map<String, Value>, JsonError> {
        object(text.as_bytes(), 4)
    }

    #[test]
    fn plain_objects_are_read() {
        let map = read(r#"{"a":1,"b":[true,null,"x"],"c":{"d":-2.5}}"#).unwrap();
        assert_eq!(Value::Object(map), serde_json::json!({"a":1,"b":[true,null,"x"],"c":{"d":-2.5}}));
    }

    #[test]
    fn a_member_twice_is_refused_on_every_level() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"b":2}]}"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert!(matches!(read(text), Err(JsonError::Duplicate)), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_a_stack_overflow() {
        assert!(read(r#"{"a":[[[1]]]}"#).is_ok());
        assert!(matches!(read(r#"{"a":[[[[1]]]]}"#), Err(JsonError::Depth(4))));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(matches!(read(&deep), Err(JsonError::Depth(4))));
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for text in [
            "",
            "{",
            "{} {}",
            "{}x",
            "\u{feff}{}",
            r#"{"a":"\ud800"}"#,
            r#"{"a":NaN}"#,
            r#"{"a":1e999}"#,
            "{'a':1}",
        ] {
            assert!(matches!(read(text), Err(JsonError::Syntax(_))), "{text}");
        }
        for text in ["[]", "null", "\"a\"", "1"] {
            assert!(matches!(read(text), Err(JsonError::NotAnObject)), "{text}");
        }
        assert!(matches!(object(b"{\"a\":\"\xff\"}", 4), Err(JsonError::Utf8)));
    }
}
