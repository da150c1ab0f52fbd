use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// The chunks of one direction of a connection that may be on their way at a time.
const ON_THE_WAY: usize = 1024;

/// A TCP proxy that a test can cut, freeze, delay or narrow. It ends with the process of the test.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    is_frozen: Mutex<bool>,
    thawed: Condvar,
    streams: Mutex<Vec<TcpStream>>,
    /// The bytes at which the proxy freezes itself.
    held_back: Mutex<Option<Vec<u8>>>,
    /// The time, in milliseconds, that a chunk is on its way.
    delay: Mutex<Option<(RangeInclusive<u64>, Rng)>>,
    /// The bytes that pass in a second, and when those so far have passed, in each direction.
    line: Mutex<Option<(u32, [Instant; 2])>>,
}

/// The direction to the server, and the one from it.
#[derive(Clone, Copy, Debug)]
enum Direction {
    To,
    From,
}

/// Bytes, and when they arrive.
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards each connection to `port` there.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                shared.forward(client, server);
            }
        });
        Proxy { address, state }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops forwarding in both directions and closes nothing: to the other side it looks as if no data
    /// was sent.
    pub fn freeze(&self) {
        self.state.set_frozen(true);
    }

    /// Freezes as soon as these bytes arrive, which are held back: their receiver gets them late.
    pub fn freeze_before(&self, bytes: &[u8]) {
        *self.state.held_back() = Some(bytes.to_owned());
    }

    pub fn is_frozen(&self) -> bool {
        *self.state.is_frozen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forwards everything again, including the data that arrived meanwhile.
    pub fn thaw(&self) {
        self.state.set_frozen(false);
    }

    /// Delays everything by a random time of this range in milliseconds, in each direction and in order.
    /// Opening a connection is not delayed.
    pub fn delay(&self, milliseconds: RangeInclusive<u64>, chance: Rng) {
        *self.state.delay.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((milliseconds, chance));
    }

    /// Lets this number of bytes pass in a second, in each direction, for all connections together.
    pub fn narrow(&self, bytes_per_second: u32) {
        *self.state.line.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((bytes_per_second, [Instant::now(); 2]));
    }

    /// Closes all connections; new ones are forwarded.
    pub fn cut(&self) {
        for stream in self.state.streams().drain(..) {
            // The peer may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    fn set_frozen(&self, is_frozen: bool) {
        *self.is_frozen.lock().unwrap_or_else(PoisonError::into_inner) = is_frozen;
        self.thawed.notify_all();
    }

    fn wait_for_thaw(&self) {
        let is_frozen = self.is_frozen.lock().unwrap_or_else(PoisonError::into_inner);
        let thawed = self.thawed.wait_while(is_frozen, |is_frozen| *is_frozen);
        drop(thawed.unwrap_or_else(PoisonError::into_inner));
    }

    fn streams(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held_back(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.held_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn freeze_if_held_back(&self, bytes: &[u8]) {
        let is_in = |part: &mut Vec<u8>| bytes.windows(part.len()).any(|found| found == &**part);
        if self.held_back().take_if(is_in).is_some() {
            self.set_frozen(true);
        }
    }

    /// Returns when a chunk of this length arrives that is sent now.
    fn due(&self, direction: Direction, length: usize) -> Instant {
        let mut delay = self.delay.lock().unwrap_or_else(PoisonError::into_inner);
        let delay = delay.as_mut().map_or(0, |(range, chance)| chance.u64(range.clone()));
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let mut passed = Instant::now();
        if let Some((bytes_per_second, busy_until)) = &mut *line {
            let busy_until = &mut busy_until[direction as usize];
            let takes = Duration::from_secs(length as u64) / *bytes_per_second;
            *busy_until = passed.max(*busy_until) + takes;
            passed = *busy_until;
        }
        passed + Duration::from_millis(delay)
    }

    fn forward(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
            self.streams().extend(stream.try_clone());
        }
        if let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) {
            self.copy(Direction::To, client, server);
            self.copy(Direction::From, server_too, client_too);
        }
    }

    /// Copies one direction until either side closes.
    fn copy(self: &Arc<Self>, direction: Direction, mut from: TcpStream, to: TcpStream) {
        let (sender, chunks) = mpsc::sync_channel(ON_THE_WAY);
        let (reading, writing) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let due = reading.due(direction, length);
                let chunk = Chunk { due, bytes: buffer[..length].to_vec() };
                if sender.send(chunk).is_err() {
                    break;
                }
            }
            let _ = from.shutdown(Shutdown::Both);
        });
        thread::spawn(move || writing.write(&chunks, to));
    }

    fn write(&self, chunks: &Receiver<Chunk>, mut to: TcpStream) {
        for Chunk { due, bytes } in chunks {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.freeze_if_held_back(&bytes);
            self.wait_for_thaw();
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}
