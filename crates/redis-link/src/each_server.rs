//! Sends the same command to every primary of a deployment.

use redis::ConnectionInfo;
use tokio::task::JoinSet;

use crate::address::{Address, Deployment, info};
use crate::client::Client;
use crate::error::Error;
use crate::reply::Reply;
use crate::request::borrowed;
use crate::tls;

/// What each server replies, by its address.
type Replies = Vec<(String, Result<Reply, Error>)>;

impl Client {
    /// Sends a command without keys to every primary of a cluster at once, or to the only server. Returns what each of
    /// them replies, in the order of their addresses. An address is the announced `host:port`, and empty for an only
    /// server. The error of one that does not answer is as that of [`call`](Self::call), and hides no other reply.
    /// [`call`](Self::call) sends such a command to any one of them.
    ///
    /// ```no_run
    /// # async fn example(client: redis_link::Client) -> Result<(), redis_link::Error> {
    /// for (address, policy) in client.call_each(&[b"CONFIG", b"GET", b"appendfsync"]).await? {
    ///     println!("{address} {policy:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), if no node of the cluster names the primaries.
    ///
    /// # Cancel safety
    ///
    /// Some of the servers may have carried out the command.
    pub async fn call_each(&self, words: &[&[u8]]) -> Result<Replies, Error> {
        if !self.is_cluster() {
            return Ok(vec![(String::new(), self.call(words).await)]);
        }
        let mut calls = JoinSet::new();
        for ((host, port), slot) in self.primaries().await? {
            let address = format!("{}:{port}", String::from_utf8_lossy(&host.unwrap_or_default()));
            let (client, words) = (self.clone(), words.iter().map(|word| word.to_vec()));
            let words: Vec<Vec<u8>> = words.collect();
            calls.spawn(async move {
                let reply = client.call_at(&borrowed(&words), slot).await;
                (address, reply)
            });
        }
        let mut replies = calls.join_all().await;
        replies.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(replies)
    }

    /// Returns the replicas of the server, of the master that the sentinels name, or of every primary of a cluster that
    /// answers: their addresses as `host:port`, and a client of each, with the login of this one. A replica may be
    /// unreachable from here, because it announces another address.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), if no server answers the command `ROLE`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time.
    pub async fn replicas(&self) -> Result<Vec<(String, Self)>, Error> {
        let (mut roles, mut failed) = (Vec::new(), None);
        for (_, role) in self.call_each(&[b"ROLE"]).await? {
            match role {
                Ok(role) => roles.push(role),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if roles.is_empty() => return Err(error),
            _ => {}
        }
        let addresses = roles.into_iter().flat_map(replicas);
        addresses
            .map(|(host, port)| Ok((format!("{host}:{port}"), self.beside(host, port)?)))
            .collect()
    }

    /// Returns a client of another server of this deployment.
    fn beside(&self, host: String, port: u16) -> Result<Self, Error> {
        let Address { deployment, tls } = self.address().ok_or_else(Error::has_no_address)?;
        let settings = match deployment {
            Deployment::Server(server) => Some(server.redis_settings()),
            Deployment::Sentinel(address) => Some(&address.server),
            Deployment::Cluster(nodes) => nodes.first().map(ConnectionInfo::redis_settings),
        };
        let settings = settings.ok_or_else(Error::has_no_address)?;
        let server = info(tls::address(host, port, tls.as_ref()), settings)?;
        let address = Address { deployment: Deployment::Server(server), tls: tls.clone() };
        Self::at(address, self.links().timeouts)
    }
}

/// Returns the hosts and ports of the replicas from the reply of a master to `ROLE`.
fn replicas(role: Reply) -> Vec<(String, u16)> {
    let Reply::Array(role) = role else { return Vec::new() };
    let Some(Reply::Array(replicas)) = role.into_iter().nth(2) else { return Vec::new() };
    let text = |reply: Reply| String::from_utf8(reply.into_bytes()?.to_vec()).ok();
    let address = |replica| {
        let Reply::Array(replica) = replica else { return None };
        let mut replica = replica.into_iter();
        Some((text(replica.next()?)?, text(replica.next()?)?.parse().ok()?))
    };
    replicas.into_iter().filter_map(address).collect()
}
