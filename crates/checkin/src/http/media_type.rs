//! Media types and media ranges in headers.

/// The optional white space of RFC 9110.
const WHITE_SPACE: [char; 2] = [' ', '\t'];

/// A media type or range with its parameters (RFC 9110, 8.3.1 and 12.5.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MediaType {
    /// The type and the subtype, in lower case.
    pub(super) essence: String,
    /// The parameters: names in lower case, values without quotes.
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Parses a media type. Returns `None` if it does not follow the standard.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = split(text, ';').into_iter().map(|part| part.trim_matches(WHITE_SPACE));
        let essence = parts.next()?.to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        // A parameter may be empty.
        let parts = parts.filter(|part| !part.is_empty());
        Some(Self { parameters: parts.map(parameter).collect::<Option<_>>()?, essence })
    }

    /// Parses a list of media types. Items that do not follow the standard are left out.
    pub(super) fn list(text: &str) -> Vec<Self> {
        split(text, ',').into_iter().filter_map(Self::parse).collect()
    }

    /// Returns the values of a parameter, which should appear once.
    pub(super) fn parameter(&self, name: &str) -> impl Iterator<Item = &str> {
        self.parameters.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

fn parameter(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquoted(quoted.strip_suffix('"')?)?,
        None => is_token(value).then(|| value.to_owned())?,
    };
    is_token(name).then(|| (name.to_ascii_lowercase(), value))
}

/// Returns the text between the quotes, or `None` if it contains a quote or a single backslash.
fn unquoted(text: &str) -> Option<String> {
    let mut chars = text.chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => plain.push(chars.next()?),
            c => plain.push(c),
        }
    }
    Some(plain)
}

/// Splits a text at separators that are not in quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    // Most texts have none.
    if !text.contains(separator) {
        return vec![text];
    }
    let (mut is_quoted, mut is_escaped) = (false, false);
    let at_separator = |c: char| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        c == separator && !is_quoted
    };
    text.split(at_separator).collect()
}

fn is_token(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_follow_the_standard() {
        for (text, essence, charset) in [
            ("application/json", "application/json", None),
            (" Application/JSON\t", "application/json", None),
            ("a/b ; charset=utf-8", "a/b", Some("utf-8")),
            ("a/b;\tCHARSET=UTF-8 ;", "a/b", Some("UTF-8")),
            ("a/b;;charset=\"utf-8\";x=\"1;charset=y\"", "a/b", Some("utf-8")),
            (r#"a/b;charset="\u\tf-8""#, "a/b", Some("utf-8")),
            (r#"a/b;x="\";charset=no\"";charset=yes"#, "a/b", Some("yes")),
        ] {
            let read = MediaType::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (read.essence.as_str(), read.parameter("charset").next()),
                (essence, charset)
            );
        }
        for wrong in [
            "",
            "json",
            "/json",
            "a/",
            "a /b",
            "a/b/c",
            "a/b;c",
            "a/b;c =d",
            "a/b;c= d",
            "a/b;=d",
            "a/b;c=\"d",
            "a/b;c=d\"",
            "a/b;c=\"d\"e",
            "a/b,c/d",
        ] {
            assert_eq!(MediaType::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_list_contains_the_items_that_can_be_parsed() {
        let list = MediaType::list("a/b;q=0.5, , nonsense, c/d;v=\"1,2\",*/*");
        let read: Vec<_> = list.iter().map(|one| one.essence.as_str()).collect();
        assert_eq!(read, ["a/b", "c/d", "*/*"]);
        assert_eq!(list[1].parameter("v").next(), Some("1,2"));
    }
}
