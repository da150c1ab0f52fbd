//! Limits the time that a connection waits for its client.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// The time limits of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimits {
    /// `--header-timeout`: the maximum time for the headers of a request, from their first byte on, and
    /// for the first byte on a new connection. A slow phone needs a second; an attacker would never
    /// finish.
    pub(crate) headers: Duration,
    /// `--keep-alive-timeout`: how long an idle connection stays open.
    pub(crate) keep_alive: Duration,
    /// `--write-timeout`: the maximum time that a client may read nothing of a response. The whole
    /// response may take any time.
    pub(crate) write: Duration,
}

/// The size of a request's head above which its connection needs a place among [`LARGE_HEADS`]: as much as
/// hyper reads at first, and more than most browsers send.
const SMALL_HEAD_BYTES: usize = 8 << 10;

/// The maximum number of connections of a process that have sent more of a head that has not ended.
/// Each may take 64 KiB of memory.
pub(crate) const LARGE_HEADS: usize = 500;

/// The bytes of responses that the system buffers for a client that does not read them. Without a
/// limit it buffers megabytes, and the buffers of all connections share the machine's memory.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// The state of a connection. Its socket, its service and the bodies of its responses share it;
/// they all run in the connection's own task, which checks the state after each step.
#[derive(Clone, Debug)]
pub(crate) struct Waiting(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: TimeLimits,
    // Locked for single steps, never across an await.
    client: Mutex<Client>,
}

/// The next step of the client.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// It has not sent the headers of its first request.
    New { until: Instant },
    /// It may send another request.
    Idle { until: Instant },
    /// It must send the headers of another request.
    Headers { until: Instant },
    /// Nothing, while its request is in progress.
    Request,
}

impl Waiting {
    /// Returns the state of a new connection.
    pub(crate) fn new(limits: TimeLimits) -> Self {
        let client = Client::New { until: Instant::now() + limits.headers };
        Self(Arc::new(Shared { limits, client: Mutex::new(client) }))
    }

    /// Runs a connection until it ends or its client takes too long.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub(crate) async fn limit(&self, mut connection: Pin<&mut impl Future>) {
        let mut timer = pin!(sleep(self.0.limits.headers));
        std::future::poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            loop {
                let next = self.deadline();
                if let Some(next) = next.filter(|next| *next < timer.deadline()) {
                    timer.as_mut().reset(next);
                }
                ready!(timer.as_mut().poll(cx));
                let now = Instant::now();
                match next {
                    Some(next) if next <= now => return Poll::Ready(()),
                    // A later deadline sets the timer only here, not at each request.
                    _ => timer.as_mut().reset(next.unwrap_or(now + self.0.limits.keep_alive)),
                }
            }
        })
        .await;
    }

    /// Returns whether no request has arrived yet.
    pub(crate) fn is_new(&self) -> bool {
        matches!(*self.client(), Client::New { .. })
    }

    /// Returns whether a request is in progress, so that its head has ended.
    fn is_in_request(&self) -> bool {
        matches!(*self.client(), Client::Request)
    }

    /// Marks the arrival of a request.
    pub(crate) fn begin(&self) {
        *self.client() = Client::Request;
    }

    /// Wraps the body of a response, until whose end the client has nothing to do.
    pub(crate) fn answer(&self, body: Body) -> Body {
        Body::new(Answer { body, waiting: self.clone() })
    }

    fn end(&self) {
        *self.client() = Client::Idle { until: Instant::now() + self.0.limits.keep_alive };
    }

    fn received(&self) {
        let mut client = self.client();
        if matches!(*client, Client::Idle { .. }) {
            *client = Client::Headers { until: Instant::now() + self.0.limits.headers };
        }
    }

    /// Marks the end of a response. Its last bytes may be sent long after.
    fn sent(&self) {
        if matches!(*self.client(), Client::Idle { .. }) {
            self.end();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match *self.client() {
            Client::New { until } | Client::Idle { until } | Client::Headers { until } => {
                Some(until)
            }
            Client::Request => None,
        }
    }

    fn client(&self) -> std::sync::MutexGuard<'_, Client> {
        // The value is valid after any step.
        self.0.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that reports when it has been sent or dropped.
struct Answer {
    body: Body,
    waiting: Waiting,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.waiting.end();
    }
}

/// The socket of a connection. A write fails if the client reads nothing for
/// [`TimeLimits::write`].
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    waiting: Waiting,
    /// The bytes that were read of a head that has not ended.
    head_bytes: usize,
    /// The places for large heads, and the one of this connection.
    large_heads: Arc<Semaphore>,
    large_head: Option<OwnedSemaphorePermit>,
    /// Runs while bytes wait that the system does not take.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Wraps an accepted connection.
    pub(crate) fn new(stream: TcpStream, waiting: Waiting, large_heads: Arc<Semaphore>) -> Self {
        // Responses are written whole, so waiting to fill a packet would only delay them.
        let set = stream.set_nodelay(true).and_then(|()| {
            // The system doubles the number for its own overhead.
            SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES)
        });
        if let Err(cause) = set {
            tracing::debug!(%cause, "cannot set an option of a socket");
        }
        Self { stream, waiting, head_bytes: 0, large_heads, large_head: None, stuck: None }
    }

    /// Counts bytes that were read. Fails if they belong to a large head and too many others do, too.
    fn admit(&mut self, length: usize) -> io::Result<()> {
        if self.waiting.is_in_request() {
            (self.head_bytes, self.large_head) = (0, None);
            return Ok(());
        }
        self.head_bytes += length;
        if self.head_bytes > SMALL_HEAD_BYTES && self.large_head.is_none() {
            let place = Arc::clone(&self.large_heads).try_acquire_owned();
            self.large_head = Some(place.map_err(|_| {
                tracing::debug!(
                    "a connection ends: too many others have sent half of a large head"
                );
                io::Error::from(ErrorKind::OutOfMemory)
            })?);
        }
        Ok(())
    }

    /// Returns the result of a write of `bytes`, which may be `Pending` for a limited time only.
    fn limited(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            // A response begins after the end of the head.
            (self.head_bytes, self.large_head) = (0, None);
            self.stuck = None;
            self.waiting.sent();
            return written;
        }
        let limit = self.waiting.0.limits.write;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stuck.as_mut().poll(cx));
        self.stuck = None;
        // The system reports that it takes bytes only when a third of its buffer is free. Before
        // that, a client that reads slowly has made some room.
        let socket = SockRef::from(&self.stream);
        match socket.send(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // Bytes that the client has not read are dropped.
                drop(socket.set_linger(Some(Duration::ZERO)));
                tracing::debug!("a connection ends: its client does not read");
                Poll::Ready(Err(ErrorKind::TimedOut.into()))
            }
            sent => Poll::Ready(sent),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let length = buffer.filled().len() - before;
        if length > 0 {
            this.waiting.received();
            if let Err(error) = this.admit(length) {
                return Poll::Ready(Err(error));
            }
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.limited(cx, written, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        let first = slices.iter().find(|slice| !slice.is_empty());
        this.limited(cx, written, first.map_or(&[], |slice| slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
