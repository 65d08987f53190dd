//! `promoteFrom`: that every upstream is there, and that versions enter somewhere.

use tagboat_model::EnvironmentName;
use tagboat_promotion::Environment;

use super::wrong::Wrong;
use crate::problem::unknown_name;

/// The first environment whose upstream is wrong, by its place, and why.
pub(super) fn check(environments: &[Environment]) -> Result<(), (usize, Wrong)> {
    for (place, environment) in environments.iter().enumerate() {
        let Some(upstream) = &environment.promote_from else { continue };
        let wrong = |message: String| Err((place, Wrong::at(&["promoteFrom"], message)));
        if *upstream == environment.name {
            return wrong(format!(
                "`{upstream}` cannot be promoted from itself; name another environment, or remove `promoteFrom`"
            ));
        }
        if find(environments, upstream).is_none() {
            let names: Vec<&str> = environments.iter().map(|environment| environment.name.as_str()).collect();
            return wrong(unknown_name("environment", upstream.as_str(), &names));
        }
        if let Some(chain) = circle(environments, environment) {
            let chain: Vec<String> = chain.iter().map(|name| format!("`{name}`")).collect();
            let chain = chain.join(" from ");
            return wrong(format!(
                "these are promoted in a circle, so no version would ever enter it: {chain}; remove one `promoteFrom`"
            ));
        }
    }
    Ok(())
}

fn find<'e>(environments: &'e [Environment], name: &EnvironmentName) -> Option<&'e Environment> {
    environments.iter().find(|environment| environment.name == *name)
}

/// The way from an environment upwards until it comes back to it, where it does.
fn circle<'e>(environments: &'e [Environment], first: &'e Environment) -> Option<Vec<&'e EnvironmentName>> {
    let mut chain = vec![&first.name];
    let mut here = first;
    // A way that is longer has been somewhere twice, and that circle is told of where it is.
    for _ in environments {
        here = find(environments, here.promote_from.as_ref()?)?;
        chain.push(&here.name);
        if here.name == first.name {
            return Some(chain);
        }
    }
    None
}
