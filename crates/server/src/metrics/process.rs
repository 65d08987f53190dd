//! What the operating system says of this process. Only Linux does, in `/proc`; elsewhere there is nothing.

use std::fs;

/// Clock ticks per second: on Linux what `/proc` counts in is a hundredth of a second, whatever the kernel ticks in.
const TICKS: f64 = 100.0;

/// What is known.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Usage {
    pub(super) memory: Option<u64>,
    pub(super) processor: Option<f64>,
    pub(super) files: Option<usize>,
}

impl Usage {
    /// As it is now.
    pub(super) fn now() -> Self {
        Self {
            memory: fs::read_to_string("/proc/self/status").ok().and_then(|text| memory(&text)),
            processor: fs::read_to_string("/proc/self/stat").ok().and_then(|text| processor(&text)),
            // The folder that is read is open itself.
            files: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1)),
        }
    }
}

/// `VmRSS: 12345 kB`
fn memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// User and system time are the 14th and 15th field; the second is a name in parentheses that may hold anything.
fn processor(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!(memory("Name:\ttagboat\nVmRSS:\t   20480 kB\n"), Some(20480 * 1024));
        assert_eq!(memory("Name:\ttagboat\n"), None);
        let stat = "7 (a ) name) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 9 0 1 1 1";
        assert_eq!(processor(stat), Some(2.0));
        assert_eq!(processor("nonsense"), None);
    }
}
