//! What several commands say of what senders send. Texts of strangers are made fit for a terminal here; how they are
//! coloured is for whoever prints them.

use tagboat_intake::{Kind, UNNAMED_REGISTRY};
use tagboat_model::{
    Decision, Event, Gate, ImageName, ImagePushed, Reason, RepositoryChange, RepositoryChanged, Trust, is_bidirectional,
};

/// A text of somebody else in one line, whole. Control characters and those that turn the direction of writing are
/// shown by their numbers: with them a text could pass itself off as another.
pub(super) fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_bidirectional(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The word for how far a sender proved who it is, as JSON has it.
pub(super) fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Url => "url",
        Trust::Token => "token",
        Trust::Signed => "signed",
    }
}

/// What proves a sender of this trust.
pub(super) fn proof(trust: Trust) -> &'static str {
    match trust {
        Trust::Url => "it knows an address that is a secret, and nothing else proves it",
        Trust::Token => "a shared secret travels with the request",
        Trust::Signed => "the body is signed, or a token of an issuer came with it",
    }
}

/// What the events of such a sender may do.
pub(super) fn may(kind: Kind, trust: Trust) -> &'static str {
    match trust {
        Trust::Url => "its events may cause a look at the registry, and supply nothing",
        Trust::Signed if kind.is_ci() => "its events may put versions forward, and announce them",
        Trust::Token | Trust::Signed => "its events may put versions forward",
    }
}

/// `1 event`, `2 events`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// An image as a body names it: where no registry is known, without one.
fn image(image: &ImageName) -> String {
    if image.registry() == UNNAMED_REGISTRY { image.repository().to_owned() } else { image.to_string() }
}

/// What an event says, in one line.
pub(super) fn event(event: &Event) -> String {
    match event {
        Event::ImagePushed(pushed) => pushed_in_words(pushed),
        Event::BuildFinished(build) => {
            let mut text = format!("a build of {} ended well", safe(&build.repository));
            add(&mut text, " on ", build.reference.as_deref());
            add(&mut text, " at ", build.revision.as_deref());
            add(&mut text, " by ", build.actor.as_deref());
            text
        }
        Event::RepositoryChanged(change) => changed_in_words(change),
        Event::InstallationsChanged { account } => {
            format!("a change of the repositories that {} gives", safe(account))
        }
    }
}

/// ` in #12`, for a decision that a pull request carries.
pub(crate) fn pull_request(decision: &Decision) -> String {
    let number = decision.reasons.iter().find_map(|reason| match reason {
        Reason::InPullRequest { number, .. } => Some(*number),
        _ => None,
    });
    number.map(|number| format!(" in #{number}")).unwrap_or_default()
}

/// `gate soak passed: …`, and `waits: soak …` for one that has not passed.
pub(crate) fn gate(gate: &Gate) -> String {
    let before = if gate.is_passed() { "gate" } else { "waits:" };
    format!("{before} {}", safe(&gate.to_string()))
}

fn pushed_in_words(pushed: &ImagePushed) -> String {
    let mut text = format!("{}:{}", image(&pushed.image), pushed.tag);
    add(&mut text, " @ ", pushed.claimed_digest.as_ref().map(|digest| digest.short()));
    add(&mut text, " by ", pushed.actor.as_deref());
    add(&mut text, " at ", pushed.pushed_at.map(|at| at.to_string()).as_deref());
    if let Some(source) = &pushed.source {
        add(&mut text, ", built from ", source.repository.as_deref());
        add(&mut text, ", revision ", source.revision.as_deref());
        add(&mut text, ", run ", source.run.as_deref());
    }
    text
}

fn changed_in_words(change: &RepositoryChanged) -> String {
    let what = match change.change {
        RepositoryChange::BranchMoved => "a push",
        RepositoryChange::PullRequest => "a pull request",
        RepositoryChange::Review => "a review",
        RepositoryChange::Comment => "a comment",
        RepositoryChange::Status => "a status",
    };
    let mut text = what.to_owned();
    add(&mut text, " #", change.number.map(|number| number.to_string()).as_deref());
    add(&mut text, " at ", change.addresses.first().map(String::as_str));
    add(&mut text, ", branch ", change.branch.as_ref().map(|branch| branch.as_str()));
    add(&mut text, ", commit ", change.commit.as_ref().map(|commit| commit.as_str()));
    add(&mut text, ", by ", change.actor.as_deref());
    text
}

/// Add what is there, with what leads to it.
fn add(text: &mut String, before: &str, what: Option<&str>) {
    if let Some(what) = what {
        text.push_str(before);
        text.push_str(&safe(what));
    }
}

#[cfg(test)]
mod tests {
    use tagboat_model::{BuildFinished, Source, Timestamp};

    use super::*;

    #[test]
    fn what_strangers_write_cannot_command_a_terminal() {
        assert_eq!(safe("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\u{a}b");
        assert_eq!(safe("1.5.0\u{202e}0.6.1"), "1.5.0\\u{202e}0.6.1");
        assert_eq!(safe("Zoë ✓ 日本"), "Zoë ✓ 日本");
    }

    #[test]
    fn events_are_told_with_all_that_is_known_of_them() {
        let mut pushed = ImagePushed::new("ghcr.io/acme/web".parse().unwrap(), "1.5.0".parse().unwrap(), None);
        assert_eq!(event(&Event::ImagePushed(pushed.clone())), "ghcr.io/acme/web:1.5.0");
        pushed.claimed_digest = Some(format!("sha256:{}", "0".repeat(64)).parse().unwrap());
        pushed.actor = Some("ann\u{7}".to_owned());
        pushed.pushed_at = Some(Timestamp(1_795_662_000_000));
        pushed.source = Some(Source { repository: Some("acme/web".to_owned()), ..Source::default() });
        assert_eq!(
            event(&Event::ImagePushed(pushed)),
            "ghcr.io/acme/web:1.5.0 @ sha256:000000000000 by ann\\u{7} at 2026-11-26T03:00:00Z, built from acme/web"
        );
        let unnamed = ImageName::at(UNNAMED_REGISTRY, "acme/web").unwrap();
        assert_eq!(image(&unnamed), "acme/web");
        let build = BuildFinished {
            repository: "acme/web".to_owned(),
            revision: None,
            reference: Some("main".to_owned()),
            actor: None,
        };
        assert_eq!(event(&Event::BuildFinished(build)), "a build of acme/web ended well on main");
        let change = RepositoryChanged {
            addresses: vec!["https://github.com/acme/config".to_owned()],
            change: RepositoryChange::PullRequest,
            branch: Some("main".parse().unwrap()),
            commit: None,
            number: Some(7),
            actor: None,
        };
        assert_eq!(
            event(&Event::RepositoryChanged(change)),
            "a pull request #7 at https://github.com/acme/config, branch main"
        );
    }
}
