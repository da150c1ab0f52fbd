//! Locations by the words of their names.

use unicode_normalization::UnicodeNormalization;

use super::*;
use crate::MAX_SEARCH_WORDS;
use checkin_domain::words::{index_words, words};

async fn load(storage: &dyn Storage, names: &[&str]) {
    let places: Vec<Location> =
        (1..).zip(names).map(|(id, name)| place(id, name, 0.0, 0.0)).collect();
    storage.load_locations(&places).await.unwrap();
}

async fn found(storage: &dyn Storage, words: &str) -> Vec<u64> {
    let places = storage.search_locations(words, first(100)).await.unwrap().locations;
    assert!(places.iter().all(|place| place.rank == place.item.id.get()));
    places.iter().map(|place| place.rank).collect()
}

/// Returns the ids of all locations that are found, page by page.
async fn all_found(storage: &dyn Storage, words: &str, limit: usize) -> Vec<u64> {
    let page = async |page| storage.search_locations(words, page).await;
    listed_places(limit, page).await.into_iter().map(|(_, id)| id).collect()
}

pub async fn locations_are_found_by_the_words_of_their_names(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let names = [
        "Quillback Coffee",
        "The Coffee-House of Oakland",
        "Café Zoë",
        "Toffee & Co",
        "24/7 Gym",
        "MÜNCHNER STÜBERL",
        "Москва",
        "",
        "サウナ 東京",
        "서울 식당",
        "cafe\u{301} noir",
        "O'Hara",
        "!!!",
        "Große Straße ☕",
    ];
    load(storage, &names).await;
    for (words, ids) in [
        ("coffee", &[1, 2][..]),
        ("COFF", &[1, 2]),
        ("co", &[1, 2, 4]),
        ("offee", &[]),
        ("house coffee", &[2]),
        ("oak, the", &[2]),
        ("coffee coffee coffee", &[1, 2]),
        ("coffee tea", &[]),
        ("cafe", &[3, 11]),
        ("CAFÉ", &[3, 11]),
        ("cafe\u{301} zoe", &[3]),
        ("munchner", &[6]),
        ("Stüb", &[6]),
        ("7 2", &[5]),
        ("МОСК", &[7]),
        ("サウナ", &[9]),
        ("서울", &[10]),
        ("", &[]),
        ("  ", &[]),
        ("ohara", &[12]),
        ("O’HARA", &[12]),
        ("hara", &[12]),
        ("!!", &[13]),
        ("☕", &[14]),
        ("strasse ☕", &[14]),
        // Words after the first eight are ignored.
        ("co co co co co co co co nowhere", &[1, 2, 4]),
    ] {
        assert_eq!(found(storage, words).await, ids, "{words:?}");
    }
    let place =
        storage.search_locations("quill", first(1)).await.unwrap().locations.swap_remove(0).item;
    assert_eq!(storage.location(location_id(1)).await.unwrap(), Some(place));
}

/// Names in many scripts, as people write them.
const NAMES: &[&str] = &[
    "Καφές",
    "ΟΔΟΣ",
    "Όδος Ἀθηνᾶς",
    "ᾠδή",
    "İstanbul Kahvesi",
    "Kadıköy Çay Evi",
    "DİYARBAKIR",
    "ılık",
    "Straße",
    "GROẞE STRASSE",
    "Weißbier",
    "Ærø Bådehavn",
    "Smørrebrød",
    "Æblehaven",
    "Þingvellir",
    "Đà Nẵng",
    "Phở Hà Nội",
    "Łódź Główna",
    "Œuf",
    "Ǆungla",
    "ǆez",
    "ŉ Huis",
    "Café Zoë",
    "Cafe\u{301} Noir",
    "ＣＡＦＥ　ＢＡＲ",
    "ｶﾌｪ",
    "カフェ",
    "ガーデン",
    "がま",
    "かま",
    "東京タワー",
    "東京 駅",
    "咖啡馆",
    "咖啡館",
    "서울 식당",
    "\u{1109}\u{1165}\u{110b}\u{116e}\u{11af}",
    "กาแฟ",
    "กาแฟที่รัก",
    "ร้านน้ำชา",
    "ກາເຟ",
    "កាហ្វេ",
    "ကော်ဖီ",
    "مَقْهَى",
    "مقهى",
    "مـقـهـى",
    "أحمد",
    "آرامش",
    "می\u{200c}خواهم",
    "بَيْت",
    "בֵּית קָפֶה",
    "בית קפה",
    "קפה ״אלף״",
    "कॉफ़ी",
    "क्षत्रिय भवन",
    "কফি ঘর",
    "காபி கடை",
    "కాఫీ",
    "Кофейня",
    "Чайхона й",
    "Ёлка",
    "Ґанок",
    "Їжак",
    "ყავა",
    "Ყავა",
    "Սուրճ",
    "ቡና ቤት",
    "ᏣᎳᎩ",
    "ꭳꮒ",
    "O'Hara",
    "O’Hara",
    "OʼHara",
    "Hawaiʻi",
    "McDonald's",
    "Co-op",
    "Coffee‑House",
    "24/7",
    "C++",
    "C#",
    "AT&T",
    "№ 5",
    "²Go",
    "½ Pint",
    "٣ قهوة",
    "३ चाय",
    "ﬁn ﬂat",
    "Ⅳ Bar",
    "🍕",
    "Pizza 🍕🍕",
    "👩\u{200d}🍳 Kitchen",
    "☕\u{fe0f}",
    "🇳🇱 Bar",
    "👍🏽",
    "!!!",
    "…",
    "$",
    "+",
    "Zürich Süd",
    "ÅNGSTRÖM",
    "K\u{212a}",
    "Ω",
    "x\u{323}\u{307}",
    "x\u{307}\u{323}",
    "so\u{ad}ft",
    "a\u{34f}b",
    "1\u{fe0f}\u{20e3}",
    "𝔉𝔯𝔞𝔨𝔱𝔲𝔯",
    "𐐔𐐯𐑅𐐨𐑉𐐯𐐻",
    "ǅ",
    "ﷺ",
];

pub async fn a_name_in_any_script_is_found_by_typing_it(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    load(storage, NAMES).await;
    for (id, name) in (1..).zip(NAMES) {
        let forms: [String; 7] = [
            (*name).to_owned(),
            name.to_uppercase(),
            name.to_lowercase(),
            name.nfc().collect(),
            name.nfd().collect(),
            name.nfkc().collect(),
            name.nfkd().collect(),
        ];
        let named: Vec<u64> =
            (1..).zip(NAMES).filter(|(_, other)| has(other, name)).map(first_of).collect();
        assert!(named.contains(&id), "{name:?}");
        for typed in &forms {
            assert_eq!(found(storage, typed).await, named, "{typed:?} for {name:?}");
        }
    }
}

fn first_of((id, _): (u64, &&str)) -> u64 {
    id
}

/// Returns whether a name has, for each typed word, a word that begins with it.
fn has(name: &str, typed: &str) -> bool {
    let words = words(typed);
    let index = index_words(name);
    words.iter().take(MAX_SEARCH_WORDS).all(|word| index.iter().any(|name| name.starts_with(word)))
}

pub async fn search_results_are_returned_in_pages(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    // More locations than a store reads at a time, and names that contain a word twice.
    let names: Vec<String> = (1..=1200).map(|id| format!("Bar Bar Bar{id}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    load(storage, &names).await;
    let expected: Vec<_> = (1..=1200).collect();
    for limit in [77, 1000, 5000] {
        assert_eq!(all_found(storage, "bar", limit).await, expected);
    }
    let ids = all_found(storage, "bar bar12", 7).await;
    let expected: Vec<u64> =
        (1..=1200).filter(|id: &u64| id.to_string().starts_with("12")).collect();
    assert_eq!(ids, expected);
}

pub async fn names_behind_many_others_are_found(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let side = |id: u64| if id <= 1500 { "Left" } else { "Right" };
    let mut names: Vec<String> = (1..=3000).map(|id| format!("{} {id}", side(id))).collect();
    names.push("Left Right".to_owned());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    load(storage, &names).await;
    for limit in [100, 5000] {
        assert_eq!(all_found(storage, "r", limit).await, (1501..=3001).collect::<Vec<_>>());
        assert_eq!(all_found(storage, "left right", limit).await, [3001]);
        assert_eq!(all_found(storage, "right 299", limit).await, (2990..=2999).collect::<Vec<_>>());
    }
}

pub async fn a_search_has_no_query_syntax(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    load(storage, &["Near and Not", "Or Name", "Coffee", "100% [Bar]*", "\"*-^'"]).await;
    for (words, ids) in [
        ("\"", &[5][..]),
        ("\"*", &[5]),
        ("*\"", &[]),
        ("*", &[]),
        ("-", &[]),
        ("^", &[]),
        ("\0", &[]),
        ("\u{ffff}\u{10ffff}", &[]),
        ("NEAR(", &[1]),
        ("NEAR(\"coffee\" 2)", &[]),
        ("NOT coffee", &[]),
        ("coffee OR name", &[]),
        ("name: coffee", &[]),
        ("or", &[2]),
        ("-coffee", &[3]),
        ("coffee*", &[3]),
        ("\"coffee", &[3]),
        ("cof\0fee", &[]),
        ("coffee\0", &[3]),
        ("coffee\u{0}3", &[]),
        ("[bar", &[4]),
        ("(100", &[4]),
        ("cof%", &[3]),
    ] {
        assert_eq!(found(storage, words).await, ids, "{words:?}");
    }
    assert_eq!(found(storage, &"coffee ".repeat(10_000)).await, [3]);
    assert_eq!(found(storage, &"x".repeat(100_000)).await, [0; 0]);
}
