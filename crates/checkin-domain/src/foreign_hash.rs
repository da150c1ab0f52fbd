//! Recognizes texts that look like the hash of a password, of any kind.

use unicode_normalization::UnicodeNormalization;

use crate::text::is_invisible;

/// Names of algorithms that other programs write before a salt or a digest, in lower case.
const ALGORITHMS: [&str; 18] = [
    "argon2",
    "argon2d",
    "argon2i",
    "argon2id",
    "bcrypt",
    "blake2b",
    "crypt",
    "hmac",
    "md4",
    "md5",
    "pbkdf2",
    "phpass",
    "scram",
    "scrypt",
    "sha",
    "ssha",
    "whirlpool",
    "yescrypt",
];

/// Minimum number of consecutive hexadecimal digits of a digest (128 bits).
const SHORTEST_HEX: usize = 32;

/// Minimum length of a digest (128 bits) in base64 without padding.
const SHORTEST_BASE64: usize = 22;

/// Returns whether a text looks like the hash of a password, or like the mark of a locked account. It
/// is also true for some passwords. If a hash were loaded as a password, everybody who can read the hash
/// could log in, so the caller must ask.
pub(super) fn looks_like_hash(text: &str) -> bool {
    let text = visible(text);
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'));
    if is_lock(text) || holds_modular(text) || holds_digest(text) {
        return true;
    }
    text.bytes().all(|byte| byte.is_ascii_graphic())
        && (is_modular(text)
            || is_ldap(text)
            || is_named(text)
            || is_salted(text)
            || is_padded_base64(text)
            || is_bsdi(text))
}

/// Returns the visible text. A hash is still a hash after a byte order mark, with a line end, and in
/// characters of another width.
fn visible(text: &str) -> String {
    let is_shown = |c: &char| *c == ' ' || !(is_invisible(*c) || c.is_control());
    text.nfkc().filter(is_shown).collect()
}

/// `!`, `*`, `*LK*`, `!$6$salt$…`, `!` before random letters: the mark of a locked account.
fn is_lock(text: &str) -> bool {
    text.starts_with(['!', '*'])
}

/// A known hash, also after other text.
fn holds_modular(text: &str) -> bool {
    let marks = ["$2$", "$2a$", "$2b$", "$2x$", "$2y$", "$argon2", "$scrypt$", "$pbkdf2"];
    marks.iter().any(|mark| text.contains(mark))
}

/// A digest alone, or after or before other text: a salt, a name, MySQL's star, `0x`.
fn holds_digest(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_hexdigit()).any(|digits| digits.len() >= SHORTEST_HEX)
}

/// `$1$…`, `$P$…`, and the same without the first dollar or after a name: `rounds=5000$salt$hash`,
/// `name:abc$def`.
fn is_modular(text: &str) -> bool {
    let begins = text.strip_prefix('$').is_some_and(|rest| rest.contains('$'));
    let mut parts = text.split('$');
    let is_named = parts.next().is_some_and(|name| name.contains(':'));
    let given = text.split('$').take_while(|part| !part.is_empty()).count();
    begins || given >= if is_named { 2 } else { 3 }
}

/// `{SSHA}…`, as in LDAP and Spring.
fn is_ldap(text: &str) -> bool {
    let scheme = text.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    scheme.is_some_and(|(name, digest)| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        !name.is_empty() && !digest.is_empty() && name.bytes().all(is_name)
    })
}

/// `pbkdf2_sha256$…`, `scrypt:32768:8:1$…`, `SCRAM-SHA-256$…`, `sha1:64000:18:…`, `grub.pbkdf2.sha512.…`.
fn is_named(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    // The characters that end a name, and those inside a name: `sha256` and `sha-256` are of the family `sha`.
    let Some((name, _)) = lower.split_once(['$', ':', '|', ';', ',']).or(lower.rsplit_once('.'))
    else {
        return false;
    };
    name.split(|c: char| c.is_ascii_punctuation()).any(|word| {
        let family = word.trim_end_matches(|c: char| c.is_ascii_digit());
        ALGORITHMS.contains(&word) || ALGORITHMS.contains(&family)
    })
}

/// A salt, or any name, before a digest in base64: `salt$digest`.
fn is_salted(text: &str) -> bool {
    let is_digest = |part: &str| {
        let part = part.trim_end_matches('=');
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/._-".contains(&byte);
        part.len() >= SHORTEST_BASE64 && part.bytes().all(is_base64)
    };
    let last = text.split('$').next_back().unwrap_or_default();
    text.contains('$') && last.split(':').any(is_digest)
}

/// Base64 with padding, of 128 bits or more.
fn is_padded_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    digits.len() < text.len()
        && text.len().is_multiple_of(4)
        && digits.len() >= SHORTEST_BASE64
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// The extended DES of BSD: `_`, then 19 characters of its own base64.
fn is_bsdi(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    text.len() == 20 && text.strip_prefix('_').is_some_and(|rest| rest.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_all_kinds_are_recognised() {
        let (md5, sha1) =
            ("5f4dcc3b5aa765d61d8327deb882cf99", "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8");
        for text in [
            "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
            "$5$rounds=5000$salt$hash",
            "$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.",
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
            "$7$CU..../....salt$hash",
            "$2$05$hash",
            "$2x$05$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce",
            " $2b$05$UHtyI/tJ1cK5EjTCkQi6geBXH3dnC5tKcZT6l.pjA4av9FinGSGce\n",
            "bcrypt$$2b$12$LJ3m4ys3Lk0TSwHlvA6UXu",
            "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG",
            "argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdA$aGFzaA",
            "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
            "$pbkdf2-sha256$6400$0ZrzXitFSGltTQnBWOsdYw$Y11AchqV4b0sUisdZd0Xr97KWoymNE0LNNrnEgY4H9M",
            "pbkdf2_sha256$260000$salt$YWJjZA==",
            "pbkdf2:sha256:260000$salt$0123456789abcdef",
            "scrypt:32768:8:1$salt$0123",
            "$P$B4UkcAm0Nv0ZjJ3zYlDpDkDWwPnIA/0",
            "$H$9abcdefgh",
            "$S$D1q",
            "$apr1$8sFt66rZ$RAnZ0F0ybOOnELxEQFqMk1",
            "$3$$8846f7eaee8fb117ad06bdd830b7586c",
            "sha1$salt$0123",
            "md5$salt$0123",
            "unsalted_md5$$0123",
            "SCRAM-SHA-256$4096:c2FsdA==$a:b",
            "sha1:64000:18:c2FsdA:aGFzaA",
            "hmac-sha256:salt:hash",
            "{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3",
            "{SHA512}x",
            "{CRYPT}$6$x",
            "{noop}secret",
            md5,
            sha1,
            &sha1.to_uppercase(),
            &md5.repeat(2),
            &md5.repeat(3),
            &md5.repeat(4),
            &format!("md5{md5}"),
            &format!("*{sha1}"),
            &format!("0x0100{sha1}"),
            &format!("{md5}:salt"),
            &format!("salt:{sha1}"),
            &format!("salt${sha1}"),
            "X03MO1qnZdYdgyfeuILPmQ==",
            "W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "AQAAAAEAACcQAAAAEJ4nTJx3sVGq2VMCqaYH0wmPp3LUd1bFQJZ2V8Z0Jc0hQ8jFvJpA6wJ8p2lVbYwPQA==",
            "_J9..rasmBYk8r9AiWNc",
            "!",
            "*",
            "!!",
            "!*",
            "*LK*",
            "*NP*",
            "*0",
            " !locked",
            "\u{ff01}",
            "!kPJ3f0aZ5xYv1nQe7mWcT9bR2sLhU8dG4oXiNqVA",
            "!$6$salt$hash",
            &format!("grub.pbkdf2.sha512.10000.{sha1}.{sha1}"),
            "grub.pbkdf2.sha512.10000.salt.hash",
            &format!("v1;PPH1_MD4,salt,100,{sha1};"),
            &format!("-pbkdf2-{sha1},salt,10"),
            &format!("{sha1}|salt"),
            &format!("salt {md5}"),
            "pbkdf2|1000|salt|hash",
            "\u{feff}$argon2id$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA",
            "\u{200b}{SSHA}x",
            "\u{a0}$6$salt$hash\u{3000}",
            "$6$\u{ad}salt$ha\nsh",
            "\"$6$salt$hash\"",
            "\u{ff04}argon2id\u{ff04}v=19\u{ff04}m=64",
            "\u{ff04}6\u{ff04}salt\u{ff04}hash",
            "secret$salt$hashhash",
            "rounds=5000$salt$hash",
            "s2:abc$def",
        ] {
            assert!(looks_like_hash(text), "{text:?}");
        }
    }

    #[test]
    fn passwords_are_not_recognised_as_hashes() {
        for text in [
            "",
            "secret123",
            "$ecret",
            "pa$$word",
            "Pa$$w0rd$",
            "wow!*",
            "550e8400-e29b-41d4-a716-446655440000",
            "mind.the.gap",
            "secret$123",
            "100$ and 200$",
            "$1 for me, $2 for you",
            "correct horse battery staple",
            "a:b:c",
            "deadbeef",
            "0xdeadbeef",
            "{curly",
            "}{",
            "md5",
            "sha256",
            "shadow$1",
            "cryptic:1",
            "password=",
            "_underscored",
            "пароль$пароль$пароль",
            "Tr0ub4dor&3",
            "8vJ2kQ9xLm4Zp7Rw3Tn6Yb",
        ] {
            assert!(!looks_like_hash(text), "{text:?}");
        }
    }
}
