//! Worlds for tests: real servers on free loopback ports, and the simulator.
//!
//! Never part of the product. Every server is started by the test that needs it and stopped by its own process
//! id when the value is dropped. Here a failure is a panic: it fails the test with its reason.

// Long objects in `json!`.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

mod authority;
pub mod chaos;
mod database;
mod docker_registry;
mod fault_proxy;
mod faulty_disk;
pub mod forge_contract;
mod forge_fake;
mod garbler;
mod git_server;
mod git_work;
mod gitea_fake;
pub mod github;
pub mod github_world;
mod gitlab_fake;
mod http_fake;
pub mod intake_world;
mod oidc_issuer;
mod postgres;
mod process;
pub mod signing;
pub mod simulator;
mod snippets;
mod ssh_server;
pub mod store_contract;
mod tls;
mod token_server;
mod wire;
pub mod world;

pub use authority::{Authority, Flaw, Signer};
pub use database::Database;
pub use docker_registry::{DockerRegistry, REGISTRY_PASSWORDS, REGISTRY_USER};
pub use fault_proxy::{Fault, FaultProxy};
pub use faulty_disk::{AtSync, DiskFaults, EIO, ENOSPC, EROFS, Failing, FaultyDisk, Unsynced};
pub use garbler::Garbler;
pub use git_server::GitServer;
pub use git_work::{BareRepository, deployment, git, other_deployments};
pub use gitea_fake::{GiteaFake, SeenPull};
pub use gitlab_fake::GitlabFake;
pub use http_fake::{Asked, HttpFake, response};
pub use oidc_issuer::OidcIssuer;
pub use postgres::Postgres;
pub use process::{Process, free_port, wait_for_port};
pub use snippets::{jenkins_scripts, yaml_scripts};
pub use ssh_server::SshServer;
pub use tls::TlsAuthority;
pub use token_server::TokenServer;
pub use wire::{Side, Wire};
