//! What must hold of every request that is read, whatever is in it.
//!
//! The fuzz targets of senders hold it of what they make up, the tests of `crates/intake` of the bodies that are kept
//! there, whole and broken. Nothing is asserted here: a fault is told, and whoever asked says where it was.

use std::iter;

use tagboat_intake::{
    Accepted, Headers, Ignored, Kind, Receiver, Request, Tenancy, UNNAMED_REGISTRY, Verdict, read_unverified,
};
use tagboat_model::{Event, ImagePushed, Timestamp, Trust};

/// 2026-11-26T03:00:00Z
pub(crate) const NOW: Timestamp = Timestamp(1_795_662_000_000);
/// Events of one request that are acted on.
const MOST_EVENTS: usize = 1000;
/// Of the key of a delivery, in bytes: databases index it.
const LONGEST_KEY: usize = 300;
/// The registry of receivers that have one.
const REGISTRY: &str = "registry.example";

/// Receivers of one kind: without a registry and, where it may be configured, with one.
pub(crate) struct Receivers(Vec<Pair>);

/// Two receivers that differ in the images for which they may speak.
struct Pair {
    every_image: Receiver,
    one_image: Receiver,
}

impl Receivers {
    pub(crate) fn of(kind: Kind) -> Self {
        let registries = iter::once(None).chain(kind.may_have_registry().then_some(Some(REGISTRY)));
        let pair = |registry: Option<&str>| Pair {
            every_image: receiver(kind, registry, "**"),
            one_image: receiver(kind, registry, &image(kind, registry)),
        };
        Self(registries.map(pair).collect())
    }

    /// What is wrong with how a request is read. Nothing, unless there is a mistake in the program.
    pub(crate) fn faults(&self, headers: &Headers, body: &[u8]) -> Vec<String> {
        self.0.iter().flat_map(|pair| pair.faults(headers, body)).collect()
    }
}

fn receiver(kind: Kind, registry: Option<&str>, images: &str) -> Receiver {
    Receiver {
        name: "receiver".parse().expect("it is a name"),
        tenant: "default".parse().expect("it is a name"),
        kind,
        credentials: Vec::new(),
        registry: registry.map(str::to_owned),
        repository: None,
        tenancy: Tenancy::Fixed,
        images: vec![images.parse().expect("it is a pattern")],
    }
}

/// The image of which most of the bodies tell that are kept of this kind, so that an allow-list of it lets some through.
fn image(kind: Kind, registry: Option<&str>) -> String {
    let usual = match kind {
        Kind::Acr => "acme.azurecr.io",
        Kind::Dockerhub => "docker.io",
        Kind::Ecr => "123456789012.dkr.ecr.us-west-2.amazonaws.com",
        Kind::Gar => "europe-west3-docker.pkg.dev",
        Kind::Gitlab => "registry.gitlab.acme.example",
        Kind::Quay => "quay.io",
        kind if kind.needs_registry() => UNNAMED_REGISTRY,
        _ => "ghcr.io",
    };
    let path = match kind {
        Kind::Gar => "acme-prod/images/web",
        Kind::Jfrog => "docker-local/acme/web",
        _ => "acme/web",
    };
    format!("{}/{path}", registry.unwrap_or(usual))
}

impl Pair {
    fn faults(&self, headers: &Headers, body: &[u8]) -> Vec<String> {
        let request = Request { headers, path_token: None, body, received_at: NOW };
        let read = |receiver: &Receiver| read_unverified(receiver, &request, Trust::Signed);
        let (every, one) = (read(&self.every_image), read(&self.one_image));
        let mut faults = [broken_rules(&self.every_image, &every), broken_rules(&self.one_image, &one)].concat();
        if read(&self.every_image) != every {
            faults.push("reading it again gives something else");
        }
        if !only_drops(&self.one_image, &every, &one) {
            faults.push("a shorter allow-list does more than leave out images");
        }
        let (kind, registry) = (self.every_image.kind, self.every_image.registry.as_deref());
        let registry = registry.map_or_else(String::new, |registry| format!(" for {registry}"));
        faults.iter().map(|fault| format!("a receiver of the kind {kind}{registry}: {fault}")).collect()
    }
}

fn pushed(event: &Event) -> Option<&ImagePushed> {
    match event {
        Event::ImagePushed(pushed) => Some(pushed),
        Event::BuildFinished(_) | Event::RepositoryChanged(_) | Event::InstallationsChanged { .. } => None,
    }
}

/// The rules that what was read breaks.
fn broken_rules(receiver: &Receiver, accepted: &Accepted) -> Vec<&'static str> {
    let Accepted { key, events, ignored, verdict, subscription, .. } = accepted;
    let is_unparsable = ignored.iter().any(|reason| matches!(reason, Ignored::Unparsable { .. }));
    let expected = match (events.is_empty(), is_unparsable) {
        (false, _) => Verdict::Accepted,
        (true, true) => Verdict::Unparsable,
        (true, false) => Verdict::Ignored,
    };
    let pushes: Vec<&ImagePushed> = events.iter().filter_map(pushed).collect();
    let is_its_registry = |name: &str| receiver.registry.as_deref().is_none_or(|registry| registry == name);
    let rules = [
        (*verdict == expected, "the verdict does not agree with what was found"),
        (events.len() <= MOST_EVENTS, "more events than one request may bring"),
        (!key.is_empty() && key.len() <= LONGEST_KEY, "the key is empty or too long"),
        (pushes.iter().all(|pushed| receiver.speaks_for(&pushed.image)), "an image that the allow-list does not name"),
        (pushes.iter().all(|pushed| is_its_registry(pushed.image.registry())), "an image of another registry"),
        (pushes.iter().all(|pushed| !pushed.tag.is_artifact_of_another()), "a tag of a signature or the like"),
        (events.iter().all(|event| !event.to_string().is_empty()), "an event without words"),
        (ignored.iter().all(|reason| !reason.to_string().is_empty()), "a reason without words"),
        (events.iter().all(event_reads_back), "an event that does not read back as it is stored"),
        (ignored.iter().all(reason_reads_back), "a reason that does not read back as it is stored"),
        (subscription.iter().all(|asked| is_amazons(&asked.url)), "a subscription at an address that is not Amazon's"),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault).collect()
}

fn event_reads_back(event: &Event) -> bool {
    let text = serde_json::to_string(event);
    text.and_then(|text| serde_json::from_str::<Event>(&text)).is_ok_and(|again| again == *event)
}

fn reason_reads_back(reason: &Ignored) -> bool {
    let text = serde_json::to_string(reason);
    text.and_then(|text| serde_json::from_str::<Ignored>(&text)).is_ok_and(|again| again == *reason)
}

/// Whether `one`, read for an allow-list of one image, is what was read for all of them without the other images.
fn only_drops(receiver: &Receiver, every: &Accepted, one: &Accepted) -> bool {
    let is_named = |event: &&Event| pushed(event).is_none_or(|pushed| receiver.speaks_for(&pushed.image));
    let named: Vec<&Event> = every.events.iter().filter(is_named).collect();
    // Where events beyond the most were cut off, others come in their place.
    let is_cut = every.ignored.iter().any(|reason| matches!(reason, Ignored::TooMany { .. }));
    let same_events = is_cut || named == one.events.iter().collect::<Vec<_>>();
    same_events && every.key == one.key && every.trust == one.trust && every.subscription == one.subscription
}

/// Whether an address is one of Amazon SNS: HTTPS, no user, no port, and `sns.<region>` in a domain of Amazon's own. A
/// host like `sns.s3-us-west-2.amazonaws.com` would be a bucket that anybody may own.
pub(crate) fn is_amazons(address: &str) -> bool {
    let rest = address.strip_prefix("https://sns.").unwrap_or_default();
    let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let region = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"));
    region.and_then(|region| region.rsplit_once('-')).is_some_and(|(words, number)| {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        words.split('-').all(is_word) && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
