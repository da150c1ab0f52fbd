//! Looking through all keys of a deployment.

use std::collections::BTreeMap;

use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr};

use super::client::{Client, command};
use super::{Reply, unexpected};
use crate::error::Error;

/// A walk through the keys that match a pattern, on each server that has some.
pub(super) struct Scan<'a> {
    client: &'a Client,
    pattern: &'a str,
    count: String,
    /// The servers that are still to be asked, the current one last; `None` is the only one. Of a
    /// cluster a server is named by one of its slots: what it says of its address need not be right
    /// from here.
    servers: Vec<Option<Slot>>,
    cursor: Vec<u8>,
}

impl<'a> Scan<'a> {
    pub(super) async fn start(
        client: &'a Client,
        pattern: &'a str,
        count: usize,
    ) -> Result<Self, Error> {
        let servers = match client.is_cluster() {
            true => primaries(client.call(&[b"CLUSTER", b"SLOTS"]).await?)?,
            false => vec![None],
        };
        Ok(Self { client, pattern, count: count.to_string(), servers, cursor: b"0".to_vec() })
    }

    /// The next keys, perhaps none at all; `None` when all servers were asked.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<bytes::Bytes>>, Error> {
        let Some(server) = self.servers.last() else { return Ok(None) };
        let scan = command(&[
            b"SCAN",
            &self.cursor,
            b"MATCH",
            self.pattern.as_bytes(),
            b"COUNT",
            self.count.as_bytes(),
        ]);
        let reply = match *server {
            Some(slot) => {
                let primary = Route::with_slot(slot, SlotAddr::Master);
                let server = SingleNodeRoutingInfo::SpecificNode(primary);
                self.client.call_at(scan, RoutingInfo::SingleNode(server)).await?
            }
            None => self.client.call_command(&scan).await?,
        };
        let (Some(Reply::Bytes(cursor)), Some(Reply::Array(keys))) = two(reply) else {
            return Err(unexpected("SCAN", &Reply::Nil));
        };
        self.cursor = cursor.to_vec();
        if self.cursor == b"0" {
            self.servers.pop();
        }
        Ok(Some(keys.into_iter().filter_map(Reply::into_bytes).collect()))
    }
}

/// A slot of each primary out of `CLUSTER SLOTS`: for each range of slots its ends, then the
/// primary's host and port, then its replicas.
fn primaries(reply: Reply) -> Result<Vec<Option<Slot>>, Error> {
    let Reply::Array(ranges) = reply else { return Err(unexpected("CLUSTER SLOTS", &reply)) };
    let primaries: Option<BTreeMap<_, _>> = ranges.into_iter().map(primary).collect();
    match primaries {
        Some(primaries) if !primaries.is_empty() => Ok(primaries.into_values().map(Some).collect()),
        _ => Err(unexpected("CLUSTER SLOTS", &Reply::Nil)),
    }
}

/// What a primary calls itself, and one of its slots.
fn primary(range: Reply) -> Option<((Option<bytes::Bytes>, i64), Slot)> {
    let Reply::Array(range) = range else { return None };
    let mut range = range.into_iter();
    let Reply::Int(first) = range.next()? else { return None };
    let slot = Slot::new(u16::try_from(first).ok()?)?;
    let (host, Some(Reply::Int(port))) = two(range.nth(1)?) else { return None };
    Some(((host.and_then(Reply::into_bytes), port), slot))
}

fn two(reply: Reply) -> (Option<Reply>, Option<Reply>) {
    let Reply::Array(replies) = reply else { return (None, None) };
    let mut replies = replies.into_iter();
    (replies.next(), replies.next())
}
