use std::collections::BTreeMap;
use std::time::SystemTime;

/// The cookies of a browser, as far as the tests need them: one value per name, sent to every path and
/// over plain HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jar {
    values: BTreeMap<String, String>,
}

impl Jar {
    /// Returns the value of a cookie as it was set, with its percent escapes.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    pub fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }

    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Returns the text of the `Cookie` header, if there is a cookie to send.
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<String> =
            self.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Applies a `Set-Cookie` value: stores the cookie, or removes it if it has expired.
    pub fn take(&mut self, set_cookie: &str, now: SystemTime) {
        let mut parts = set_cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        if parts.any(|attribute| is_past(attribute, now)) {
            self.remove(name);
        } else {
            self.set(name, value);
        }
    }
}

fn is_past(attribute: &str, now: SystemTime) -> bool {
    let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
    if name.eq_ignore_ascii_case("max-age") {
        return value.parse::<i64>().is_ok_and(|seconds| seconds <= 0);
    }
    name.eq_ignore_ascii_case("expires")
        && httpdate::parse_http_date(value).is_ok_and(|expires| expires <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_one_value_per_name_and_honours_deletion() {
        let mut jar = Jar::default();
        let now = SystemTime::now();
        jar.take("a=1; Path=/; HttpOnly", now);
        jar.take("a=2; Path=/x", now);
        jar.take("b=3; Expires=Fri, 01 Jan 2100 00:00:00 GMT", now);
        assert_eq!(jar.header().as_deref(), Some("a=2; b=3"));
        jar.take("a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", now);
        jar.take("b=; Max-Age=0", now);
        assert_eq!(jar.header(), None);
    }
}
