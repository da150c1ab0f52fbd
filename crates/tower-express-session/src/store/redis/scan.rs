//! Looking through all keys of a deployment.

use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};

use super::client::{Client, command};
use super::{Reply, unexpected};
use crate::error::Error;

/// A walk through the keys that match a pattern, on each server that has some.
pub(super) struct Scan<'a> {
    client: &'a Client,
    pattern: &'a str,
    count: String,
    /// The servers that are still to be asked, the current one last; `None` is the only one.
    servers: Vec<Option<(String, u16)>>,
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
        let reply = match server.clone() {
            Some((host, port)) => {
                let server = SingleNodeRoutingInfo::ByAddress { host, port };
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

/// The primaries out of `CLUSTER SLOTS`: for each range of slots its ends, then the primary's host
/// and port, then its replicas.
fn primaries(reply: Reply) -> Result<Vec<Option<(String, u16)>>, Error> {
    let Reply::Array(ranges) = reply else { return Err(unexpected("CLUSTER SLOTS", &reply)) };
    let mut primaries: Vec<_> = ranges.into_iter().map(primary).collect();
    primaries.sort_unstable();
    primaries.dedup();
    match primaries.iter().all(Option::is_some) && !primaries.is_empty() {
        true => Ok(primaries),
        false => Err(unexpected("CLUSTER SLOTS", &Reply::Nil)),
    }
}

fn primary(range: Reply) -> Option<(String, u16)> {
    let Reply::Array(range) = range else { return None };
    let (Some(Reply::Bytes(host)), Some(Reply::Int(port))) = two(range.into_iter().nth(2)?) else {
        return None;
    };
    Some((String::from_utf8(host.to_vec()).ok()?, u16::try_from(port).ok()?))
}

fn two(reply: Reply) -> (Option<Reply>, Option<Reply>) {
    let Reply::Array(replies) = reply else { return (None, None) };
    let mut replies = replies.into_iter();
    (replies.next(), replies.next())
}
