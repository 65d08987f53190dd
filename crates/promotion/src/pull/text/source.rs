//! What changed between two images: from their labels to a link and a list of commits.
//!
//! Asks nobody: what lies between two revisions was found out before, where the forge told us.

use tagboat_model::{ForgeKind, ForgeTraits};

use super::markdown;
use crate::pull::{LaneChange, Story};

/// Commits that are named per image.
const MOST_COMMITS: usize = 20;
/// Images whose changes are named.
const MOST_IMAGES: usize = 20;

/// The changes of all images.
pub(super) fn section(changes: &[LaneChange<'_>], traits: &ForgeTraits) -> Option<String> {
    if changes.is_empty() {
        return None;
    }
    let is_one = changes.len() == 1;
    let mut parts = vec!["### Changes".to_owned()];
    for change in changes.iter().take(MOST_IMAGES) {
        let lines = lines(&change.story, traits).join("\n");
        parts.push(if is_one {
            lines
        } else {
            format!("**{}**: {lines}", markdown::text(change.decision.entry.as_str()))
        });
    }
    if changes.len() > MOST_IMAGES {
        parts.push(format!("And {} more images.", changes.len() - MOST_IMAGES));
    }
    Some(parts.join("\n\n"))
}

fn lines(story: &Story, traits: &ForgeTraits) -> Vec<String> {
    let (source, from, to) = match between(story) {
        Ok(known) => known,
        Err(why) => return vec![format!("No list of changes: {why}.")],
    };
    let range = format!("{}…{}", short(from), short(to));
    let address = match &story.comparison {
        Some(comparison) => Some(comparison.url.clone()),
        None => compare_address(&source, from, to, traits),
    };
    let whose = markdown::link(&markdown::text(source.trim_start_matches("https://")), &source);
    let Some(address) = address else {
        return vec![format!("`{range}` of {whose}; this host's address of a comparison is not known.")];
    };
    let linked = markdown::link(&format!("`{range}`"), &address);
    let Some(comparison) = &story.comparison else { return vec![format!("{linked} of {whose}")] };
    let commits = comparison.commits.iter().take(MOST_COMMITS);
    let id = |id: &str| if is_revision(id) { markdown::code(short(id)) } else { markdown::text(id) };
    let mut listed: Vec<String> =
        commits.map(|(of, subject)| format!("- {} {}", id(of), markdown::text(subject))).collect();
    let more = comparison.total.max(comparison.commits.len()).saturating_sub(listed.len());
    if more > 0 {
        listed.push(format!("- and {more} more"));
    }
    let count = match comparison.total {
        1 => "1 commit".to_owned(),
        total => format!("{total} commits"),
    };
    let mut lines = vec![format!("{linked} of {whose}, {count}"), String::new()];
    lines.extend(listed);
    lines
}

/// The source and its two revisions, or why they are not known.
fn between(story: &Story) -> Result<(String, &str, &str), String> {
    let Some(source) = &story.source else {
        return Err("the image has no label `org.opencontainers.image.source`".to_owned());
    };
    let source = source.trim().trim_end_matches('/').trim_end_matches(".git");
    if !source.starts_with("https://") || markdown::safe_address(source).is_none() {
        return Err("the image's label `org.opencontainers.image.source` is not an `https` address".to_owned());
    }
    let label = "no label `org.opencontainers.image.revision`";
    match (story.revisions.0.as_deref(), story.revisions.1.as_deref()) {
        (_, None) => Err(format!("the image has {label}")),
        (None, _) => Err(format!("the image that runs now has {label}")),
        (Some(from), Some(to)) if !is_revision(from) || !is_revision(to) => {
            Err("the images' labels `org.opencontainers.image.revision` are not ids of commits".to_owned())
        }
        (Some(from), Some(to)) if from == to => Err(format!("both images were built from {}", markdown::code(from))),
        (Some(from), Some(to)) => Ok((source.to_owned(), from, to)),
    }
}

fn is_revision(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= 100 && text.bytes().all(is_plain) && !text.contains("..")
}

/// Enough of an id for people.
fn short(revision: &str) -> &str {
    if revision.len() >= 40 { revision.get(..12).unwrap_or(revision) } else { revision }
}

/// Where the host of the source compares two revisions, if we know such hosts.
fn compare_address(source: &str, from: &str, to: &str, traits: &ForgeTraits) -> Option<String> {
    let host = host_of(source)?;
    let kind = if Some(host) == host_of(&traits.web) { Some(traits.kind) } else { kind_of(host) };
    match kind? {
        ForgeKind::Gitlab => Some(format!("{source}/-/compare/{from}...{to}")),
        ForgeKind::Github | ForgeKind::Gitea | ForgeKind::Forgejo => Some(format!("{source}/compare/{from}...{to}")),
    }
}

fn host_of(address: &str) -> Option<&str> {
    address.strip_prefix("https://")?.split('/').next()
}

fn kind_of(host: &str) -> Option<ForgeKind> {
    match host {
        "github.com" => Some(ForgeKind::Github),
        "codeberg.org" => Some(ForgeKind::Forgejo),
        "gitea.com" => Some(ForgeKind::Gitea),
        "gitlab.com" => Some(ForgeKind::Gitlab),
        host if host.starts_with("gitlab.") => Some(ForgeKind::Gitlab),
        host if host.starts_with("github.") => Some(ForgeKind::Github),
        host if host.starts_with("gitea.") => Some(ForgeKind::Gitea),
        host if host.starts_with("forgejo.") => Some(ForgeKind::Forgejo),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_compare_at_their_own_addresses() {
        let traits = |kind, web: &str| ForgeTraits { kind, web: web.to_owned(), drafts: true, sigil: '#' };
        let own = traits(ForgeKind::Gitlab, "https://code.example.org/ops/deploy");
        for (source, expected) in [
            ("https://github.com/acme/web", Some("https://github.com/acme/web/compare/a...b")),
            ("https://gitlab.example.com/acme/web", Some("https://gitlab.example.com/acme/web/-/compare/a...b")),
            ("https://codeberg.org/acme/web", Some("https://codeberg.org/acme/web/compare/a...b")),
            ("https://code.example.org/acme/web", Some("https://code.example.org/acme/web/-/compare/a...b")),
            ("https://other.example.org/acme/web", None),
        ] {
            assert_eq!(compare_address(source, "a", "b", &own).as_deref(), expected, "{source}");
        }
    }

    #[test]
    fn why_there_is_no_list_is_said() {
        let why = |source: Option<&str>, from: Option<&str>, to: Option<&str>| {
            let story = Story {
                source: source.map(str::to_owned),
                revisions: (from.map(str::to_owned), to.map(str::to_owned)),
                ..Story::default()
            };
            between(&story).unwrap_err()
        };
        let source = Some("https://github.com/acme/web.git");
        assert_eq!(why(None, None, None), "the image has no label `org.opencontainers.image.source`");
        assert_eq!(why(source, Some("a"), None), "the image has no label `org.opencontainers.image.revision`");
        assert_eq!(
            why(source, None, Some("a")),
            "the image that runs now has no label `org.opencontainers.image.revision`"
        );
        assert_eq!(why(source, Some("a"), Some("a")), "both images were built from `a`");
        for (source, from) in
            [("git@github.com:acme/web", "a"), ("http://github.com/acme/web", "a"), ("https://x/y", "../x")]
        {
            assert!(why(Some(source), Some(from), Some("b")).contains("org.opencontainers.image"), "{source}");
        }
    }
}
