//! Lists the keys of a deployment that match a pattern.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::Error;
use crate::reply::Reply;
use crate::request::Request;

/// An iteration over the keys that match a pattern, on every server of the deployment; see
/// [`Client::scan`].
#[derive(Debug)]
pub struct Scan<'a> {
    client: &'a Client,
    pattern: &'a str,
    count: String,
    /// The servers that are not finished, the current one last. `None` stands for a single server.
    /// A cluster node is named by one of its slots, because the address that it announces may not
    /// be reachable from here.
    servers: Vec<Option<u16>>,
    cursor: Bytes,
}

impl Client {
    /// Iterates over the keys that match `pattern`; on a cluster, over those of every primary.
    /// Redis examines about `count` keys for each page. A key may be returned twice. A key that
    /// exists during the whole scan is returned at least once.
    ///
    /// ```no_run
    /// # async fn example(client: redis_link::Client) -> Result<(), redis_link::Error> {
    /// use redis_link::glob_escaped;
    ///
    /// let pattern = format!("{}*", glob_escaped("app[1]:"));
    /// let mut scan = client.scan(&pattern, 500).await?;
    /// while let Some(keys) = scan.next().await? {
    ///     // a page of keys, perhaps an empty one
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`call`](Client::call).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time.
    pub async fn scan<'a>(&'a self, pattern: &'a str, count: usize) -> Result<Scan<'a>, Error> {
        let servers = match self.is_cluster() {
            true => self.primaries().await?.into_values().map(Some).collect(),
            false => vec![None],
        };
        let cursor = Bytes::from_static(b"0");
        Ok(Scan { client: self, pattern, count: count.to_string(), servers, cursor })
    }
}

/// The host and port that a server announces.
type Announced = (Option<Bytes>, i64);

/// The host and port that each primary announces, with one of its slots.
pub(crate) type Primaries = BTreeMap<Announced, u16>;

impl Client {
    /// Returns the primaries of a cluster. The request is not observed: where keys are tracked, it is sent
    /// every second.
    pub(crate) async fn primaries(&self) -> Result<Primaries, Error> {
        let ranges = self.redirected(&Request::One(&[b"CLUSTER", b"SLOTS"]), Instant::now()).await;
        let found = primaries(ranges.map_err(|cause| self.error(cause))?);
        found.ok_or_else(|| Error::unexpected("CLUSTER SLOTS", &Reply::Nil))
    }
}

impl Scan<'_> {
    /// Returns the next page of keys, which may be empty; `None` after the last page of the last
    /// server.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the next call requests the same page again.
    pub async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Error> {
        let Some(server) = self.servers.last() else { return Ok(None) };
        let scan: &[&[u8]] = &[
            b"SCAN",
            &self.cursor,
            b"MATCH",
            self.pattern.as_bytes(),
            b"COUNT",
            self.count.as_bytes(),
        ];
        let reply = match *server {
            Some(slot) => self.client.call_at(scan, slot).await?,
            None => self.client.call(scan).await?,
        };
        let (Some(Reply::Bytes(cursor)), Some(Reply::Array(keys))) = two(reply) else {
            return Err(Error::unexpected("SCAN", &Reply::Nil));
        };
        self.cursor = cursor;
        if *self.cursor == *b"0" {
            self.servers.pop();
        }
        Ok(Some(keys.into_iter().filter_map(Reply::into_bytes).collect()))
    }
}

/// Returns the primaries from the reply to `CLUSTER SLOTS`, if there are any.
fn primaries(ranges: Reply) -> Option<Primaries> {
    let slots = slots_of_primaries(ranges)?.into_iter();
    let primaries: Primaries =
        slots.filter_map(|(at, slots)| Some((at, *slots.first()?))).collect();
    (!primaries.is_empty()).then_some(primaries)
}

/// Returns the host and port that each primary announces, with its slots, from the reply to `CLUSTER SLOTS`.
/// The reply lists for each range of slots its first and last slot, the host and port of the primary, and
/// the replicas.
pub(crate) fn slots_of_primaries(ranges: Reply) -> Option<BTreeMap<Announced, Vec<u16>>> {
    let Reply::Array(ranges) = ranges else { return None };
    let mut primaries = BTreeMap::<_, Vec<u16>>::new();
    for range in ranges {
        let Reply::Array(range) = range else { return None };
        let mut range = range.into_iter();
        let (Reply::Int(first), Reply::Int(last)) = (range.next()?, range.next()?) else {
            return None;
        };
        let (first, last) = (u16::try_from(first).ok()?, u16::try_from(last).ok()?);
        let (host, Some(Reply::Int(port))) = two(range.next()?) else { return None };
        let at = (host.and_then(Reply::into_bytes), port);
        primaries.entry(at).or_default().extend(first..=last);
    }
    Some(primaries)
}

fn two(reply: Reply) -> (Option<Reply>, Option<Reply>) {
    let Reply::Array(replies) = reply else { return (None, None) };
    let mut replies = replies.into_iter();
    (replies.next(), replies.next())
}
