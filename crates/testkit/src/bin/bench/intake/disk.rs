//! What the disk does: fsyncs of a file, and those of a process.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// How many times a second 8 KB can be appended to a file and made durable.
pub(crate) fn appends(folder: &Path, length: Duration) -> f64 {
    let mut file = File::create(folder.join("appends")).unwrap();
    let (bytes, begin, mut count) = ([b'x'; 8192], Instant::now(), 0.0);
    while begin.elapsed() < length {
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        count += 1.0;
    }
    count / begin.elapsed().as_secs_f64()
}

/// How many fsyncs a second a process does from now on, as the kernel counts them for `perf`. None where it may not be asked.
pub(crate) async fn fsyncs(process: u32, length: Duration) -> Option<f64> {
    let mut command = Command::new("perf");
    command.args(["stat", "--field-separator", ",", "--pid", &process.to_string()]);
    command.args(["--event", "syscalls:sys_enter_fdatasync,syscalls:sys_enter_fsync"]);
    command.args(["--", "sleep", &length.as_secs().to_string()]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let counts = text.lines().filter(|line| line.contains("syscalls:"));
    let counts: Option<Vec<f64>> = counts.map(|line| line.split(',').next()?.parse().ok()).collect();
    counts.filter(|counts| !counts.is_empty()).map(|counts| counts.iter().sum::<f64>() / length.as_secs_f64())
}
