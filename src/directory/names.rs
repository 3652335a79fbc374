//! How names are compared where case does not count.

use std::sync::Arc;

use icu_normalizer::ComposingNormalizerBorrowed;

/// The form in which `userName` and `displayName` are compared and kept unique: NFC of the text without
/// case (RFC 8265 `UsernameCaseMapped`, which RFC 7644 5 asks for). By way of upper case, so that letters
/// with several lower-case forms meet in one.
pub fn fold(name: &str) -> Arc<str> {
    if name.is_ascii() {
        return name.to_ascii_lowercase().into();
    }
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    let folded: String = nfc
        .normalize(name)
        .chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    nfc.normalize(&folded).as_ref().into()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn case_and_composition_do_not_count() {
        for (one, other) in [
            ("Alice@Example.com", "alice@EXAMPLE.com"),
            ("Zo\u{eb}", "zoe\u{308}"),
            ("STRASSE", "stra\u{df}e"),
            ("\u{212a}elvin", "kelvin"),
            ("\u{3a3}\u{3c2}\u{3c3}", "\u{3c3}\u{3c3}\u{3c3}"),
            ("\u{17f}am", "SAM"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("alice"), fold("\u{430}lice"), "a Cyrillic letter is another letter");
        assert_ne!(fold("alice "), fold("alice"));
    }

    #[test]
    fn folding_again_changes_nothing() {
        for name in ["\u{130}stanbul", "\u{1e9e}", "\u{1f88}x", "\u{fb03}"] {
            assert_eq!(fold(name), fold(&fold(name)), "{name}");
        }
    }
}
