//! A TCP proxy that can lose a reply, or go silent, between a client and its server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The faults of the proxy, shared with the open connections.
#[derive(Default)]
pub struct Faults {
    /// How many more times a connection is cut after the server has replied to an `INCR` and before
    /// the reply is forwarded.
    pub lose_replies: AtomicUsize,
    /// Connections that were opened before [`Proxy::freeze`] forward nothing any more, and stay
    /// open.
    frozen_below: AtomicUsize,
    /// The number of requests with an `INCR`.
    pub seen: AtomicUsize,
    opened: AtomicUsize,
    stopped: AtomicBool,
}

pub struct Proxy {
    pub port: u16,
    pub faults: Arc<Faults>,
}

impl Proxy {
    pub async fn start(port: u16, upstream: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        let faults = Arc::new(Faults::default());
        let shared = Arc::clone(&faults);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let number = shared.opened.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(forward(client, upstream, number, Arc::clone(&shared)));
            }
        });
        Ok(Self { port, faults })
    }

    /// Makes the open connections dead without closing them. New ones work.
    pub fn freeze(&self) {
        let opened = self.faults.opened.load(Ordering::Relaxed);
        self.faults.frozen_below.store(opened, Ordering::Relaxed);
    }

    /// Returns the number of connections that the client has opened so far.
    pub fn opened(&self) -> usize {
        self.faults.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.faults.stopped.store(true, Ordering::Relaxed);
    }
}

/// Forwards until one side closes or a reply is to be lost, then closes both sockets.
async fn forward(
    mut client: TcpStream,
    upstream: u16,
    number: usize,
    faults: Arc<Faults>,
) -> Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut request, mut reply) = (vec![0; 65536], vec![0; 65536]);
    let mut lose_next = false;
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let bytes = &request[..read?];
                if bytes.is_empty() { return Ok(()) }
                if number < faults.frozen_below.load(Ordering::Relaxed) { continue }
                if bytes.windows(4).any(|window| window == b"INCR") {
                    faults.seen.fetch_add(1, Ordering::Relaxed);
                    lose_next = take_one(&faults.lose_replies);
                }
                server.write_all(bytes).await?;
            }
            read = server.read(&mut reply) => {
                let bytes = &reply[..read?];
                if bytes.is_empty() || lose_next { return Ok(()) }
                if number < faults.frozen_below.load(Ordering::Relaxed) { continue }
                client.write_all(bytes).await?;
            }
        }
    }
}

fn take_one(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
