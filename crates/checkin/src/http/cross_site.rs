//! Requests that a page of another site sent.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};

/// Whether a page of another site sent this request, for a GET that changes something: tower-http's
/// cross-site guard, whose rules these are, lets every GET pass. A program that sends neither of
/// the headers is no page.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_none() || authority != header(HOST.as_str())
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (site, origin, expected) in [
            ("", "", false),
            ("same-origin", "", false),
            ("none", "", false),
            ("cross-site", "", true),
            ("same-site", "", true),
            ("cross-site", "http://here:1", true),
            ("", "http://here:1", false),
            ("", "http://there", true),
            ("", "null", true),
            ("same-origin", "null", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "here:1".parse().unwrap());
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if !value.is_empty() {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(is_cross_site(&headers), expected, "{site} {origin}");
        }
    }
}
