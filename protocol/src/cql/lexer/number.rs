//! Numbers, and what begins like one or like a word: durations and UUIDs.
//!
//! Cassandra's lexer is predictive and never backs up: as long as any rule could still continue, it goes
//! on, and when none can, the text so far must be a whole token. `1AND` is therefore an error (the `A`
//! could only continue a UUID), while `1LIMIT` is two tokens. Numbers below follow that rule literally.

use super::{BAD, TokenKind};

fn digits(rest: &[u8]) -> usize {
    rest.iter().take_while(|b| b.is_ascii_digit()).count()
}

/// A number from byte `start` on, sign included, and its end. Every rule that starts with a digit is followed as
/// far as it can go; the one that got farthest must have come to its end there.
#[expect(clippy::inline_always, reason = "measured")]
#[inline(always)]
pub(super) fn number(bytes: &[u8], start: usize) -> (TokenKind, usize) {
    let sign = usize::from(bytes.get(start) == Some(&b'-'));
    let mut end = start + sign;
    while bytes.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    // What most numbers are: no other rule goes on behind the digits.
    if !bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | 0xC2)) {
        return (TokenKind::Integer, end);
    }
    let (kind, length) = odd_number(bytes.get(start..).unwrap_or_default(), sign, end - start);
    (kind, start + length)
}

/// A number with more than a sign and digits, which end at byte `integer`.
#[inline(never)]
fn odd_number(rest: &[u8], sign: usize, integer: usize) -> (TokenKind, usize) {
    let at = |position: usize| rest.get(position).copied();
    let from = |position: usize| rest.get(position..).unwrap_or_default();

    if at(integer) == Some(b'.') {
        if at(integer + 1) == Some(b'.') {
            // `1..2` is a slice of integers; `1...2` starts with the float `1.`.
            return if at(integer + 2) == Some(b'.') {
                (TokenKind::Float, integer + 1)
            } else {
                (TokenKind::Integer, integer)
            };
        }
        let fraction = integer + 1 + digits(from(integer + 1));
        return match exponent(from(fraction)) {
            Run { alive, whole: true } => (TokenKind::Float, fraction + alive),
            Run { alive: 0, .. } => (TokenKind::Float, fraction),
            Run { alive, .. } => (BAD, fraction + alive),
        };
    }
    if sign == 0 && integer == 1 && at(0) == Some(b'0') && matches!(at(1), Some(b'x' | b'X')) {
        let hex = from(2).iter().take_while(|b| b.is_ascii_hexdigit()).count();
        return (TokenKind::Hex, 2 + hex);
    }

    let power = exponent(from(integer));
    let span = duration(from(sign));
    let id = if sign == 0 { uuid(rest) } else { 0 };
    let farthest = integer.max(integer + power.alive).max(sign + span.alive).max(id);
    if id == 36 {
        (TokenKind::Uuid, 36)
    } else if span.whole && sign + span.alive == farthest {
        (TokenKind::Duration, farthest)
    } else if power.whole && integer + power.alive == farthest {
        (TokenKind::Float, farthest)
    } else if integer == farthest {
        (TokenKind::Integer, integer)
    } else {
        (BAD, farthest)
    }
}

/// How far a rule could follow a text, and whether it came to its end there.
#[derive(Clone, Copy)]
struct Run {
    alive: usize,
    whole: bool,
}

/// `e`, a sign perhaps, digits.
fn exponent(rest: &[u8]) -> Run {
    if !matches!(rest.first(), Some(b'e' | b'E')) {
        return Run { alive: 0, whole: false };
    }
    let sign = usize::from(matches!(rest.get(1), Some(b'+' | b'-')));
    let count = digits(rest.get(1 + sign..).unwrap_or_default());
    Run { alive: 1 + sign + count, whole: count > 0 }
}

/// `1h30m`: digits, which it starts with, and a unit, as often as there are digits.
fn duration(rest: &[u8]) -> Run {
    let mut position = 0;
    loop {
        let count = digits(rest.get(position..).unwrap_or_default());
        if count == 0 {
            return Run { alive: position, whole: true };
        }
        position += count;
        let mut unit = [0_u8; 3];
        for (to, from) in unit.iter_mut().zip(rest.get(position..).unwrap_or_default()) {
            *to = from.to_ascii_lowercase();
        }
        position += match unit {
            [b'm', b'o' | b's', _] | [b'u' | b'n', b's', _] => 2,
            // MICRO SIGN (U+00B5) in UTF-8, and no other mu. Lower-casing leaves these bytes alone.
            [0xC2, 0xB5, b's'] => 3,
            [b'y' | b'w' | b'd' | b'h' | b'm' | b's', _, _] => 1,
            [b'u' | b'n', _, _] => return Run { alive: position + 1, whole: false },
            [0xC2, 0xB5, _] => return Run { alive: position + 2, whole: false },
            _ => return Run { alive: position, whole: false },
        };
    }
}

/// How many bytes of `rest` agree with the form of a UUID; 36 is a whole one.
pub(super) fn uuid(rest: &[u8]) -> usize {
    rest.iter()
        .take(36)
        .enumerate()
        .take_while(|(index, byte)| match index {
            8 | 13 | 18 | 23 => **byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
        .count()
}

/// `P2012-01-01T00:00:00`, to which `P`, four digits and a minus sign commit: its length, or where it
/// breaks off. `None` if it is not begun.
pub(super) fn iso_alternative(rest: &[u8]) -> Option<Result<usize, usize>> {
    const FORM: &[u8] = b"P0000-00-00T00:00:00";
    let same = rest
        .iter()
        .zip(FORM)
        .take_while(|(byte, form)| if **form == b'0' { byte.is_ascii_digit() } else { byte == form })
        .count();
    match same {
        20 => Some(Ok(same)),
        6.. => Some(Err(same)),
        _ => None,
    }
}

/// Whether the whole word is a duration such as `P1Y2M3DT4H5M6S`, `PT1H` or `P1W`; upper case only.
pub(super) fn is_iso_duration(word: &[u8]) -> bool {
    let Some(mut rest) = word.strip_prefix(b"P") else { return false };
    if unit(&mut rest, b'W') {
        return rest.is_empty();
    }
    // After years months may be left out and days given, so order is all that matters.
    let date = [b'Y', b'M', b'D'].map(|letter| unit(&mut rest, letter)).contains(&true);
    let Some(time) = rest.strip_prefix(b"T") else { return date && rest.is_empty() };
    rest = time;
    // `T1H2S` is fine: minutes are optional behind hours, as are seconds behind minutes.
    let time = [b'H', b'M', b'S'].map(|letter| unit(&mut rest, letter)).contains(&true);
    time && rest.is_empty()
}

/// Passes over digits and the letter behind them, if that is what stands there.
fn unit(rest: &mut &[u8], letter: u8) -> bool {
    let count = digits(rest);
    let found = count > 0 && rest.get(count) == Some(&letter);
    if found {
        *rest = rest.get(count + 1..).unwrap_or_default();
    }
    found
}
