//! Texts by chance: statements of a grammar, what mutation makes of them and of others, differently dressed.

mod dress;
mod mutate;
mod notation;
mod random;
mod words;

pub use dress::{dressed, plain};
pub use mutate::{mutated, tokens};
pub use notation::Grammar;
pub use random::Random;

/// The grammar of CQL.
pub fn cql() -> Grammar {
    Grammar::new(include_str!("cql.grammar"))
}

/// `count` texts, the same for the same seed: a third as the grammar has them, a third mutated, a third
/// mutated from `corpus`.
pub fn texts(seed: u64, count: usize, corpus: &[String]) -> Vec<String> {
    let grammar = cql();
    let mut random = Random::new(seed);
    let corpus: Vec<_> = corpus.iter().map(|text| tokens(text)).collect();
    (0..count)
        .map(|index| {
            let mut statement = grammar.sentence("statement", &mut random);
            if index % 3 == 0 {
                return dressed(&statement, &mut random);
            }
            if index % 3 == 2
                && let Some(other) = random.pick(&corpus)
            {
                statement.clone_from(other);
            }
            let others = grammar.sentence("statement", &mut random);
            for _ in 0..=random.below(2) {
                statement = mutated(&statement, &others, &grammar, &mut random);
            }
            dressed(&statement, &mut random)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_whole() {
        assert_eq!(cql().missing(), Vec::<String>::new());
    }

    #[test]
    fn a_seed_always_gives_the_same_texts_and_every_statement() {
        let texts = texts(1, 6_000, &["SELECT a FROM k.t WHERE k = 'x'".to_owned()]);
        assert_eq!(
            texts.get(..300),
            self::texts(1, 300, &["SELECT a FROM k.t WHERE k = 'x'".to_owned()]).get(..300)
        );
        for beginning in [
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "BEGIN",
            "TRUNCATE",
            "USE",
            "CREATE KEYSPACE",
            "ALTER KEYSPACE",
            "DROP KEYSPACE",
            "CREATE TABLE",
            "ALTER TABLE",
            "DROP TABLE",
            "CREATE INDEX",
            "DROP INDEX",
            "CREATE MATERIALIZED VIEW",
            "CREATE TYPE",
            "ALTER TYPE",
            "DROP TYPE",
            "CREATE FUNCTION",
            "DROP FUNCTION",
            "CREATE AGGREGATE",
            "CREATE TRIGGER",
            "CREATE ROLE",
            "CREATE USER",
            "ADD IDENTITY",
            "GRANT",
            "REVOKE",
            "LIST",
            "DESCRIBE",
            "DESC",
        ] {
            assert!(texts.iter().any(|text| text.starts_with(beginning)), "{beginning}");
        }
    }

    #[test]
    fn tokens_are_cut_where_anybody_would() {
        assert_eq!(
            tokens("SELECT \"a\"\"b\",f('it''s',$$ x $$) /* c */FROM k.t -- d\nWHERE a>=-1.5;"),
            [
                "SELECT",
                "\"a\"\"b\"",
                ",",
                "f",
                "(",
                "'it''s'",
                ",",
                "$$ x $$",
                ")",
                "FROM",
                "k",
                ".",
                "t",
                "WHERE",
                "a",
                ">=",
                "-1.5",
                ";"
            ]
        );
        assert_eq!(tokens("'open"), ["'open"]);
    }
}
