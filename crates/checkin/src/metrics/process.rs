//! The program's version, and what Linux knows about the process.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

/// The commit that the program was built from, if the build sets `CHECKIN_REVISION`.
const REVISION: Option<&str> = option_env!("CHECKIN_REVISION");

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
    revision: &'static str,
}

pub(super) fn register(registry: &mut Registry) {
    let build = Family::<Build, Gauge>::default();
    let revision = REVISION.unwrap_or("unknown");
    build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION"), revision }).set(1);
    let help = "The version and the revision of the program; the value is 1";
    registry.register("checkin_build_info", help, build);
    registry.register_collector(Box::new(ThisProcess));
}

/// Reads `/proc/self` when it is asked for. What cannot be read is left out.
#[derive(Debug)]
struct ThisProcess;

impl Collector for ThisProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut write = |name: &str, help: &str, value: Option<Value>| match value {
            Some(Value::Counter(value)) => {
                encode(&mut encoder, name, help, &ConstCounter::new(value))
            }
            Some(Value::Gauge(value)) => encode(&mut encoder, name, help, &ConstGauge::new(value)),
            None => Ok(()),
        };
        for (name, help, value) in measures() {
            write(name, help, value)?;
        }
        Ok(())
    }
}

fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

enum Value {
    Counter(f64),
    Gauge(f64),
}

#[cfg(not(target_os = "linux"))]
fn measures() -> [(&'static str, &'static str, Option<Value>); 0] {
    []
}

#[cfg(target_os = "linux")]
fn measures() -> [(&'static str, &'static str, Option<Value>); 7] {
    use procfs::WithCurrentSystemInfo as _;

    let process = procfs::process::Process::myself().ok();
    let process = process.as_ref();
    let stat = process.and_then(|process| process.stat().ok());
    let stat = stat.as_ref();
    let limit = rlimit::Resource::NOFILE.get_soft().ok().map(|limit| match limit {
        rlimit::INFINITY => f64::INFINITY,
        files => files as f64,
    });
    let ticks = procfs::ticks_per_second() as f64;
    let started = stat.and_then(|stat| {
        Some(procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / ticks)
    });
    let gauge = |value: Option<f64>| value.map(Value::Gauge);
    [
        (
            "process_cpu_seconds",
            "Processor time that the process has used.",
            stat.map(|stat| Value::Counter((stat.utime + stat.stime) as f64 / ticks)),
        ),
        (
            "process_resident_memory_bytes",
            "Memory of the process that is in RAM.",
            gauge(stat.map(|stat| stat.rss_bytes().get() as f64)),
        ),
        (
            "process_virtual_memory_bytes",
            "Address space of the process.",
            gauge(stat.map(|stat| stat.vsize as f64)),
        ),
        ("process_open_fds", "Open file descriptors.", gauge(open_files(limit))),
        ("process_max_fds", "Maximum number of open file descriptors.", gauge(limit)),
        ("process_threads", "Threads.", gauge(stat.map(|stat| stat.num_threads as f64))),
        (
            "process_start_time_seconds",
            "Start of the process, in seconds since 1970.",
            gauge(started),
        ),
    ]
}

/// Returns the number of open file descriptors. To count them takes some; if there is none left, as many are open as the
/// process may have.
#[cfg(target_os = "linux")]
fn open_files(limit: Option<f64>) -> Option<f64> {
    match procfs::process::Process::myself().and_then(|process| process.fd_count()) {
        Ok(files) => Some(files as f64),
        Err(procfs::ProcError::Io(cause, _))
            if cause.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) =>
        {
            limit
        }
        Err(_) => None,
    }
}
