//! The words of a name, and the one form in which names are compared.
//!
//! A name is found by typing it: in upper or lower case, in any Unicode normal form, with or without
//! accents. All code that compares names uses [`folded`], or the words below, which are made of it.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Returns the text without the differences that people do not type: compatibility forms (`ﬁ`, full
/// width), case (full case folding: `ß` is `ss`), accents, invisible characters, and the strokes and
/// ligatures that Unicode does not take apart (`ø` is `o`, `æ` is `ae`).
///
/// Marks that make another letter stay: vowel signs and viramas of Indic scripts, Thai vowels and
/// tones, Japanese voicing marks.
pub fn folded(text: &str) -> String {
    let lower = text.nfkd().flat_map(without_case);
    let bare = lower.nfkd().filter(|character| !is_accent(*character) && !is_unseen(*character));
    let mut plain = String::with_capacity(text.len());
    for character in bare {
        match without_stroke(character) {
            Some(letters) => plain.push_str(letters),
            None => plain.push(character),
        }
    }
    plain.nfc().collect()
}

/// Returns the words that a search looks for: runs of letters and digits, and each emoji or other
/// symbol by itself. If a text has none of them (`!!!`), all its visible characters
/// are one word.
pub fn words(text: &str) -> Vec<String> {
    let folded = folded(text);
    let words = folded.split_whitespace().flat_map(words_of_chunk).collect();
    or_all_that_is_seen(words, &folded)
}

/// Returns the words under which a name is found, each once: its [`words`], and the text between
/// two blanks as one word, so that `ohara` finds O'Hara and `coop` finds Co-op.
pub fn index_words(name: &str) -> Vec<String> {
    let folded = folded(name);
    let mut found = Vec::new();
    for chunk in folded.split_whitespace() {
        let words = words_of_chunk(chunk);
        if words.len() > 1 {
            found.push(words.concat());
        }
        found.extend(words);
    }
    let mut found = or_all_that_is_seen(found, &folded);
    found.sort_unstable();
    found.dedup();
    found
}

fn words_of_chunk(chunk: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    for character in chunk.chars() {
        if is_letter_or_digit(character) {
            word.push(character);
            continue;
        }
        words.push(std::mem::take(&mut word));
        if character.general_category() == GeneralCategory::OtherSymbol {
            words.push(character.to_string());
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn or_all_that_is_seen(words: Vec<String>, folded: &str) -> Vec<String> {
    let all: String = folded.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    if words.is_empty() && !all.is_empty() { vec![all] } else { words }
}

/// Returns whether the character is part of a word. Marks are, because they belong to the letter before
/// them. Letters that are used as apostrophes (Hawaiʻi) are not, because people type an apostrophe or
/// nothing.
fn is_letter_or_digit(character: char) -> bool {
    let apostrophe = matches!(character, '\u{2b9}'..='\u{2bf}');
    (character.is_alphanumeric() || is_combining_mark(character)) && !apostrophe
}

/// Returns the full case folding. For some letters, only the conversion to upper case finds the other
/// forms (`ς` and `σ`, `ı` and `i`), for others only that to lower case (`ẞ`, the Kelvin sign).
fn without_case(character: char) -> impl Iterator<Item = char> {
    let lower = character.to_lowercase();
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// Returns whether this is a mark above, below or through a letter, by its canonical combining class.
/// Nuktas, voicing marks, viramas, and the vowels and tones of Telugu, Thai, Lao and Tibetan are not
/// accents.
fn is_accent(character: char) -> bool {
    is_combining_mark(character)
        && !matches!(canonical_combining_class(character), 0 | 6..=9 | 84..=132)
}

/// Returns whether the character is not visible by itself: formatting, joiners, variation selectors,
/// fillers, the stroke that lengthens Arabic words, and frames around other characters.
fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{34f}' | '\u{640}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
    ) || matches!(
        character.general_category(),
        GeneralCategory::Format | GeneralCategory::EnclosingMark
    )
}

fn without_stroke(character: char) -> Option<&'static str> {
    Some(match character {
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ħ' => "h",
        'ł' => "l",
        'ŧ' => "t",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits_without_case_and_accents() {
        for (text, expected) in [
            ("", ""),
            (" \0\t", ""),
            ("-*\"(", "-*\"("),
            ("Quillback Coffee", "quillback coffee"),
            ("Zoë's Café & Bar №5", "zoe s cafe bar no5"),
            ("CAFE\u{301}\0bar", "cafe bar"),
            ("ÅNGSTRÖM İstanbul KADIKÖY Kadıköy ﬁn", "angstrom istanbul kadikoy kadikoy fin"),
            ("Straße STRASSE GROẞ", "strasse strasse gross"),
            ("Ærø Łódź Þórr Œuf Đà Nẵng", "aero lodz thorr oeuf da nang"),
            ("Москва ΟΔΟΣ Καφές 서울 東京", "москва οδοσ καφεσ 서울 東京"),
            ("ｃａｆｅ ① ｻｳﾅ", "cafe 1 サウナ"),
            ("ガーデン がか", "ガーデン がか"),
            ("กาแฟที่รัก", "กาแฟที่รัก"),
            ("क्षत्रिय भवन", "क्षत्रिय भवन"),
            ("مَقْهَى مـقـهى بَيْت", "مقهى مقهى بيت"),
            ("בֵּית קָפֶה", "בית קפה"),
            ("O'Hara O’Hara Hawaiʻi Co-op", "o hara o hara hawai i co op"),
            ("Pizza🍕Bar ☕\u{fe0f} 👍🏽", "pizza 🍕 bar ☕ 👍"),
            ("C++ C# 24/7 !!!", "c c 24 7"),
            ("!!!", "!!!"),
            ("می\u{200c}خواهم so\u{ad}ft", "میخواهم soft"),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text:?}");
        }
    }

    #[test]
    fn a_name_is_found_under_its_words_and_without_its_punctuation() {
        for (name, expected) in [
            ("O’Hara's Bar", "bar hara o oharas s"),
            ("Co-op co-op", "co coop op"),
            ("Hawaiʻi", "hawai hawaii i"),
            ("- !", "-!"),
            ("Bar - Bar", "bar"),
        ] {
            assert_eq!(index_words(name).join(" "), expected, "{name:?}");
        }
    }

    /// Each character is tested between two letters. Those of private use have no other forms.
    #[test]
    fn every_character_is_the_same_in_each_case_and_each_normal_form() {
        use GeneralCategory::{PrivateUse, Unassigned};
        let mut differ = Vec::new();
        for character in '\0'..='\u{1ffff}' {
            if matches!(character.general_category(), PrivateUse | Unassigned) {
                continue;
            }
            let text = format!("a{character}b");
            let forms: [String; 5] = [
                text.to_uppercase(),
                text.to_lowercase(),
                text.nfc().collect(),
                text.nfd().collect(),
                text.nfkd().collect(),
            ];
            let others: Vec<&String> = forms.iter().filter(|form| **form != text).collect();
            if others.iter().any(|form| folded(form) != folded(&text)) {
                differ.push(text);
            }
        }
        assert_eq!(differ, [""; 0]);
    }
}
