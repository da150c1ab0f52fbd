//! Lists in pages: the limit, the cursor, and the link to the next page.

use axum::Json;
use axum::http::HeaderValue;
use axum::http::header::LINK;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::domain::{CheckinId, MAX_SAFE_INTEGER};
use crate::http::RequestAddress;
use crate::input::{At, Documented, Fields, FromFields, Given, Input, Integer, parameter};
use crate::storage::{HistoryPosition, Page, Position};

const LIMIT: &str = "limit";
const CURSOR: &str = "cursor";

/// The number of bytes of a list's hash in its cursors: enough to notice a cursor of another list.
const LIST_BYTES: usize = 8;

/// Characters that must be encoded in the address of a `Link` header. The `%` of the path stays.
const NOT_IN_LINKS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\');

/// A position in a list, as numbers.
pub(super) trait Cursor: Sized {
    fn numbers(&self) -> Vec<u64>;

    fn from_numbers(numbers: &[u64]) -> Option<Self>;
}

impl Cursor for Position {
    fn numbers(&self) -> Vec<u64> {
        vec![self.rank, self.id]
    }

    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let &[rank, id] = numbers else { return None };
        (rank <= MAX_SAFE_INTEGER && id <= MAX_SAFE_INTEGER).then_some(Self { rank, id })
    }
}

impl Cursor for CheckinId {
    fn numbers(&self) -> Vec<u64> {
        vec![self.ms, self.seq]
    }

    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let &[ms, seq] = numbers else { return None };
        Some(Self { ms, seq })
    }
}

impl Cursor for HistoryPosition {
    fn numbers(&self) -> Vec<u64> {
        vec![self.time_ms, self.id.ms, self.id.seq]
    }

    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let &[time_ms, ms, seq] = numbers else { return None };
        (time_ms <= MAX_SAFE_INTEGER).then_some(Self { time_ms, id: CheckinId { ms, seq } })
    }
}

/// The page of a list that a request asks for: at most `MOST` records, and `USUAL` by default.
#[derive(Debug)]
pub(super) struct Paging<C, const USUAL: u64 = 20, const MOST: u64 = 100> {
    pub(super) limit: usize,
    pub(super) after: Option<C>,
    /// The list's address without `limit` and `cursor`, which identifies the list.
    list: String,
}

impl<C: Cursor, const USUAL: u64, const MOST: u64> FromFields for Paging<C, USUAL, MOST> {
    type Context = RequestAddress;

    fn read(fields: &mut Fields<'_>, address: &RequestAddress) -> Option<Self> {
        let limit = fields.take::<Limit<USUAL, MOST>>(At::Query, LIMIT);
        let cursor = fields.take::<Option<CursorText>>(At::Query, CURSOR);
        let list = list_at(address);
        let after = cursor?.map(|text| cursor_of(&list, &text.0)).transpose();
        let after = after.map_err(|rule| fields.refuse(CURSOR, rule)).ok();
        Some(Self { limit: limit?.0, after: after?, list })
    }
}

impl<C, const USUAL: u64, const MOST: u64> IntoParams for Paging<C, USUAL, MOST> {
    fn into_params(_at: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let cursor = "The beginning of the page, from the `Link` of the page before.";
        vec![
            parameter::<Limit<USUAL, MOST>>(
                At::Query,
                LIMIT,
                "The maximum number of records.",
                None,
            ),
            parameter::<Option<CursorText>>(At::Query, CURSOR, cursor, None),
        ]
    }
}

/// The maximum number of records of a page.
struct Limit<const USUAL: u64, const MOST: u64>(usize);

impl<const USUAL: u64, const MOST: u64> Input for Limit<USUAL, MOST> {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        Integer::<1, MOST>::read(given).map(|limit| Self(limit.0 as usize))
    }

    fn absent() -> Option<Self> {
        Some(Self(USUAL as usize))
    }
}

impl<const USUAL: u64, const MOST: u64> Documented for Limit<USUAL, MOST> {
    fn schema() -> ObjectBuilder {
        Integer::<1, MOST>::schema().default(Some(USUAL.into()))
    }
}

/// The text of a cursor, which may be of another list.
struct CursorText(String);

impl Input for CursorText {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text().map(|text| Self(text.to_owned()))
    }
}

impl Documented for CursorText {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{32,43}$"))
    }
}

/// Returns the address without `limit` and `cursor`, which identifies the list.
fn list_at(address: &RequestAddress) -> String {
    let mut list = utf8_percent_encode(&address.path, NOT_IN_LINKS).to_string() + "?";
    for (name, value) in address.query.iter().filter(|(name, _)| name != LIMIT && name != CURSOR) {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        list += &format!("{}={}&", encode(name), encode(value));
    }
    list
}

/// Returns the position of a cursor of this list.
fn cursor_of<C: Cursor>(list: &str, text: &str) -> Result<C, &'static str> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let numbers = bytes.strip_prefix(&hash(list)[..])?;
        let (numbers, []) = numbers.as_chunks::<8>() else { return None };
        let numbers: Vec<u64> = numbers.iter().copied().map(u64::from_be_bytes).collect();
        C::from_numbers(&numbers)
    };
    read().ok_or("must be a cursor from the `Link` header of this list")
}

/// Returns whether a cursor, if it can be read, is the one that a page of this list would have.
#[cfg(any(test, feature = "internals"))]
pub(crate) fn is_canonical(list: &str, text: &str) -> bool {
    fn is_other<C: Cursor>(list: &str, text: &str) -> bool {
        let paging = Paging::<C> { limit: 1, after: None, list: list.to_owned() };
        cursor_of::<C>(list, text).is_ok_and(|cursor| {
            let link = paging.page::<()>(Vec::new(), Some(cursor)).link;
            link.is_none_or(|link| !link.ends_with(&format!("&cursor={text}>; rel=\"next\"")))
        })
    }
    !is_other::<Position>(list, text)
        && !is_other::<CheckinId>(list, text)
        && !is_other::<HistoryPosition>(list, text)
}

fn hash(list: &str) -> [u8; LIST_BYTES] {
    let hash = Sha256::digest(list);
    std::array::from_fn(|at| hash[at])
}

impl<C: Cursor, const USUAL: u64, const MOST: u64> Paging<C, USUAL, MOST> {
    /// Returns the number of records to read: one more than the limit, which shows whether there is
    /// a next page.
    pub(super) fn one_more(&self) -> usize {
        self.limit + 1
    }

    /// Returns the position behind which the page begins, and the maximum number of its records.
    pub(super) fn range(&self) -> (Option<C>, usize)
    where
        C: Copy,
    {
        (self.after, self.limit)
    }

    /// Returns the page with the records that were found, of which there may be [one
    /// more](Self::one_more) than the limit.
    pub(super) fn answer<R, T>(
        &self,
        mut found: Vec<R>,
        cursor: impl FnOnce(&R) -> C,
        show: impl FnMut(R) -> T,
    ) -> Paged<T> {
        let has_more = found.len() > self.limit;
        found.truncate(self.limit);
        let last = found.last().filter(|_| has_more).map(cursor);
        self.page(found.into_iter().map(show).collect(), last)
    }

    /// Returns the page with these items, and the position of the next page if there is one.
    pub(super) fn page<T>(&self, items: Vec<T>, next: Option<C>) -> Paged<T> {
        let link = next.map(|cursor| {
            let mut bytes = hash(&self.list).to_vec();
            bytes.extend(cursor.numbers().into_iter().flat_map(u64::to_be_bytes));
            let (list, limit) = (&self.list, self.limit);
            format!("<{list}limit={limit}&cursor={}>; rel=\"next\"", URL_SAFE_NO_PAD.encode(bytes))
        });
        Paged { items, link }
    }
}

impl<const USUAL: u64, const MOST: u64> Paging<Position, USUAL, MOST> {
    /// Returns the page in the form of the storage traits.
    pub(super) fn to_page(&self) -> Page {
        Page { after: self.after, limit: self.one_more() }
    }
}

/// A page of a list: a JSON array, and a `Link` to the next page if there is one (RFC 8288).
#[derive(Debug)]
pub(super) struct Paged<T> {
    items: Vec<T>,
    link: Option<String>,
}

impl<T> Paged<Option<T>> {
    /// Leaves out missing items.
    pub(super) fn without_gaps(self) -> Paged<T> {
        Paged { items: self.items.into_iter().flatten().collect(), link: self.link }
    }
}

impl<T: Serialize> IntoResponse for Paged<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.items).into_response();
        if let Some(link) = self.link.and_then(|link| HeaderValue::try_from(link).ok()) {
            response.headers_mut().insert(LINK, link);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(path: &str, category: &str) -> Paging<Position, 2, 5> {
        let query = vec![("category".to_owned(), category.to_owned())];
        let address = RequestAddress { path: path.to_owned(), query };
        Paging { limit: 2, after: None, list: list_at(&address) }
    }

    fn cursor(paging: &Paging<Position, 2, 5>, text: &str) -> Result<Position, &'static str> {
        cursor_of(&paging.list, text)
    }

    fn link(paged: &Paged<u64>) -> (&str, &str) {
        let link = paged.link.as_deref().unwrap();
        let inner = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        inner.split_once("&cursor=").unwrap()
    }

    #[test]
    fn the_last_page_has_no_link() {
        let paging = paging("/api/x", "a b\"");
        let cursor = |id: &u64| Position { rank: 1, id: *id };
        for found in [vec![], vec![1], vec![1, 2]] {
            assert_eq!(paging.answer(found.clone(), cursor, |id| id).items, found);
            assert_eq!(paging.answer(found, cursor, |id| id).link, None);
        }
        let page = paging.answer(vec![1, 2, 3], cursor, |id| id);
        assert_eq!(page.items, [1, 2]);
        let (address, text) = link(&page);
        assert_eq!(address, "/api/x?category=a%20b%22&limit=2");
        assert_eq!(super::tests::cursor(&paging, text), Ok(Position { rank: 1, id: 2 }));
    }

    #[test]
    fn a_cursor_belongs_to_one_list() {
        let bar = paging("/api/x", "bar");
        let page = bar.page(vec![1], Some(Position { rank: 7, id: 8 }));
        let (_, text) = link(&page);
        assert!(cursor(&bar, text).is_ok());
        assert!(cursor(&paging("/api/x", "gym"), text).is_err());
        assert!(cursor(&paging("/api/y", "bar"), text).is_err());
        let bent = text.replace(text.chars().last().unwrap(), "~");
        let (short, doubled) = (&text[..text.len() - 4], text.repeat(2));
        for text in ["", "AAAA", short, &doubled, &bent, "7-8", "\u{e9}"] {
            assert!(cursor(&bar, text).is_err(), "{text:?}");
        }
        let far = bar.page(vec![1], Some(Position { rank: 7, id: u64::MAX }));
        assert!(cursor(&bar, link(&far).1).is_err());
    }

    #[test]
    fn limits_must_be_in_range() {
        let limit = |text| Limit::<2, 5>::read(&Given::bare(text)).map(|limit| limit.0);
        assert_eq!((limit("1"), limit("5")), (Ok(1), Ok(5)));
        for text in ["", "0", "6", "-1", "05", "1.0", "18446744073709551616"] {
            assert_eq!(limit(text).unwrap_err(), "must be an integer from 1 to 5", "{text:?}");
        }
    }
}
