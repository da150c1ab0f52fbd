//! Processor time, cores and memory.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// Pins this process and its child processes to one core.
pub fn pin_to(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores)
        .with_context(|| format!("cannot pin the driver to core {core}"))
}

/// Returns the user and system time of all threads of a process so far.
pub fn time_of(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} has an unexpected format"))?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the clock rate is unknown")?;
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// Returns the resident memory of a process in KiB.
pub fn resident_kib(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    let resident = resident.with_context(|| format!("{path} has no resident memory"))?;
    Ok(resident.trim().parse()?)
}

/// Returns fields 14 and 15. The second field is a name with any characters, so fields are counted
/// from its end.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let mut number = || fields.next()?.parse::<u64>().ok();
    Some(number()? + number()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_contain_any_characters() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 200 30 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some(230));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn the_time_and_memory_of_this_process_are_read() {
        assert!(time_of(std::process::id()).is_ok());
        assert!(resident_kib(std::process::id()).is_ok_and(|resident| resident > 100));
    }
}
