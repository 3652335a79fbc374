//! The notation of `cql.grammar`, and sentences of what is written in it.

use std::collections::HashMap;
use std::iter::Peekable;

use super::random::Random;
use super::words::{RESERVED, UNRESERVED};

/// What a rule is made of.
#[derive(Clone, Debug)]
enum Part {
    /// A token that stands for itself.
    Token(String),
    /// Another rule, or `@word` and `@keyword`.
    Rule(String),
    Optional(Box<Choice>),
    Any(Box<Part>),
    /// At least one, and this between two.
    List(Box<Part>, &'static str),
}

/// Alternatives, each a sequence.
#[derive(Clone, Debug)]
struct Choice(Vec<Vec<Part>>);

/// A grammar: rules by name.
#[derive(Clone, Debug)]
pub struct Grammar(HashMap<String, Choice>);

/// From this depth on a sentence only gets shorter.
const DEPTH: usize = 14;
/// No sentence has more tokens, by and large.
const LENGTH: usize = 120;

impl Grammar {
    /// Reads the notation. What it does not understand is taken for a rule without sentences.
    pub fn new(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(
            lines
                .filter_map(|line| line.split_once(" = "))
                .map(|(name, rule)| {
                    let words = words(rule);
                    (name.to_owned(), choice(&mut words.into_iter().peekable()))
                })
                .collect(),
        )
    }

    /// Names of rules that are used and not there.
    pub fn missing(&self) -> Vec<String> {
        fn of_choice(choice: &Choice, grammar: &Grammar, missing: &mut Vec<String>) {
            for part in choice.0.iter().flatten() {
                of_part(part, grammar, missing);
            }
        }
        fn of_part(part: &Part, grammar: &Grammar, missing: &mut Vec<String>) {
            match part {
                Part::Token(_) => {}
                Part::Rule(name) if name.starts_with('@') || grammar.0.contains_key(name) => {}
                Part::Rule(name) => missing.push(name.clone()),
                Part::Optional(choice) => of_choice(choice, grammar, missing),
                Part::Any(part) | Part::List(part, _) => of_part(part, grammar, missing),
            }
        }
        let mut missing = Vec::new();
        for choice in self.0.values() {
            of_choice(choice, self, &mut missing);
        }
        missing
    }

    /// The tokens of a sentence of a rule.
    pub fn sentence(&self, rule: &str, random: &mut Random) -> Vec<String> {
        let mut tokens = Vec::new();
        self.rule(rule, random, 0, &mut tokens);
        tokens
    }

    fn rule(&self, name: &str, random: &mut Random, depth: usize, tokens: &mut Vec<String>) {
        match name {
            "@word" => tokens.extend(random.pick(UNRESERVED).map(|word| (*word).to_owned())),
            "@keyword" => {
                let words = if random.once_in(2) { RESERVED } else { UNRESERVED };
                tokens.extend(random.pick(words).map(|word| (*word).to_owned()));
            }
            _ => {
                if let Some(choice) = self.0.get(name) {
                    self.choice(choice, random, depth + 1, tokens);
                }
            }
        }
    }

    fn choice(&self, choice: &Choice, random: &mut Random, depth: usize, tokens: &mut Vec<String>) {
        let ends = depth >= DEPTH || tokens.len() >= LENGTH;
        let index = if ends { 0 } else { random.below(choice.0.len()) };
        for part in choice.0.get(index).into_iter().flatten() {
            self.part(part, random, depth, tokens);
        }
    }

    fn part(&self, part: &Part, random: &mut Random, depth: usize, tokens: &mut Vec<String>) {
        let ends = depth >= DEPTH || tokens.len() >= LENGTH;
        match part {
            Part::Token(token) => tokens.push(token.clone()),
            Part::Rule(name) => self.rule(name, random, depth, tokens),
            Part::Optional(choice) => {
                if !ends && random.once_in(3) {
                    self.choice(choice, random, depth, tokens);
                }
            }
            Part::Any(part) => {
                while !ends && tokens.len() < LENGTH && !random.once_in(3) {
                    self.part(part, random, depth, tokens);
                }
            }
            Part::List(part, between) => {
                self.part(part, random, depth, tokens);
                while !ends && tokens.len() < LENGTH && random.once_in(3) {
                    tokens.push((*between).to_owned());
                    self.part(part, random, depth, tokens);
                }
            }
        }
    }
}

/// The words of a rule; what is in quotes is one, `''` in it a quote.
fn words(rule: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = rule.trim_start();
    while !rest.is_empty() {
        let end = if rest.starts_with('\'') {
            let mut at = 1;
            loop {
                at += rest.get(at..).and_then(|body| body.find('\'')).map_or(rest.len(), |found| found + 1);
                if !rest.get(at..).is_some_and(|behind| behind.starts_with('\'')) {
                    break at;
                }
                at += 1;
            }
        } else {
            rest.find([' ', ']', ')', '*', '%', '&']).map_or(rest.len(), |found| found.max(1))
        };
        let end = if rest.starts_with('[') { 1 } else { end.min(rest.len()) };
        let (word, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    words
}

fn choice(words: &mut Peekable<std::vec::IntoIter<String>>) -> Choice {
    let mut alternatives = vec![Vec::new()];
    while let Some(word) = words.next() {
        let part = match word.as_str() {
            "|" => {
                alternatives.push(Vec::new());
                continue;
            }
            "]" => break,
            "[" => Part::Optional(Box::new(choice(words))),
            quoted if quoted.starts_with('\'') => {
                let inner = quoted.strip_prefix('\'').and_then(|w| w.strip_suffix('\'')).unwrap_or(quoted);
                Part::Token(inner.replace("''", "'"))
            }
            capitals if capitals.starts_with(|c: char| c.is_ascii_uppercase()) => Part::Token(word),
            _ => Part::Rule(word),
        };
        let part = match words.peek().map(String::as_str) {
            Some("*") => Part::Any(Box::new(part)),
            Some("%") => Part::List(Box::new(part), ","),
            Some("&") => Part::List(Box::new(part), "AND"),
            _ => {
                alternatives.last_mut().into_iter().for_each(|last| last.push(part.clone()));
                continue;
            }
        };
        words.next();
        alternatives.last_mut().into_iter().for_each(|last| last.push(part.clone()));
    }
    Choice(alternatives)
}
