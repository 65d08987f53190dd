//! The world of the testkit around the binary that was just built.

use tagboat_testkit::world::WorldSetup;
pub(crate) use tagboat_testkit::world::{CI_SECRET, GIT_PASSWORD, REGISTRY_SECRET, World};

/// The config repository over http with a password.
pub(crate) async fn over_http() -> World {
    World::over_http(WorldSetup::quick(env!("CARGO_BIN_EXE_tagboat"))).await
}

/// The config repository over ssh with a key.
pub(crate) async fn over_ssh() -> World {
    World::over_ssh(WorldSetup::quick(env!("CARGO_BIN_EXE_tagboat"))).await
}
