//! From one new tag to the moved ref, for config repositories of 100 to 50,000 files behind Git's smart HTTP server: what
//! scripts need, what Tagboat needs, and what the server needs alone, which is the floor. All in turn, round by round, so
//! that what else the machine does meets all of them. Where files lie decides much: `TMPDIR` says it.

mod far;
mod figures;
mod floor;
mod others;
mod ours;
mod table;
mod ways;
mod whole_path;

use std::{path::Path, process::Command};

use crate::{Setup, say};

/// How many files, when nobody says otherwise.
const SIZES: [usize; 4] = [100, 1_000, 10_000, 50_000];
/// The sizes of which is told where the time goes.
const TABLE_SIZES: [usize; 2] = [1_000, 10_000];
/// The size that is measured from afar, when nobody says otherwise: it takes the settle time each round.
const FAR_SIZE: usize = 1_000;

pub(crate) async fn run(setup: &Setup) {
    let sizes = if setup.files == 0 { SIZES.to_vec() } else { vec![setup.files] };
    let far_size = if setup.files == 0 { FAR_SIZE } else { setup.files };
    say(&format!("{} rounds, http://, times in ms: median (least .. most)", setup.rounds));
    let mut figures = figures::Figures::default();
    for files in &sizes {
        ways::compare(setup.rounds, *files, &mut figures).await;
        whole_path::compare(setup, *files, &mut figures).await;
    }
    for files in sizes.iter().filter(|files| TABLE_SIZES.contains(files) || setup.files != 0) {
        table::show(setup, *files, &mut figures).await;
    }
    far::measure(setup, far_size, &mut figures).await;
    figures.finish(&sizes, far_size);
}

/// A bare repository once more, as it is on disk.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// Where a repository's branch is, as loose refs are written: without starting a program.
fn head(repository: &Path) -> String {
    std::fs::read_to_string(repository.join("refs/heads/main")).unwrap().trim().to_owned()
}

/// The text, with other words in place of those between `before` and the next `after`.
fn replaced(text: &str, before: &str, after: char, words: &str) -> String {
    let start = text.find(before).unwrap() + before.len();
    let end = start + text[start..].find(after).unwrap();
    format!("{}{words}{}", &text[..start], &text[end..])
}
