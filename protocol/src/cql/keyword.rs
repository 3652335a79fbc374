//! The keywords of CQL: which words the grammar of which release knows, and which of them may be names.

use std::fmt;

/// A line of Cassandra releases, by what its grammar knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// 4.0.
    V4_0,
    /// 4.1.
    V4_1,
    /// 5.0.
    #[default]
    V5_0,
    /// Whatever comes after: read as 5.0, and refusals say that more may be accepted there.
    Later,
}

impl Release {
    /// The last release whose grammar is known.
    pub const LAST: Self = Self::V5_0;

    /// Every release whose grammar is known, oldest first.
    pub const ALL: [Self; 3] = [Self::V4_0, Self::V4_1, Self::V5_0];

    /// The line that a node's `release_version` belongs to, such as `4.1.10` or `5.0-rc1`; older ones count
    /// as 4.0. `None` if it is no version.
    pub fn of_version(version: &str) -> Option<Self> {
        let (major, rest) = version.split_once('.')?;
        let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(match (major.parse::<u16>().ok()?, minor.parse::<u16>().ok()?) {
            (..=3, _) | (4, 0) => Self::V4_0,
            (4, _) => Self::V4_1,
            (5, 0) => Self::V5_0,
            _ => Self::Later,
        })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4_0 => "4.0",
            Self::V4_1 => "4.1",
            Self::V5_0 => "5.0",
            Self::Later => "after 5.0",
        })
    }
}

/// How far a keyword may serve as a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Never a name without quotes.
    Reserved,
    /// A name anywhere: keyspaces, tables, columns, roles, functions, user types.
    Basic,
    /// A native type: a name of anything but a user type.
    NativeType,
    /// A name, but not of a user type, and not of a qualified function.
    Special,
}

macro_rules! keywords {
    ($($class:ident { $($name:ident = $text:literal),* $(,)? })*) => {
        /// A keyword; the variants carry the words themselves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is the word it is called after")]
        pub enum Keyword { $($($name,)*)* }

        impl Keyword {
            /// Every keyword.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)*)*];

            /// The word in upper case; of synonyms the first one.
            pub const fn as_bytes(self) -> &'static [u8] {
                match self { $($(Self::$name => $text,)*)* }
            }

            /// The same as text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    // Checked when it is compiled: parsers that fail ask for it all the time.
                    $($(Self::$name => const {
                        match std::str::from_utf8($text) {
                            Ok(word) => word,
                            Err(_) => "",
                        }
                    },)*)*
                }
            }

            /// How far the word may serve as a name.
            pub const fn class(self) -> Class {
                match self { $($(Self::$name => Class::$class,)*)* }
            }
        }
    };
}

keywords! {
    Reserved {
        Add = b"ADD", Allow = b"ALLOW", Alter = b"ALTER", And = b"AND", Apply = b"APPLY", Asc = b"ASC",
        Authorize = b"AUTHORIZE", Batch = b"BATCH", Begin = b"BEGIN", By = b"BY",
        ColumnFamily = b"COLUMNFAMILY", Create = b"CREATE", Delete = b"DELETE", Desc = b"DESC",
        Describe = b"DESCRIBE", Drop = b"DROP", Entries = b"ENTRIES", Execute = b"EXECUTE", From = b"FROM",
        Full = b"FULL", Grant = b"GRANT", If = b"IF", In = b"IN", Index = b"INDEX", Infinity = b"INFINITY",
        Insert = b"INSERT", Into = b"INTO", Is = b"IS", Keyspace = b"KEYSPACE", Limit = b"LIMIT",
        Materialized = b"MATERIALIZED", Modify = b"MODIFY", Nan = b"NAN", NoRecursive = b"NORECURSIVE",
        Not = b"NOT", Null = b"NULL", Of = b"OF", On = b"ON", Or = b"OR", Order = b"ORDER",
        Primary = b"PRIMARY", Rename = b"RENAME", Revoke = b"REVOKE", Schema = b"SCHEMA",
        Select = b"SELECT", Set = b"SET", To = b"TO", Token = b"TOKEN", Truncate = b"TRUNCATE",
        Unlogged = b"UNLOGGED", Update = b"UPDATE", Use = b"USE", Using = b"USING", View = b"VIEW",
        Where = b"WHERE", With = b"WITH",
    }
    Basic {
        Access = b"ACCESS", Aggregate = b"AGGREGATE", Aggregates = b"AGGREGATES", All = b"ALL",
        Ann = b"ANN", As = b"AS", Called = b"CALLED", Cidrs = b"CIDRS", Cluster = b"CLUSTER",
        Clustering = b"CLUSTERING", ColumnFamilies = b"COLUMNFAMILIES", Compact = b"COMPACT",
        Contains = b"CONTAINS", Custom = b"CUSTOM", Datacenters = b"DATACENTERS", Default = b"DEFAULT",
        Exists = b"EXISTS", Filtering = b"FILTERING", FinalFunc = b"FINALFUNC", Frozen = b"FROZEN",
        Function = b"FUNCTION", Functions = b"FUNCTIONS", Group = b"GROUP", Hashed = b"HASHED",
        Identity = b"IDENTITY", InitCond = b"INITCOND", Input = b"INPUT", Internals = b"INTERNALS",
        Keys = b"KEYS", Keyspaces = b"KEYSPACES", Language = b"LANGUAGE", Like = b"LIKE", List = b"LIST",
        Login = b"LOGIN", Map = b"MAP", Masked = b"MASKED", Mbean = b"MBEAN", Mbeans = b"MBEANS",
        NoLogin = b"NOLOGIN", NoSuperuser = b"NOSUPERUSER", Only = b"ONLY", Options = b"OPTIONS",
        Partition = b"PARTITION", Password = b"PASSWORD", Per = b"PER", Permission = b"PERMISSION",
        Permissions = b"PERMISSIONS", Replace = b"REPLACE", Returns = b"RETURNS", Role = b"ROLE",
        Roles = b"ROLES", SelectMasked = b"SELECT_MASKED", SFunc = b"SFUNC", Static = b"STATIC",
        Storage = b"STORAGE", SType = b"STYPE", Superuser = b"SUPERUSER", Trigger = b"TRIGGER",
        Tuple = b"TUPLE", Type = b"TYPE", Types = b"TYPES", Unmask = b"UNMASK", Unset = b"UNSET",
        User = b"USER", Users = b"USERS", Values = b"VALUES", Vector = b"VECTOR",
    }
    NativeType {
        Ascii = b"ASCII", Bigint = b"BIGINT", Blob = b"BLOB", Boolean = b"BOOLEAN", Counter = b"COUNTER",
        Date = b"DATE", Decimal = b"DECIMAL", Double = b"DOUBLE", Duration = b"DURATION", Float = b"FLOAT",
        Inet = b"INET", Int = b"INT", Smallint = b"SMALLINT", Text = b"TEXT", Time = b"TIME",
        Timestamp = b"TIMESTAMP", Timeuuid = b"TIMEUUID", Tinyint = b"TINYINT", Uuid = b"UUID",
        Varchar = b"VARCHAR", Varint = b"VARINT",
    }
    Special {
        Cast = b"CAST", Count = b"COUNT", Distinct = b"DISTINCT", Json = b"JSON", Key = b"KEY",
        MaxWriteTime = b"MAXWRITETIME", Ttl = b"TTL", WriteTime = b"WRITETIME",
    }
}

/// Synonyms that the lexer folds into one token.
const SYNONYMS: [(&[u8], Keyword); 2] =
    [(b"TABLE", Keyword::ColumnFamily), (b"TABLES", Keyword::ColumnFamilies)];

/// The hash of a word, folded byte by folded byte, so that the lexer has it when it has found the word's end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WordHash(u32);

impl WordHash {
    const BITS: u32 = 10;

    /// Found by trying: with this factor no two keywords have one slot.
    const FACTOR: u32 = 0x8E68_11B5;

    /// The hash of the word with one byte more, in lower case.
    pub(super) const fn with(self, folded: u8) -> Self {
        Self((self.0 ^ folded as u32).wrapping_mul(Self::FACTOR))
    }

    const fn slot(self) -> usize {
        (self.0 >> (u32::BITS - Self::BITS)) as usize
    }
}

/// A byte that a word may hold, in lower case; 0 for any other.
pub(super) fn folded(byte: u8) -> u8 {
    FOLDED.get(usize::from(byte)).copied().unwrap_or_default()
}

static FOLDED: [u8; 256] = all_folded();

#[expect(clippy::indexing_slicing, reason = "it runs when it is compiled, and fails there")]
const fn all_folded() -> [u8; 256] {
    let (mut all, mut byte) = ([0; 256], 0_u8);
    while byte < u8::MAX {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            all[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    all
}

/// No keyword is longer.
const LONGEST: usize = 14;

/// A word that is a keyword, in lower case.
#[derive(Clone, Copy)]
struct Word {
    text: [u8; LONGEST],
    length: usize,
    keyword: Keyword,
}

static WORDS: [Word; Keyword::ALL.len() + SYNONYMS.len()] = words();

#[expect(clippy::indexing_slicing, reason = "it runs when it is compiled, and fails there")]
const fn words() -> [Word; Keyword::ALL.len() + SYNONYMS.len()] {
    let none = Word { text: [0; LONGEST], length: 0, keyword: Keyword::Add };
    let (mut words, mut at) = ([none; Keyword::ALL.len() + SYNONYMS.len()], 0);
    while at < words.len() {
        let (text, keyword) = if at < Keyword::ALL.len() {
            (Keyword::ALL[at].as_bytes(), Keyword::ALL[at])
        } else {
            SYNONYMS[at - Keyword::ALL.len()]
        };
        (words[at].length, words[at].keyword) = (text.len(), keyword);
        let mut byte = 0;
        while byte < text.len() {
            words[at].text[byte] = text[byte].to_ascii_lowercase();
            byte += 1;
        }
        at += 1;
    }
    words
}

/// For each slot of a hash the place in [`WORDS`] of the one word that may have it.
static SLOTS: [u8; 1 << WordHash::BITS] = slots();

/// No word has the slot.
const FREE: u8 = u8::MAX;

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "it runs when it is compiled, and fails there"
)]
const fn slots() -> [u8; 1 << WordHash::BITS] {
    let (words, mut slots, mut at) = (words(), [FREE; 1 << WordHash::BITS], 0);
    assert!(words.len() < FREE as usize, "a place is kept in a byte");
    while at < words.len() {
        let (mut hash, mut byte) = (WordHash(0), 0);
        while byte < words[at].length {
            hash = hash.with(words[at].text[byte]);
            byte += 1;
        }
        assert!(slots[hash.slot()] == FREE, "two keywords have one slot: another factor is needed");
        slots[hash.slot()] = at as u8;
        at += 1;
    }
    slots
}

impl Keyword {
    /// The first release in which the word is a keyword; before, it is a word like any other.
    pub const fn since(self) -> Release {
        match self {
            Self::Hashed => Release::V4_1,
            Self::Ann
            | Self::Cidrs
            | Self::Identity
            | Self::Masked
            | Self::MaxWriteTime
            | Self::SelectMasked
            | Self::Unmask
            | Self::Vector => Release::V5_0,
            _ => Release::V4_0,
        }
    }

    /// The keyword that `word` is, in any ASCII case. TRUE and FALSE are no keywords but constants.
    pub fn lookup(word: &[u8]) -> Option<Self> {
        let hash = word.iter().fold(WordHash::default(), |hash, byte| hash.with(folded(*byte)));
        Self::hashed(word, 0, word.len(), hash)
    }

    /// The same, of the word from `start` to `end`, whose hash is known.
    pub(super) fn hashed(bytes: &[u8], start: usize, end: usize, hash: WordHash) -> Option<Self> {
        let known = WORDS.get(usize::from(*SLOTS.get(hash.slot())?))?;
        if end - start != known.length {
            return None;
        }
        let word = bytes.get(start..end)?;
        let same = word.iter().zip(&known.text).all(|(byte, known)| folded(*byte) == *known);
        same.then_some(known.keyword)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_found_in_any_case_and_fits() {
        for &keyword in Keyword::ALL {
            let word = keyword.as_bytes();
            assert_eq!(Keyword::lookup(word), Some(keyword));
            assert_eq!(Keyword::lookup(&word.to_ascii_lowercase()), Some(keyword));
        }
        assert_eq!(Keyword::ALL.len(), 56 + 96, "reserved without TRUE, FALSE and synonyms; others");
    }

    #[test]
    fn releases_know_so_many_words() {
        let words = |release| Keyword::ALL.iter().filter(|keyword| keyword.since() <= release).count();
        assert_eq!(Release::ALL.map(words), [56 + 87, 56 + 88, 56 + 96]);
    }

    #[test]
    fn versions_belong_to_releases() {
        for (version, release) in [
            ("3.11.19", Some(Release::V4_0)),
            ("4.0.19", Some(Release::V4_0)),
            ("4.1.10", Some(Release::V4_1)),
            ("4.1-SNAPSHOT", Some(Release::V4_1)),
            ("5.0.9", Some(Release::V5_0)),
            ("5.0-rc1", Some(Release::V5_0)),
            ("5.1-SNAPSHOT", Some(Release::Later)),
            ("6.0", Some(Release::Later)),
            ("", None),
            ("5", None),
            ("5.", None),
            ("x.y", None),
        ] {
            assert_eq!(Release::of_version(version), release, "{version}");
        }
    }

    #[test]
    fn no_other_word_is_a_keyword() {
        for word in ["", "SELECTS", "sel", "true", "COLUMNFAMILYX", "SUPERUSERS", "BETWEEN", "K\u{212a}"] {
            assert_eq!(Keyword::lookup(word.as_bytes()), None, "{word}");
        }
    }
}
