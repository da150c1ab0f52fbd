//! The processor time and the memory of processes.

use std::fs;

use anyhow::{Context, Result};

/// The unit of the times in `/proc`, which is the same on every Linux.
const TICK_US: f64 = 10_000.0;

/// Returns the processor time of all threads of a process so far, in microseconds.
pub fn microseconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name, which may contain blanks.
    let fields = stat.rsplit_once(')').context("/proc/PID/stat")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    let ticks: Vec<f64> = ticks.collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() * TICK_US)
}

/// Returns the resident memory of a process in MiB.
pub fn resident_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    Ok(resident.context("/proc/PID/status")?.trim().parse::<f64>()? / 1024.0)
}
