//! Cassandra 5.0's native functions: what may be called without a permission.

/// Whether `name` (an internal name) is a native function. The list holds what every 5.0 release has; a
/// function that is missing here is refused, never let through.
pub(crate) fn is_native(name: &str) -> bool {
    // `text_as_blob`, `blob_as_text`, and the older `textasblob`, `blobastext`.
    let converts = |name: &str, to: &str, from: &str| {
        name.strip_suffix(to).is_some_and(is_native_type)
            || name.strip_prefix(from).is_some_and(is_native_type)
    };
    NATIVE.binary_search(&name).is_ok()
        || converts(name, "_as_blob", "blob_as_")
        || converts(name, "asblob", "blobas")
}

fn is_native_type(name: &str) -> bool {
    // Counters and blobs themselves have no conversion worth a line; they are refused.
    matches!(
        name,
        "ascii"
            | "bigint"
            | "boolean"
            | "date"
            | "decimal"
            | "double"
            | "duration"
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
const NATIVE: [&str; 52] = [
    "abs",
    "avg",
    "collection_avg",
    "collection_count",
    "collection_max",
    "collection_min",
    "collection_sum",
    "count",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_timeuuid",
    "currentdate",
    "currenttime",
    "currenttimestamp",
    "currenttimeuuid",
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
    "uuid",
];

#[cfg(test)]
mod tests {
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
        for name in ["NOW", "f", "", "foo_as_blob", "blob_as_", "nowx", "toTimestamp"] {
            assert!(!is_native(name), "{name}");
        }
    }
}
