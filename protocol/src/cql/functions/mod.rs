//! Cassandra's native functions: what may be called without a permission, and what they take and return.

mod signatures;

pub(crate) use signatures::signatures;

/// Whether `name` (an internal name) is a native function of some release up to 5.0: a name that an older one
/// does not have is none of a user's there either, unless a user made it, which is looked up.
pub(crate) fn is_native(name: &str) -> bool {
    NATIVE.binary_search(&name).is_ok() || conversion(name).is_some()
}

/// What `text_as_blob`, `blob_as_text` and the older `textasblob`, `blobastext` take and return.
pub(crate) fn conversion(name: &str) -> Option<(&str, &str)> {
    let to = |suffix| name.strip_suffix(suffix).filter(|t| has_conversion(t)).map(|t| (t, "blob"));
    let from = |prefix| name.strip_prefix(prefix).filter(|t| has_conversion(t)).map(|t| ("blob", t));
    to("_as_blob").or_else(|| from("blob_as_")).or_else(|| to("asblob")).or_else(|| from("blobas"))
}

fn has_conversion(name: &str) -> bool {
    matches!(
        name,
        "ascii"
            | "bigint"
            | "boolean"
            | "counter"
            | "date"
            | "decimal"
            | "double"
            | "duration"
            | "empty"
            | "float"
            | "inet"
            | "int"
            | "smallint"
            | "text"
            | "time"
            | "timestamp"
            | "timeuuid"
            | "tinyint"
            | "uuid"
            | "varchar"
            | "varint"
    )
}

/// In the order of their bytes.
const NATIVE: [&str; 86] = [
    "_add",
    "_divide",
    "_modulo",
    "_multiply",
    "_negate",
    "_substract",
    "abs",
    "avg",
    "castAsAscii",
    "castAsBigint",
    "castAsDate",
    "castAsDecimal",
    "castAsDouble",
    "castAsFloat",
    "castAsInt",
    "castAsSmallint",
    "castAsText",
    "castAsTimestamp",
    "castAsTinyint",
    "castAsVarint",
    "cast_as_ascii",
    "cast_as_bigint",
    "cast_as_date",
    "cast_as_decimal",
    "cast_as_double",
    "cast_as_float",
    "cast_as_int",
    "cast_as_smallint",
    "cast_as_text",
    "cast_as_timestamp",
    "cast_as_tinyint",
    "cast_as_varint",
    "collection_avg",
    "collection_count",
    "collection_max",
    "collection_min",
    "collection_sum",
    "count",
    "countRows",
    "count_rows",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_timeuuid",
    "currentdate",
    "currenttime",
    "currenttimestamp",
    "currenttimeuuid",
    "dateof",
    "exp",
    "floor",
    "from_json",
    "fromjson",
    "log",
    "log10",
    "map_keys",
    "map_values",
    "mask_default",
    "mask_hash",
    "mask_inner",
    "mask_null",
    "mask_outer",
    "mask_replace",
    "max",
    "max_timeuuid",
    "maxtimeuuid",
    "min",
    "min_timeuuid",
    "mintimeuuid",
    "now",
    "round",
    "similarity_cosine",
    "similarity_dot_product",
    "similarity_euclidean",
    "sum",
    "to_date",
    "to_json",
    "to_timestamp",
    "to_unix_timestamp",
    "todate",
    "tojson",
    "token",
    "totimestamp",
    "tounixtimestamp",
    "unixtimestampof",
    "uuid",
];

#[cfg(test)]
mod tests {
    use super::signatures::Signature;
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(NATIVE.is_sorted());
    }

    #[test]
    fn native_names_are_exact() {
        for name in
            ["now", "uuid", "count", "text_as_blob", "blobastimeuuid", "intasblob", "to_timestamp", "token"]
        {
            assert!(is_native(name), "{name}");
        }
        for name in ["NOW", "f", "", "foo_as_blob", "blob_as_", "nowx", "toTimestamp", "blobasblob"] {
            assert!(!is_native(name), "{name}");
        }
    }

    #[test]
    fn every_signature_is_of_a_native_function() {
        assert_eq!(signatures("now"), Some(vec![Signature { arguments: vec![], returns: "timeuuid" }]));
        assert_eq!(signatures("abs").unwrap().len(), 9);
        assert_eq!(
            signatures("textasblob"),
            Some(vec![Signature { arguments: vec!["text"], returns: "blob" }])
        );
        assert_eq!(signatures("blob_as_varchar").unwrap()[0].returns, "text");
        assert_eq!(signatures("max"), None);
        assert_eq!(signatures("f"), None);
    }
}
