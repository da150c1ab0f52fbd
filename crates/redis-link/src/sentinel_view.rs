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
    /// RESET`. `None` if it does not answer `SENTINEL SENTINELS`, which an access control list may forbid.
    pub others: Option<Vec<String>>,
    /// Whether it could have the master replaced now, or else why not, in its own words. `None` if it does not answer
    /// `SENTINEL CKQUORUM`.
    pub quorum: Option<Result<(), String>>,
}

impl Client {
    /// Asks each sentinel that the address names, with short-lived connections. Returns their addresses as `host:port`, in
    /// the order of the address, and what each says; nothing for a deployment without sentinels.
    ///
    /// ```no_run
    /// # async fn example(client: redis_link::Client) {
    /// for (address, view) in client.sentinels().await {
    ///     match view {
    ///         Ok(view) => println!("{address} could replace the master: {:?}", view.quorum),
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
    let quorum = match ask::<()>(&mut connection, &["SENTINEL", "CKQUORUM", &address.master]).await
    {
        Ok(()) => Some(Ok(())),
        Err(error) if code(&error) == Some("NOQUORUM") => {
            Some(Err(error.detail().unwrap_or_default().to_owned()))
        }
        Err(_) => None,
    };
    let question = ["SENTINEL", "SENTINELS", &address.master];
    let others = ask::<Vec<HashMap<String, String>>>(&mut connection, &question).await.ok();
    let named = |other: HashMap<String, String>| {
        Some(format!("{}:{}", other.get("ip")?, other.get("port")?))
    };
    let others = others.map(|others| {
        let mut others: Vec<String> = others.into_iter().filter_map(named).collect();
        others.sort_unstable();
        others
    });
    Ok(SentinelView { others, quorum })
}
