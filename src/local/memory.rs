//! How much memory this machine has left, and how much a process has taken. Without a /proc it is not known.
//!
//! Source: `proc_meminfo(5)` `MemAvailable`, `proc_pid_status(5)` `VmHWM`; both are in units of 1024 bytes.

use std::fs;

/// Returns how many bytes new programs may take before the machine begins to swap.
#[must_use]
pub fn available() -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// Returns the most bytes of memory that a process has had so far, without its children. `None` once it has ended.
#[must_use]
pub fn peak_of(process: u32) -> Option<u64> {
    field(&fs::read_to_string(format!("/proc/{process}/status")).ok()?, "VmHWM:")
}

fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read_in_bytes() {
        let meminfo = "MemTotal:       24689764 kB\nMemFree:         1062180 kB\nMemAvailable:   23540072 kB\n";
        assert_eq!(field(meminfo, "MemAvailable:"), Some(23_540_072 * 1024));
        assert_eq!(field("VmPeak:\t  10 kB\nVmHWM:\t    2048 kB\n", "VmHWM:"), Some(2 << 20));
        for odd in ["", "VmHWM:\tmuch\n", "VmHWM:\t12 MB\n", "VmHWM:\t18446744073709551615 kB\n"] {
            assert_eq!(field(odd, "VmHWM:"), None, "{odd}");
        }
    }
}
