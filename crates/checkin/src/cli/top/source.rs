//! Where the figures come from: the metrics of running services, and the store.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::join_all;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::time::timeout;

use super::METRICS;
use crate::app::WatchedStore;
use crate::config::{Common, shown_time};
use crate::metrics::reading::Samples;
use crate::storage::PartState;
use crate::telemetry::chain;
use crate::usecases::overview::{Port, Reading, SessionCount, StoreReading};

/// The maximum time for the response of a port, and for that of the store.
const PATIENCE: Duration = Duration::from_secs(2);

/// The maximum size of a response: some hundred times the usual size.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// How long sessions are counted, and the time until they are counted again: it reads all of them.
const COUNT_WITHIN: Duration = Duration::from_secs(1);
const COUNT_AGAIN: Duration = Duration::from_secs(30);

/// The ports and the store that are read.
pub(super) struct Source {
    client: Client,
    ports: Vec<Url>,
    config: Common,
    store: Option<WatchedStore>,
    sessions: Option<SessionCount>,
    counted: Option<Instant>,
}

impl Source {
    pub(super) fn new(config: &Common, ports: &[Url]) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .context("cannot use TLS")?;
        let config = config.clone();
        Ok(Self {
            client,
            ports: ports.to_vec(),
            config,
            store: None,
            sessions: None,
            counted: None,
        })
    }

    /// Reads everything once. What does not answer is a part of the result.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the reading.
    pub(super) async fn read(&mut self) -> Reading {
        let (client, ports) = (self.client.clone(), self.ports.clone());
        let ports = join_all(ports.into_iter().map(|url| port(client.clone(), url)));
        let store = async {
            let read = timeout(PATIENCE, self.read_store()).await;
            read.unwrap_or_else(|_| Err(format!("no response within {}", shown_time(PATIENCE))))
        };
        let (ports, store) = tokio::join!(ports, store);
        let sessions = self.sessions;
        let store = match store {
            Ok((ping, parts)) => StoreReading { ping: Ok(ping), parts: Some(parts), sessions },
            Err(error) => StoreReading { ping: Err(error), parts: None, sessions: None },
        };
        Reading { at: Instant::now(), ports, store }
    }

    async fn read_store(&mut self) -> Result<(Duration, Vec<PartState>), String> {
        let store = match self.store.take() {
            Some(store) => store,
            None => {
                let opened = WatchedStore::open(&self.config).await;
                opened.map_err(|error| chain(error.as_ref()).to_string())?
            }
        };
        let read = store.parts().await.map_err(|error| chain(&error).to_string())?;
        if self.counted.is_none_or(|counted| counted.elapsed() > COUNT_AGAIN) {
            self.sessions = store.count_sessions(COUNT_WITHIN).await.ok();
            self.counted = Some(Instant::now());
        }
        // It is opened again after an error.
        self.store = Some(store);
        Ok(read)
    }
}

async fn port(client: Client, url: Url) -> Port {
    let answer = ask(client, url.clone()).await;
    let address = url.as_str().trim_end_matches(METRICS).to_owned();
    Port { address, answer }
}

async fn ask(client: Client, url: Url) -> Result<Samples, String> {
    let failed = |error: reqwest::Error| match error.is_timeout() {
        true => format!("no response within {}", shown_time(PATIENCE)),
        false => cause(&error),
    };
    let mut response = client.get(url).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(format!("the response has status {}", response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err("the response is too long".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&body);
    Samples::parse(&text).map_err(|rule| rule.to_string())
}

/// Returns the innermost cause, which says most about a failed connection.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
