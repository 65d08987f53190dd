//! Whose turn it is, and who is left out.

use tagboat_model::BranchKey;
use tagboat_ports::{Finish, Store};

use super::{at, delivery, lease, quiet_branch, served};

pub(super) async fn what_is_parked_waits_for_newer_work_or_a_start(store: &dyn Store) {
    quiet_branch(store).await;
    let park = async |number: u32, now: i64| {
        store.accept(delivery(number, &number.to_string(), "1.0.0", at(now))).await.unwrap();
        let work = lease(store, at(now + 10)).await.unwrap();
        let failed = Finish::Failed { error: "a fault".to_owned(), swept: false, again_at: at(now + 20), parked: true };
        store.finish(&work, failed, at(now + 11)).await.unwrap();
    };
    park(1, 0).await;
    assert_eq!(lease(store, at(5000)).await, Err(None), "it is left alone");
    let state = &store.branches().await.unwrap()[0];
    assert_eq!((state.parked_at, state.attempts, state.again_at, state.dirty), (Some(at(11)), 1, None, true));
    park(2, 6000).await;
    store.release_orphans().await.unwrap();
    let state = &store.branches().await.unwrap()[0];
    assert_eq!((state.parked_at, state.attempts), (None, 2), "whoever starts may be mended");
    let work = lease(store, at(7000)).await.unwrap();
    store.finish(&work, served(), at(7001)).await.unwrap();
    let state = &store.branches().await.unwrap()[0];
    assert_eq!((state.parked_at, state.attempts, state.dirty), (None, 0, false));
}

/// However much one has to do, the next one's turn comes with the next work that is taken.
pub(super) async fn tenants_and_repositories_take_turns(store: &dyn Store) {
    let key = |tenant: &str, repository: &str, branch: &str| BranchKey {
        tenant: tenant.parse().unwrap(),
        repository: repository.parse().unwrap(),
        branch: branch.parse().unwrap(),
    };
    let busy: Vec<BranchKey> = (1..=4).map(|number| key("busy", "one", &format!("b{number}"))).collect();
    store.know_branches(&busy, at(0)).await.unwrap();
    store.know_branches(&[key("busy", "two", "main")], at(1)).await.unwrap();
    store.know_branches(&[key("quiet", "one", "main")], at(2)).await.unwrap();
    let mut taken = Vec::new();
    for second in 10..16 {
        let work = lease(store, at(second)).await.unwrap();
        taken.push((work.key.tenant.to_string(), work.key.repository.to_string()));
    }
    let of = |tenant: &str, repository: &str| taken.iter().position(|(t, r)| t == tenant && r == repository).unwrap();
    assert!(of("quiet", "one") <= 1, "{taken:?}");
    assert!(of("busy", "two") <= 2, "{taken:?}");
}
