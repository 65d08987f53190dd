//! Bodies of each sender, with what becomes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tagboat_intake::{
    Accepted, Configured, Denied, Headers, Keys, Kind, Receiver, Refused, Request, Scheme, Tenancy, credentials,
    receive, sign_standard_webhook,
};
use tagboat_model::{Event, Timestamp, Trust};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A receiver of this kind with these secrets that may speak for every image.
fn receiver(kind: Kind, scheme: Option<Scheme>, secrets: &[&str]) -> Receiver {
    let (name, tenant) = ("receiver".parse().unwrap(), "default".parse().unwrap());
    let secrets = secrets.iter().map(|secret| (*secret).to_owned().into()).collect();
    let configured = Configured { scheme, secrets, topics: topics(kind, scheme), ..Configured::default() };
    Receiver {
        credentials: credentials(kind, &tenant, &name, configured).unwrap(),
        name,
        tenant,
        kind,
        registry: kind.needs_registry().then(|| "registry.example:5000".to_owned()),
        repository: None,
        tenancy: Tenancy::Fixed,
        images: vec!["**".parse().unwrap()],
    }
}

fn topics(kind: Kind, scheme: Option<Scheme>) -> Vec<String> {
    let topic = kind == Kind::Ecr && scheme == Some(Scheme::Topic);
    topic.then(|| "arn:aws:sns:eu-central-1:123456789012:pushes".to_owned()).into_iter().collect()
}

fn distribution() -> Receiver {
    let images = vec!["registry.example:5000/acme/*".parse().unwrap()];
    Receiver { images, ..receiver(Kind::Distribution, None, &["Bearer old", "Bearer new"]) }
}

fn generic() -> Receiver {
    Receiver { images: vec!["ghcr.io/acme/web".parse().unwrap()], ..receiver(Kind::Generic, None, &["s3cret"]) }
}

fn taken(receiver: &Receiver, headers: &Headers, body: &[u8]) -> Result<Accepted, Refused> {
    let request = Request { headers, path_token: None, body, received_at: NOW };
    receive(receiver, &request, &Keys::default()).map_err(|denied| match denied {
        Denied::Refused(refused) => refused,
        Denied::Needs(source) | Denied::NeedsNewer(source) => panic!("{source:?}"),
    })
}

fn from_registry(body: &str) -> Result<Accepted, Refused> {
    taken(&distribution(), &[("Authorization", "Bearer new")].into_iter().collect(), body.as_bytes())
}

fn from_ci(body: &str) -> Result<Accepted, Refused> {
    let seconds = NOW.0 / 1000;
    let signature = sign_standard_webhook(&"s3cret".to_owned().into(), "job-17", seconds, body.as_bytes());
    let headers = [
        ("webhook-id", "job-17".to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signature),
    ];
    taken(&generic(), &headers.into_iter().collect(), body.as_bytes())
}

fn show(result: Result<Accepted, Refused>) -> String {
    let accepted = match result {
        Err(refused) => return format!("refused: {refused}"),
        Ok(accepted) => accepted,
    };
    let mut text = format!("{:?}, key {}\n", accepted.verdict, accepted.key);
    for event in accepted.events {
        let Event::ImagePushed(event) = event else { panic!("{event:?}") };
        text += &format!(
            "event {}:{} {:?}\n",
            event.image,
            event.tag,
            event.claimed_digest.map(|digest| digest.short().to_owned())
        );
    }
    for reason in accepted.ignored {
        text += &format!("ignored: {reason}\n");
    }
    text.trim_end().to_owned()
}

fn notification(id: &str, action: &str, media_type: &str, repository: &str, tag: &str) -> String {
    let digest = format!("sha256:{}", "ab".repeat(32));
    format!(
        r#"{{"id":"{id}","timestamp":"2026-11-21T08:00:00.000000001Z","action":"{action}","target":{{"mediaType":"{media_type}","size":1,"digest":"{digest}","length":1,"repository":"{repository}","url":"http://attacker.example/","tag":"{tag}"}},"request":{{"host":"attacker.example"}}}}"#
    )
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[test]
fn distribution_keeps_tagged_manifests_of_its_own_images_and_names_the_rest() {
    let events = [
        notification("1", "push", INDEX, "acme/web", "1.5.0"),
        notification("2", "push", INDEX, "acme/web", ""),
        notification("3", "push", "application/octet-stream", "acme/web", ""),
        notification("4", "pull", INDEX, "acme/web", "1.5.0"),
        notification("5", "push", INDEX, "other/web", "1.5.0"),
        notification("6", "push", INDEX, "acme/web", &format!("sha256-{}.sig", "a".repeat(64))),
        notification("7", "push", INDEX, "acme/Web", "1"),
    ];
    let body = format!(r#"{{"events":[{}]}}"#, events.join(","));
    insta::assert_snapshot!(show(from_registry(&body)), @r#"
    Accepted, key 1+2+3+4+5+6+7
    event registry.example:5000/acme/web:1.5.0 Some("sha256:abababababab")
    ignored: a push to acme/web without a tag
    ignored: `application/octet-stream` is not a manifest
    ignored: `pull` is not a push
    ignored: `registry.example:5000/acme/Web` is not an image name: each part of the path is lower-case letters and digits, joined by one `.`, one or two `_`, or `-`
    ignored: this receiver may not speak for registry.example:5000/other/web; add it to the receiver's `images` if it should
    ignored: sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.sig names a signature, an attestation or referrers
    "#);
}

#[test]
fn the_host_in_the_body_never_chooses_the_registry() {
    let accepted =
        from_registry(&format!(r#"{{"events":[{}]}}"#, notification("1", "push", INDEX, "acme/web", "1"))).unwrap();
    let Event::ImagePushed(pushed) = &accepted.events[0] else { panic!("{accepted:?}") };
    assert_eq!(pushed.image.registry(), "registry.example:5000");
}

#[test]
fn an_authentic_body_that_cannot_be_read_is_no_refusal() {
    for body in ["", "{", "[]", r#"{"events":7}"#, "\u{feff}{}", &"[".repeat(100_000)] {
        let accepted = from_registry(body).unwrap();
        assert_eq!(format!("{:?}", accepted.verdict), "Unparsable", "{}", &body[..body.len().min(20)]);
    }
    insta::assert_snapshot!(show(from_ci(r#"{"image":7}"#)), @r#"
    Unparsable, key job-17
    ignored: the body could not be read: invalid type: integer `7`, expected a string at line 1 column 10
    "#);
}

#[test]
fn a_static_header_must_match_one_live_secret() {
    for (header, expect) in [
        ("Bearer old", true),
        ("Bearer new", true),
        ("bearer new", true),
        ("Basic new", false),
        ("Bearer ", false),
        ("", false),
    ] {
        let headers: Headers = [("authorization", header)].into_iter().collect();
        assert_eq!(taken(&distribution(), &headers, br#"{"events":[]}"#).is_ok(), expect, "{header}");
    }
    insta::assert_snapshot!(show(taken(&distribution(), &Headers::default(), b"")), @"refused: no token: none of the headers authorization is there");
}

#[test]
fn a_signed_announcement_becomes_an_event() {
    insta::assert_snapshot!(show(from_ci(r#"{"image":"ghcr.io/acme/web","tag":"1.5.0","later":"field"}"#)), @r#"
    Accepted, key job-17
    event ghcr.io/acme/web:1.5.0 None
    "#);
    insta::assert_snapshot!(show(from_ci(r#"{"image":"ghcr.io/acme/web","tag":"no good"}"#)), @r#"
    Ignored, key job-17
    ignored: `no good` is not a tag: 1 to 128 letters, digits, `_`, `.`, `-`, not starting with `.` or `-`
    "#);
    insta::assert_snapshot!(show(from_ci(r#"{"image":"ghcr.io/acme/api","tag":"1.5.0"}"#)), @r#"
    Ignored, key job-17
    ignored: this receiver may not speak for ghcr.io/acme/api; add it to the receiver's `images` if it should
    "#);
}

/// As GitHub signs.
fn hub_signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn what_was_signed_is_taken_once_whatever_stands_beside_it_unsigned() {
    let body = br#"{"image":"ghcr.io/acme/web","tag":"1.5.0"}"#;
    // The body alone is signed: the key may be another one each time, what is signed is not.
    let hub = |key: &str| {
        let signature = hub_signature("s3cret", body);
        let headers = [("x-hub-signature-256", signature.as_str()), ("idempotency-key", key)];
        taken(&generic(), &headers.into_iter().collect(), body).unwrap()
    };
    let (one, other) = (hub("one"), hub("other"));
    assert_ne!(one.key, other.key);
    assert!(one.once.is_some() && one.once == other.once, "{:?} {:?}", one.once, other.once);
    let signed = from_ci(std::str::from_utf8(body).unwrap()).unwrap();
    assert_eq!(signed.once.as_deref(), Some("job-17"));
    // A header with a secret signs nothing.
    assert_eq!(from_registry(r#"{"events":[]}"#).unwrap().once, None);
}

/// Every kind, with each of its schemes that needs no published keys.
fn all() -> Vec<Receiver> {
    let pairs = Kind::ALL.into_iter().flat_map(|kind| kind.schemes().iter().map(move |scheme| (kind, *scheme)));
    let pairs = pairs.filter(|(_, scheme)| *scheme != Scheme::Identity);
    let secrets = |scheme| if scheme == Scheme::Topic { &[][..] } else { &["a secret that nobody guesses"][..] };
    pairs.map(|(kind, scheme)| receiver(kind, Some(scheme), secrets(scheme))).collect()
}

#[test]
fn a_receiver_without_a_credential_cannot_be_made_and_lets_nothing_through() {
    let (name, tenant) = ("receiver".parse().unwrap(), "default".parse().unwrap());
    for kind in Kind::ALL {
        for scheme in kind.schemes() {
            let configured = Configured { scheme: Some(*scheme), ..Configured::default() };
            assert!(credentials(kind, &tenant, &name, configured).is_err(), "{kind} {scheme:?}");
        }
    }
    let none = Receiver { credentials: Vec::new(), ..generic() };
    assert_eq!(taken(&none, &Headers::default(), b"{}"), Err(Refused::NoCredential));
}

#[test]
fn a_secret_cannot_travel_in_a_header_that_is_kept() {
    let (name, tenant) = ("receiver".parse().unwrap(), "default".parse().unwrap());
    for (header, fits) in [("X-Hook-Secret", true), ("ce-token", false), ("User-Agent", false), ("webhook-id", false)] {
        let secrets = vec!["s3cret".to_owned().into()];
        let configured = Configured { header: Some(header.to_owned()), secrets, ..Configured::default() };
        assert_eq!(credentials(Kind::Harbor, &tenant, &name, configured).is_ok(), fits, "{header}");
    }
}

#[test]
fn only_what_a_kind_proves_decides_how_far_it_is_believed() {
    for (kind, scheme, trust) in [
        (Kind::Dockerhub, Scheme::Path, Trust::Url),
        (Kind::Acr, Scheme::Path, Trust::Url),
        (Kind::Acr, Scheme::Token, Trust::Token),
        (Kind::Harbor, Scheme::Token, Trust::Token),
        (Kind::Jfrog, Scheme::Token, Trust::Token),
        (Kind::Jfrog, Scheme::Signature, Trust::Signed),
        (Kind::Github, Scheme::Signature, Trust::Signed),
    ] {
        let receiver = receiver(kind, Some(scheme), &["a secret that nobody guesses"]);
        assert!(receiver.credentials.iter().all(|credential| credential.trust() == trust), "{kind} {scheme:?}");
    }
}

/// The headers in which any kind looks for a credential.
const HEADERS: [&str; 12] = [
    "authorization",
    "x-api-key",
    "x-webhook-secret",
    "x-gitlab-token",
    "x-jfrog-event-auth",
    "x-hub-signature-256",
    "x-gitea-signature",
    "x-forgejo-signature",
    "x-nexus-webhook-signature",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    /// No body, no header and no address makes an accepted event without the credential.
    #[test]
    fn nothing_passes_without_the_credential(
        value in "(sha256=|v1,|Bearer |)([0-9a-f]{40}|[0-9a-f]{64}|.{0,40})",
        token in "[0-9a-f]{0,40}",
        body in ".{0,200}",
    ) {
        let now = (NOW.0 / 1000).to_string();
        let headers: Headers = HEADERS
            .into_iter()
            .map(|name| (name, if name == "webhook-timestamp" { now.clone() } else { value.clone() }))
            .collect();
        for receiver in all() {
            let request = Request { headers: &headers, path_token: Some(&token), body: body.as_bytes(), received_at: NOW };
            proptest::prop_assert!(receive(&receiver, &request, &Keys::default()).is_err(), "{:?}", receiver);
        }
    }
}
