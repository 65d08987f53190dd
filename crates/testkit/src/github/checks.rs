//! What a branch demands of a merge, and whether a pull request has it.

use super::{
    state::{Pull, Repository, Review},
    store,
};

/// Whether Git could merge it.
pub(super) fn mergeable(repository: &Repository, pull: &Pull) -> bool {
    store::merged_tree(&repository.folder, &pull.base_id, &pull.head_id).is_some()
}

/// GitHub's word for what stands in the way.
pub(super) fn mergeable_state(repository: &Repository, pull: &Pull) -> &'static str {
    if !mergeable(repository, pull) {
        "dirty"
    } else if pull.draft {
        "draft"
    } else if obstacle(repository, pull).is_some() {
        "blocked"
    } else {
        "clean"
    }
}

/// The last word of everybody who approved or asked for changes.
pub(super) fn standing_reviews(pull: &Pull) -> Vec<&Review> {
    let mut standing: Vec<&Review> = Vec::new();
    for review in pull.reviews.iter().filter(|review| review.state != "COMMENTED") {
        standing.retain(|earlier| earlier.author != review.author);
        standing.push(review);
    }
    standing
}

/// Why the rules of the base branch forbid a merge, in GitHub's words.
pub(super) fn obstacle(repository: &Repository, pull: &Pull) -> Option<String> {
    let protection = repository.protections.get(&pull.base)?;
    let reviews = standing_reviews(pull);
    let approvals = reviews.iter().filter(|review| review.state == "APPROVED").count();
    if protection.required_approvals > 0 && reviews.iter().any(|review| review.state == "CHANGES_REQUESTED") {
        return Some("Changes have been requested.".to_owned());
    }
    if approvals < protection.required_approvals {
        let needed = protection.required_approvals;
        let review = if needed == 1 { "review is" } else { "reviews are" };
        return Some(format!("At least {needed} approving {review} required by reviewers with write access."));
    }
    let missing = protection.required_checks.iter().find(|name| !succeeded(repository, &pull.head_id, name))?;
    Some(match state_of(repository, &pull.head_id, missing) {
        Some(_) => format!("Required status check \"{missing}\" is failing."),
        None => format!("Required status check \"{missing}\" is expected."),
    })
}

fn succeeded(repository: &Repository, commit: &str, name: &str) -> bool {
    state_of(repository, commit, name) == Some(true)
}

/// Whether the newest status or check run of this name succeeded; nothing while it runs or is not there.
fn state_of(repository: &Repository, commit: &str, name: &str) -> Option<bool> {
    let of_runs = repository.check_runs.iter().rev().find(|run| run.commit == commit && run.name == name);
    if let Some(run) = of_runs {
        let conclusion = run.conclusion.as_deref()?;
        return Some(["success", "neutral", "skipped"].contains(&conclusion));
    }
    let of_statuses =
        repository.statuses.iter().rev().find(|status| status.commit == commit && status.context == name)?;
    match of_statuses.state.as_str() {
        "pending" => None,
        state => Some(state == "success"),
    }
}

/// GraphQL's word for the reviews; nothing when none is needed.
pub(super) fn review_decision(repository: &Repository, pull: &Pull) -> Option<&'static str> {
    let required = repository.protections.get(&pull.base).map_or(0, |protection| protection.required_approvals);
    let reviews = standing_reviews(pull);
    let approvals = reviews.iter().filter(|review| review.state == "APPROVED").count();
    if reviews.iter().any(|review| review.state == "CHANGES_REQUESTED") {
        Some("CHANGES_REQUESTED")
    } else if required == 0 {
        (approvals > 0).then_some("APPROVED")
    } else if approvals >= required {
        Some("APPROVED")
    } else {
        Some("REVIEW_REQUIRED")
    }
}
