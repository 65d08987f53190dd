//! The order of announcements, where CI counts its runs.
//!
//! Announcements stand in the order in which they came. A run that was started earlier and announces later is not newer
//! for that: within one stream of runs their numbers decide. Runs of different streams cannot be compared.

use std::collections::BTreeMap;

use tagboat_model::Source;

/// What counts runs: a repository, with the claims that say which of its workflows.
type Stream<'s> = (&'s str, [Option<&'s str>; 3]);

/// The place that each announcement has once slow runs stand where they belong. The places of a stream are handed out
/// again in the order of run and place; what belongs to no stream, or has no number, keeps its own.
#[must_use]
pub fn places_by_run(announced: &[(u64, &Source)]) -> Vec<u64> {
    let mut places: Vec<u64> = announced.iter().map(|(place, _)| *place).collect();
    let mut streams: BTreeMap<Stream<'_>, Vec<(u64, u64, usize)>> = BTreeMap::new();
    for (index, (place, source)) in announced.iter().enumerate() {
        if let Some((stream, run)) = run(source) {
            streams.entry(stream).or_default().push((run, *place, index));
        }
    }
    for mut runs in streams.into_values() {
        let mut free: Vec<u64> = runs.iter().map(|(_, place, _)| *place).collect();
        free.sort_unstable();
        runs.sort_unstable();
        for ((.., index), free) in runs.into_iter().zip(free) {
            if let Some(place) = places.get_mut(index) {
                *place = free;
            }
        }
    }
    places
}

/// The stream of a run, and its number in it.
fn run(source: &Source) -> Option<(Stream<'_>, u64)> {
    let repository = source.repository.as_deref()?;
    let run = source.run.as_deref()?.parse().ok()?;
    let claim = |name: &str| source.claims.get(name).map(String::as_str);
    // GitHub Actions names the file and what it was taken from; other branches count with the same counter.
    let file = claim("workflow_ref").map(|text| text.split_once('@').map_or(text, |(file, _)| file));
    Some(((repository, [claim("workflow"), file, claim("pipeline_slug")]), run))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `repository workflow run`, `-` for nothing.
    fn source(text: &str) -> Source {
        let mut words = text.split(' ').map(|word| (word != "-").then(|| word.to_owned()));
        let (repository, workflow, run) = (words.next().flatten(), words.next().flatten(), words.next().flatten());
        let claims = workflow.into_iter().map(|workflow| ("workflow".to_owned(), workflow)).collect();
        Source { repository, run, claims, ..Source::default() }
    }

    fn places(texts: &[&str]) -> Vec<u64> {
        let sources: Vec<Source> = texts.iter().map(|text| source(text)).collect();
        let announced: Vec<(u64, &Source)> = (1..).map(|place| place * 10).zip(&sources).collect();
        places_by_run(&announced)
    }

    #[test]
    fn a_slow_run_that_announces_later_is_not_newer() {
        assert_eq!(places(&["web ci 8", "web ci 7"]), [20, 10]);
        assert_eq!(places(&["web ci 9", "web ci 7", "web ci 8"]), [30, 10, 20]);
        assert_eq!(places(&["web ci 9", "web ci 10"]), [10, 20], "numbers, not texts");
        assert_eq!(places(&["web ci 8", "api ci 1", "web ci 7"]), [30, 20, 10], "another stream stays where it is");
        assert_eq!(places(&["web ci 7", "web ci 8", "web ci 7"]), [10, 30, 20], "a run may announce twice");
    }

    #[test]
    fn what_cannot_be_compared_keeps_its_place() {
        for texts in [
            ["web ci 8", "web nightly 7"],
            ["web ci 8", "web - 7"],
            ["web ci 8", "api ci 7"],
            ["- ci 8", "- ci 7"],
            ["web ci -", "web ci 7"],
            ["web ci b-8", "web ci b-7"],
            ["web ci 8", "web ci 99999999999999999999"],
        ] {
            assert_eq!(places(&texts), [10, 20], "{texts:?}");
        }
        assert_eq!(places(&[]), [0_u64; 0]);
    }

    #[test]
    fn branches_of_one_workflow_share_its_counter_and_other_files_do_not() {
        let with = |run: &str, file: &str| {
            let mut source = source(&format!("web ci {run}"));
            source.claims.insert("workflow_ref".to_owned(), file.to_owned());
            source
        };
        let main = with("8", "web/.github/workflows/ci.yml@refs/heads/main");
        let tag = with("7", "web/.github/workflows/ci.yml@refs/tags/v1");
        let other = with("7", "web/.github/workflows/other.yml@refs/heads/main");
        assert_eq!(places_by_run(&[(1, &main), (2, &tag)]), [2, 1]);
        assert_eq!(places_by_run(&[(1, &main), (2, &other)]), [1, 2]);
    }
}
