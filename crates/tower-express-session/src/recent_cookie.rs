//! Remembers the cookie of the last session that was read, because most sessions of a layer have the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cookie::{Cookie, JsValue};
use crate::error::Error;

/// The maximum length of a remembered cookie in bytes. What express-session writes is shorter.
const MAX_BYTES: usize = 512;

/// The last stored cookie that does not expire, with its JSON. A cookie that expires is another one in
/// each session.
#[derive(Debug, Default)]
pub(crate) struct RecentCookie(
    // Locked for a few instructions, never across an await.
    Mutex<Option<(Box<str>, Arc<Cookie>)>>,
);

impl RecentCookie {
    /// Returns [`Cookie::from_json`] of the text.
    pub(crate) fn read(&self, json: &str, now_ms: f64) -> Result<Arc<Cookie>, Error> {
        if let Some((known, cookie)) = &*self.last()
            && **known == *json
        {
            return Ok(Arc::clone(cookie));
        }
        let cookie = Arc::new(Cookie::from_json(json, now_ms)?);
        // A lifetime that counts from now makes `expires` a date.
        if !matches!(cookie.expires, JsValue::Date(_)) && json.len() <= MAX_BYTES {
            *self.last() = Some((json.into(), Arc::clone(&cookie)));
        }
        Ok(cookie)
    }

    fn last(&self) -> MutexGuard<'_, Option<(Box<str>, Arc<Cookie>)>> {
        // No code under the lock panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_cookie_is_the_one_that_would_be_parsed() {
        let recent = RecentCookie::default();
        for json in [
            r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#,
            r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/a"}"#,
            r#"{"maxAge":1000}"#,
            r#"{"\u006daxAge":1000}"#,
            r#"{"maxAge":1000,"expires":null}"#,
            r#"{"maxAge":1000,"expires":"never","originalMaxAge":7}"#,
            r#"{"maxAge":null}"#,
            r#"{"expires":"2030-01-01T00:00:00.000Z"}"#,
            r#"{"expires":false,"originalMaxAge":1000}"#,
            r#"{"expires":1000}"#,
            "{}",
            "[]",
            "0",
        ] {
            for now_ms in [0.0, 1.0, 1e12] {
                let parsed = Cookie::from_json(json, now_ms).unwrap();
                // NaN is not equal to itself.
                let same = format!("{parsed:?}");
                assert_eq!(format!("{:?}", recent.read(json, now_ms).unwrap()), same, "{json}");
            }
        }
        for json in ["null", "1", r#"{"maxAge":"x"}"#] {
            for _ in 0..2 {
                assert!(recent.read(json, 0.0).is_err(), "{json}");
            }
        }
    }

    #[test]
    fn it_is_shared_and_limited() {
        let recent = RecentCookie::default();
        let same = |json: &str| {
            let [one, two] = [(); 2].map(|()| recent.read(json, 0.0).unwrap());
            Arc::ptr_eq(&one, &two)
        };
        assert!(same(r#"{"path":"/"}"#));
        assert!(!same(r#"{"expires":"2030-01-01T00:00:00.000Z"}"#));
        assert!(!same(&format!(r#"{{"path":"/{}"}}"#, "x".repeat(MAX_BYTES))));
    }
}
