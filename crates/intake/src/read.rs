//! What the senders' files share: what they are given, what they give, and the rules for every push.

use serde::Deserialize;
use tagboat_model::{Digest, Event, ImageName, ImagePushed, Source, Tag, Timestamp};

use crate::{Headers, Ignored, TokenClaims, subscription::Subscription};

/// The registry where neither configuration nor the body names one. No such host can exist (RFC 2606).
pub const UNNAMED_REGISTRY: &str = "unnamed.invalid";

/// What a sender's file may look at beside the body.
pub(crate) struct Context<'r> {
    pub(crate) headers: &'r Headers,
    /// The registry of the receiver's configuration.
    pub(crate) registry: Option<&'r str>,
    /// JFrog's repository of the receiver's configuration.
    pub(crate) repository: Option<&'r str>,
    /// What the sender's token proved, when it came with one.
    pub(crate) claims: Option<&'r TokenClaims>,
    /// Whether it is the address of the GitHub App.
    pub(crate) is_app: bool,
}

impl Context<'_> {
    /// The registry: that of the configuration, else what the body claims (the receiver's allow-list decides then).
    pub(crate) fn registry<'c>(&'c self, claimed: Option<&'c str>) -> &'c str {
        self.registry.or(claimed.filter(|host| is_host(host))).unwrap_or(UNNAMED_REGISTRY)
    }
}

/// Whether image names take this for the host of a registry, and not for a folder at Docker Hub.
pub(crate) fn is_host(text: &str) -> bool {
    !text.contains('/') && (text.contains(['.', ':']) || text == "localhost")
}

/// That a body is not what this kind of sender sends.
#[derive(Debug)]
pub(crate) struct Unreadable(pub(crate) String);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// What was found in a body, before the receiver's allow-list is applied.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The sender's own id of this delivery, the same on repetition; none when it has none.
    pub(crate) id: Option<String>,
    pub(crate) events: Vec<Event>,
    pub(crate) ignored: Vec<Ignored>,
    /// A subscription that the sender asks to confirm.
    pub(crate) subscription: Option<Subscription>,
    /// The account that owns what the body is about, where the sender names it.
    pub(crate) owner: Option<String>,
}

impl Read {
    /// Nothing yet, from a delivery with this id. An empty id is none.
    pub(crate) fn of(id: Option<&str>) -> Self {
        Self { id: id.filter(|id| !id.is_empty()).map(str::to_owned), ..Self::default() }
    }

    /// Nothing but the reason why.
    pub(crate) fn nothing(id: Option<&str>, reason: Ignored) -> Self {
        Self { ignored: vec![reason], ..Self::of(id) }
    }

    /// Take a push, if it is one of an image with a tag.
    pub(crate) fn push(&mut self, push: &Push<'_>) {
        match push.event(&mut self.ignored) {
            Ok(event) => self.events.push(Event::ImagePushed(event)),
            Err(reason) => self.ignored.push(reason),
        }
    }
}

/// A push as a body tells of it, every text as it stands there.
#[derive(Debug, Default, Clone)]
pub(crate) struct Push<'p> {
    pub(crate) registry: &'p str,
    pub(crate) repository: &'p str,
    pub(crate) tag: Option<&'p str>,
    pub(crate) digest: Option<&'p str>,
    pub(crate) media_type: Option<&'p str>,
    pub(crate) actor: Option<&'p str>,
    pub(crate) pushed_at: Option<Timestamp>,
    /// Only from CI.
    pub(crate) source: Option<Source>,
}

/// Everything that can be an image. What a manifest is cannot be seen in its media type alone; layers can.
const MANIFESTS: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

/// Names of people and robots are cut to this many characters.
const LONGEST_ACTOR: usize = 200;

impl Push<'_> {
    fn event(&self, notes: &mut Vec<Ignored>) -> Result<ImagePushed, Ignored> {
        let malformed = |error: tagboat_model::ImageError| Ignored::Malformed { detail: error.to_string() };
        let no_tag = || Ignored::NoTag { repository: self.repository.to_owned() };
        if let Some(media_type) = self.media_type.filter(|media_type| !is_manifest(media_type)) {
            return Err(Ignored::NotAManifest { media_type: media_type.to_owned() });
        }
        let tag = self.tag.filter(|tag| !tag.is_empty()).ok_or_else(no_tag)?;
        // Several senders put the digest where the tag stands when there is no tag.
        if tag.parse::<Digest>().is_ok() || tag.starts_with("sha256:") || Some(tag) == self.digest {
            return Err(no_tag());
        }
        let image = ImageName::at(self.registry, self.repository).map_err(malformed)?;
        let tag: Tag = tag.parse().map_err(malformed)?;
        let claimed_digest = self.digest.filter(|digest| !digest.is_empty()).and_then(|digest| {
            // A digest that cannot be read is only a claim less.
            let parsed = digest.parse().ok();
            if parsed.is_none() {
                notes.push(Ignored::MalformedDigest { digest: digest.to_owned() });
            }
            parsed
        });
        let actor = self.actor.filter(|actor| !actor.is_empty());
        let actor = actor.map(|actor| actor.chars().take(LONGEST_ACTOR).collect());
        Ok(ImagePushed { image, tag, claimed_digest, actor, pushed_at: self.pushed_at, source: self.source.clone() })
    }
}

/// Without parameters (`; charset=…`). An empty one says nothing.
fn is_manifest(media_type: &str) -> bool {
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    plain.is_empty() || MANIFESTS.contains(&plain)
}

/// A point in time as RFC 3339 writes it; anything else is none.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// A field that may be missing, null or of another type than expected: only a text counts, and a whole number as its
/// digits. Of any other number it is not known any more how it was written: `1.10` would become the tag `1.1`.
pub(crate) fn lenient_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    })
}
