//! What `INFO` says.

use tower_express_session::store::redis::Reply;

use super::{RedisStorage, text};

/// One section of `INFO`, of every node that answered.
pub(super) struct Info {
    nodes: Vec<String>,
}

impl Info {
    /// What each node says of a field.
    pub(super) fn values<'a>(&'a self, field: &'a str) -> impl Iterator<Item = &'a str> {
        self.nodes.iter().filter_map(move |node| {
            let mut fields = node.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(name, _)| *name == field).map(|(_, value)| value.trim())
        })
    }
}

impl RedisStorage {
    /// Nothing if Redis refuses: an access list may forbid it.
    pub(super) async fn info(&self, section: &str) -> Option<Info> {
        let nodes = match self.call(&["INFO", section]).await.ok()? {
            // A cluster gives addresses and answers in turn.
            Reply::Array(replies) => {
                replies.chunks_exact(2).filter_map(|pair| text(pair[1].clone()).ok()).collect()
            }
            reply => vec![text(reply).ok()?],
        };
        Some(Info { nodes })
    }

    /// Whether this is a cluster, as far as Redis tells.
    pub(super) async fn is_cluster(&self) -> bool {
        let info = self.info("cluster").await;
        info.is_some_and(|info| info.values("cluster_enabled").any(|value| value == "1"))
    }
}
