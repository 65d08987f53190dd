//! One file per sender: what its bodies say. How it proves itself stands in `credential/`.

mod acr;
mod aliyun;
mod cdevents;
mod cloudevents;
mod distribution;
mod dockerhub;
mod ecr;
mod gar;
mod generic;
mod git_host;
mod gitea;
mod github;
mod gitlab;
mod harbor;
mod jfrog;
mod nexus;
mod quay;
mod zot;

use crate::{
    Kind,
    read::{Context, Read, Unreadable},
};

/// Read a body as this kind of sender writes it.
pub(crate) fn read(kind: Kind, context: &Context<'_>, body: &[u8]) -> Result<Read, Unreadable> {
    match kind {
        Kind::Acr => acr::read(context, body),
        Kind::Aliyun => aliyun::read(context, body),
        Kind::Cdevents => cdevents::read(context, body),
        Kind::Cloudevents => cloudevents::read(context, body),
        Kind::Distribution => distribution::read(context, body),
        Kind::Dockerhub => dockerhub::read(context, body),
        Kind::Ecr => ecr::read(context, body),
        Kind::Gar => gar::read(context, body),
        Kind::Generic | Kind::GenericOidc => generic::read(context, body),
        Kind::Gitea | Kind::Forgejo => gitea::read(context, body),
        Kind::Github => github::read(context, body),
        Kind::Gitlab => gitlab::read(context, body),
        Kind::Harbor => harbor::read(context, body),
        Kind::Jfrog => jfrog::read(context, body),
        Kind::Nexus => nexus::read(context, body),
        Kind::Quay => quay::read(context, body),
        Kind::Zot => zot::read(context, body),
    }
}
