//! The signatures of native functions, read off a running Cassandra 5.0.

use super::conversion;

/// What a native function takes and returns, in canonical types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature<'n> {
    /// The types of the arguments.
    pub(crate) arguments: Vec<&'n str>,
    /// The type of the result.
    pub(crate) returns: &'n str,
}

/// What functions on numbers take.
const NUMBERS: [&str; 9] =
    ["bigint", "counter", "decimal", "double", "float", "int", "smallint", "tinyint", "varint"];

/// The signatures of a native function; `None` where they follow the arguments of the call or the table, and
/// for what is no native function.
pub(crate) fn signatures(name: &str) -> Option<Vec<Signature<'_>>> {
    let one = |arguments: &[&'static str], returns| Signature { arguments: arguments.to_vec(), returns };
    Some(match name {
        "abs" | "avg" | "exp" | "log" | "log10" | "round" | "sum" => {
            NUMBERS.iter().map(|number| one(&[number], number)).collect()
        }
        "now" | "current_timeuuid" | "currenttimeuuid" => vec![one(&[], "timeuuid")],
        "uuid" => vec![one(&[], "uuid")],
        "current_date" | "currentdate" => vec![one(&[], "date")],
        "current_time" | "currenttime" => vec![one(&[], "time")],
        "current_timestamp" | "currenttimestamp" => vec![one(&[], "timestamp")],
        "unixtimestampof" => vec![one(&["timeuuid"], "bigint")],
        "dateof" => vec![one(&["timeuuid"], "timestamp")],
        "max_timeuuid" | "maxtimeuuid" | "min_timeuuid" | "mintimeuuid" => {
            vec![one(&["timestamp"], "timeuuid")]
        }
        "to_date" | "todate" => vec![one(&["timestamp"], "date"), one(&["timeuuid"], "date")],
        "to_timestamp" | "totimestamp" => vec![one(&["date"], "timestamp"), one(&["timeuuid"], "timestamp")],
        "to_unix_timestamp" | "tounixtimestamp" => {
            ["date", "timestamp", "timeuuid"].iter().map(|from| one(&[from], "bigint")).collect()
        }
        "floor" => vec![
            one(&["timestamp", "duration"], "timestamp"),
            one(&["timestamp", "duration", "timestamp"], "timestamp"),
            one(&["timeuuid", "duration"], "timestamp"),
            one(&["timeuuid", "duration", "timestamp"], "timestamp"),
            one(&["date", "duration"], "date"),
            one(&["date", "duration", "date"], "date"),
            one(&["time", "duration"], "time"),
        ],
        "countRows" | "count_rows" => vec![one(&[], "bigint")],
        _ => {
            let text = |name| if name == "varchar" { "text" } else { name };
            let (argument, returns) = conversion(name)?;
            vec![Signature { arguments: vec![text(argument)], returns: text(returns) }]
        }
    })
}
