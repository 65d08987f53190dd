//! GitLab: the contract of forges, against a fake that holds every request and answer against a description.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::sync::Arc;

use secrecy::SecretString;
use tagboat_forge::{
    TransportSettings,
    gitlab::{GitlabForge, TokenSettings},
};
use tagboat_model::Timestamp;
use tagboat_ports::{Clock, Forge as _, ForgeErrorKind};
use tagboat_testkit::{BareRepository, GitlabFake, forge_contract};

struct Frozen;

#[async_trait::async_trait]
impl Clock for Frozen {
    fn now(&self) -> Timestamp {
        Timestamp(1_790_000_000_000)
    }

    async fn sleep_until(&self, _point: Timestamp) {}
}

async fn fake() -> GitlabFake {
    GitlabFake::start(BareRepository::with_files(&[("apps/web.yaml", "image: web:1.0.0\n")])).await
}

fn settings(fake: &GitlabFake, token: &str) -> TokenSettings {
    TokenSettings {
        url: fake.url(),
        api: None,
        repository: fake.repository().to_owned(),
        token: SecretString::from(token),
        name: "config".to_owned(),
    }
}

fn forge(fake: &GitlabFake, token: &str) -> GitlabForge {
    let settings = settings(fake, token);
    GitlabForge::new(&settings, &TransportSettings::default(), Arc::new(Frozen)).unwrap()
}

#[tokio::test]
async fn the_promises_of_forges_are_kept() {
    let fake = fake().await;
    let forge = forge(&fake, fake.token());
    let mut people = fake.people();
    let source = format!("{}/{}.git", fake.url(), fake.repository());
    forge_contract::check(&forge, &mut people, &source).await;
    assert_eq!(fake.failures(), Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_token_is_said_and_not_shown() {
    let fake = fake().await;
    let error = forge(&fake, "wrong-token").bot().await.unwrap_err();
    assert_eq!(error.kind, ForgeErrorKind::Permanent);
    let text = error.to_string();
    assert!(text.starts_with("ask who the bot is at config: ") && !text.contains("wrong-token"), "{text}");
}

#[tokio::test]
async fn a_forge_that_is_not_there_may_be_there_later() {
    let fake = fake().await;
    let mut settings = settings(&fake, "token");
    settings.url = "http://127.0.0.1:1".to_owned();
    let forge = GitlabForge::new(&settings, &TransportSettings::default(), Arc::new(Frozen)).unwrap();
    assert_eq!(forge.bot().await.unwrap_err().kind, ForgeErrorKind::Temporary);
}
