//! Programs whose clocks a test sets. libfaketime adds to the time what a file says.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use tempfile::TempDir;
use testkit::{Host, Rng};

/// The seconds by which a clock is first set ahead and back, each for a second, and then the range of
/// jumps that are up to chance.
const JUMPS: [i64; 4] = [60, 0, -60, 0];
const RANGE: std::ops::RangeInclusive<i64> = -60..=60;

/// The programs that share a clock. All others have the right time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Redis.
    Server,
    /// The first receiver.
    Receiver,
    /// The first processor.
    Processor,
    Authentication,
    /// All services, as on one machine.
    Services,
}

/// The clocks of a deployment.
pub(crate) struct Clocks(TempDir);

impl Clocks {
    pub(crate) fn start() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Returns the library that changes the time, where Debian's package `faketime` has it.
    pub(crate) fn library() -> String {
        format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH)
    }

    /// Returns this machine with another clock. It is right at first.
    pub(crate) fn host(&self, clock: Clock) -> Host {
        self.set(clock, 0);
        let file = self.0.path().join(format!("{clock:?}"));
        // jemalloc, which Debian's Redis uses, asks for the time before libfaketime is ready, so that the
        // allocator of the C library has to come first.
        let library = format!("LD_PRELOAD={}:libc.so.6", Self::library());
        let file = format!("FAKETIME_TIMESTAMP_FILE={}", file.display());
        let settings = ["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"];
        let words = ["env", &library, &file].into_iter().chain(settings).collect::<Vec<_>>();
        Host::new(Ipv4Addr::LOCALHOST, &words)
    }

    /// Sets a clock ahead, back and right again, and then twenty times at random.
    pub(crate) async fn jump(&self, clock: Clock, chance: &mut Rng) {
        for seconds in JUMPS {
            self.set(clock, seconds);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        for _ in 0..20 {
            self.set(clock, chance.i64(RANGE));
            tokio::time::sleep(Duration::from_millis(chance.u64(50..250))).await;
        }
        self.set(clock, 0);
    }

    /// Replaces the file, so that no program reads a part of it.
    fn set(&self, clock: Clock, seconds: i64) {
        let file = self.0.path().join(format!("{clock:?}"));
        let new = file.with_extension("new");
        fs::write(&new, format!("{seconds:+}s\n")).unwrap();
        fs::rename(new, file).unwrap();
    }
}
