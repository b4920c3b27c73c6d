//! What the kernel says of processes: CPU time; and which CPU this one may use.

use std::fs;

use crate::Error;

/// CPU time of all threads of these processes, in nanoseconds (user and system).
pub(crate) fn cpu_ns(pids: &[u32]) -> Result<u64, Error> {
    let mut sum = 0;
    for pid in pids {
        let tasks = format!("/proc/{pid}/task");
        for task in fs::read_dir(&tasks).map_err(|e| format!("{tasks}: {e}"))? {
            // A thread that ended meanwhile takes its time with it; servers at work do not end theirs.
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split_whitespace().next().ok_or("an empty schedstat")?;
            sum += first.parse::<u64>()?;
        }
    }
    Ok(sum)
}

/// Keeps this process on one CPU.
pub(crate) fn pin(cpu: usize) -> Result<(), Error> {
    // SAFETY: a zeroed set is an empty one; CPU_SET stays inside it for the CPUs of small machines,
    // and the kernel reads as many octets as the set has.
    let done = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if done == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error().into())
    }
}
