//! What the load costs this machine: memory and CPU time of the process, told apart by the names of its threads.
//!
//! The mock tenants and the checking of outputs run in the same process as the engine, and what they cost must not be
//! booked to it. Where the system tells nothing of threads there are no such figures.

use std::collections::HashMap;

/// Threads of the mock tenants begin like this.
const MOCK: &str = "mock";

/// The thread that checks outputs.
pub(super) const CHECKER: &str = "load-check";

/// Memory of the process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Now.
    pub(super) resident: Option<u64>,
    /// The most since its start.
    pub(super) peak: Option<u64>,
}

/// CPU seconds of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cpu {
    /// Of the mock tenants' threads.
    pub(super) mock: f64,
    /// Of everything else but the checking of outputs: the engine, and the load's own counting.
    pub(super) engine: f64,
}

impl Cpu {
    /// What was used since then.
    pub(super) fn since(self, before: Self) -> Self {
        Self { mock: (self.mock - before.mock).max(0.0), engine: (self.engine - before.engine).max(0.0) }
    }
}

/// Splits the process's CPU seconds by the names of its threads. What ended threads have used is the engine's.
fn split(total: f64, threads: &HashMap<String, f64>) -> Cpu {
    let of = |is: fn(&str) -> bool| threads.iter().filter(|(name, _)| is(name)).map(|(_, cpu)| cpu).sum::<f64>();
    let (mock, checker) = (of(|name| name.starts_with(MOCK)), of(|name| name == CHECKER));
    Cpu { mock, engine: (total - mock - checker).max(0.0) }
}

/// The process's memory.
#[cfg(target_os = "linux")]
pub(super) fn memory() -> Memory {
    let Ok(status) = procfs::process::Process::myself().and_then(|process| process.status()) else {
        return Memory::default();
    };
    Memory { resident: status.vmrss.map(|kb| kb * 1024), peak: status.vmhwm.map(|kb| kb * 1024) }
}

/// The process's CPU time.
#[cfg(target_os = "linux")]
pub(super) fn cpu() -> Option<Cpu> {
    let ticks = procfs::ticks_per_second() as f64;
    let process = procfs::process::Process::myself().ok()?;
    let seconds = |stat: &procfs::process::Stat| (stat.utime + stat.stime) as f64 / ticks;
    let total = seconds(&process.stat().ok()?);
    let mut threads: HashMap<String, f64> = HashMap::new();
    // A thread may end while it is looked at.
    for stat in process.tasks().ok()?.flatten().filter_map(|task| task.stat().ok()) {
        *threads.entry(stat.comm.clone()).or_default() += seconds(&stat);
    }
    Some(split(total, &threads))
}

/// The process's memory: not told here.
#[cfg(not(target_os = "linux"))]
pub(super) fn memory() -> Memory {
    Memory::default()
}

/// The process's CPU time: not told here.
#[cfg(not(target_os = "linux"))]
pub(super) fn cpu() -> Option<Cpu> {
    let _: fn(f64, &HashMap<String, f64>) -> Cpu = split;
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_told_apart_by_the_names_of_threads() {
        let threads = [("mock-tenant", 2.0), ("mock-host-1", 1.0), ("load-check", 4.0), ("actix-rt|0", 3.0)];
        let threads = threads.into_iter().map(|(name, cpu)| (name.to_owned(), cpu)).collect();
        // Half a second is of a thread that is gone.
        assert_eq!(split(10.5, &threads), Cpu { mock: 3.0, engine: 3.5 });
        let before = Cpu { mock: 1.0, engine: 1.5 };
        assert_eq!(split(10.5, &threads).since(before), Cpu { mock: 2.0, engine: 2.0 });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_memory_and_cpu_time() {
        let Memory { resident, peak } = memory();
        assert!(resident.unwrap() > 1 << 20 && peak.unwrap() >= resident.unwrap() / 2);
        assert!(cpu().is_some());
    }
}
