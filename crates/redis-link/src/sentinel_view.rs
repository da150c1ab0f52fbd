//! What the sentinels of a deployment say of themselves, for a diagnosis.

use std::collections::HashMap;

use redis::ConnectionAddr;
use tokio::task::JoinSet;

use crate::address::{Deployment, SentinelAddress};
use crate::cause::code;
use crate::check::{ask, enter_sentinel};
use crate::client::Client;
use crate::obstacle::Obstacle;
use crate::timeouts::Timeouts;

/// What a sentinel says of the master that it monitors, and of the other sentinels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentinelView {
    /// The other sentinels that it knows, as `host:port`. Those that are gone for good stay among them until `SENTINEL
    /// RESET`.
    pub others: Vec<String>,
    /// Why the sentinels could not replace the master now, in the words of the sentinel (`SENTINEL CKQUORUM`).
    pub no_quorum: Option<String>,
}

impl Client {
    /// Asks each sentinel that the address names, with short-lived connections. Returns their addresses as `host:port`, in
    /// the order of the address, and what each says; nothing for a deployment without sentinels. What an
    /// access control list forbids is left out.
    ///
    /// ```no_run
    /// # async fn example(client: redis_link::Client) {
    /// for (address, view) in client.sentinels().await {
    ///     match view {
    ///         Ok(view) => println!("{address} knows {} others", view.others.len()),
    ///         Err(obstacle) => println!("{address}: {obstacle}"),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time.
    pub async fn sentinels(&self) -> Vec<(String, Result<SentinelView, Obstacle>)> {
        let Some(Deployment::Sentinel(address)) = self.address().map(|address| &address.deployment)
        else {
            return Vec::new();
        };
        let mut asks = JoinSet::new();
        for (at, sentinel) in address.sentinels.iter().cloned().enumerate() {
            let (address, timeouts) = (address.clone(), self.links().timeouts);
            asks.spawn(async move {
                (at, sentinel.to_string(), view(&sentinel, &address, timeouts).await)
            });
        }
        let mut views = asks.join_all().await;
        views.sort_unstable_by_key(|(at, ..)| *at);
        views.into_iter().map(|(_, address, view)| (address, view)).collect()
    }
}

async fn view(
    sentinel: &ConnectionAddr,
    address: &SentinelAddress,
    timeouts: Timeouts,
) -> Result<SentinelView, Obstacle> {
    let (mut connection, _) = enter_sentinel(sentinel, address, timeouts).await?;
    let asked = ask::<()>(&mut connection, &["SENTINEL", "CKQUORUM", &address.master]).await;
    let no_quorum = asked.err().filter(|error| code(error) == Some("NOQUORUM"));
    let no_quorum = no_quorum.and_then(|error| error.detail().map(str::to_owned));
    let question = ["SENTINEL", "SENTINELS", &address.master];
    let others: Vec<HashMap<String, String>> =
        ask(&mut connection, &question).await.unwrap_or_default();
    let named = |other: HashMap<String, String>| {
        Some(format!("{}:{}", other.get("ip")?, other.get("port")?))
    };
    let mut others: Vec<String> = others.into_iter().filter_map(named).collect();
    others.sort_unstable();
    Ok(SentinelView { others, no_quorum })
}
