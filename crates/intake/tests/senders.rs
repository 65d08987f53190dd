//! Bodies of each sender, with what becomes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_intake::{Accepted, Headers, Receiver, Refused, Sender, receive, sign_standard_webhook};
use tagboat_model::{Event, Timestamp};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn distribution() -> Receiver {
    Receiver {
        name: "registry".parse().unwrap(),
        tenant: "default".parse().unwrap(),
        sender: Sender::Distribution {
            authorization: vec!["Bearer old".to_owned().into(), "Bearer new".to_owned().into()],
            registry: "registry.example:5000".to_owned(),
        },
        images: vec!["registry.example:5000/acme/*".parse().unwrap()],
    }
}

fn generic() -> Receiver {
    Receiver {
        sender: Sender::Generic { secrets: vec!["s3cret".to_owned().into()] },
        images: vec!["ghcr.io/acme/web".parse().unwrap()],
        ..distribution()
    }
}

fn from_registry(body: &str) -> Result<Accepted, Refused> {
    let headers: Headers = [("Authorization", "Bearer new")].into_iter().collect();
    receive(&distribution(), &headers, body.as_bytes(), NOW)
}

fn from_ci(body: &str) -> Result<Accepted, Refused> {
    let seconds = NOW.0 / 1000;
    let signature = sign_standard_webhook(&"s3cret".to_owned().into(), "job-17", seconds, body.as_bytes());
    let headers = [
        ("webhook-id", "job-17".to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signature),
    ];
    receive(&generic(), &headers.into_iter().collect(), body.as_bytes(), NOW)
}

fn show(result: Result<Accepted, Refused>) -> String {
    let accepted = match result {
        Err(refused) => return format!("refused: {refused}"),
        Ok(accepted) => accepted,
    };
    let mut text = format!("{:?}, key {}\n", accepted.verdict, accepted.key);
    for Event::ImagePushed(event) in accepted.events {
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
    assert_eq!(accepted.events[0].image().registry(), "registry.example:5000");
}

#[test]
fn an_authentic_body_that_cannot_be_read_is_no_refusal() {
    for body in ["", "{", "[]", r#"{"events":7}"#, "\u{feff}{}", &"[".repeat(100_000)] {
        let accepted = from_registry(body).unwrap();
        assert_eq!(format!("{:?}", accepted.verdict), "Unparsable", "{}", &body[..body.len().min(20)]);
    }
    insta::assert_snapshot!(show(from_ci(r#"{"image":7}"#)), @r#"
    Unparsable, key a2fc947faefdf455b4de42f68ff3efe83a289ad764f721411853de8bd5d25dae
    ignored: the body could not be read: invalid type: integer `7`, expected a string at line 1 column 10
    "#);
}

#[test]
fn a_static_header_must_match_one_live_secret() {
    for (header, expect) in
        [("Bearer old", true), ("Bearer new", true), ("bearer new", false), ("Bearer ", false), ("", false)]
    {
        let headers: Headers = [("authorization", header)].into_iter().collect();
        assert_eq!(receive(&distribution(), &headers, br#"{"events":[]}"#, NOW).is_ok(), expect, "{header}");
    }
    insta::assert_snapshot!(show(receive(&distribution(), &Headers::default(), b"", NOW)), @"refused: the header `authorization` is missing or malformed");
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

proptest::proptest! {
    /// No body and no header makes an accepted event without the credential.
    #[test]
    fn nothing_passes_without_the_credential(name in "[a-z-]{0,20}", value in ".{0,40}", body in ".{0,200}") {
        let headers: Headers = [(name, value.clone()), ("authorization".to_owned(), value)].into_iter().collect();
        proptest::prop_assert!(receive(&distribution(), &headers, body.as_bytes(), NOW).is_err());
        proptest::prop_assert!(receive(&generic(), &headers, body.as_bytes(), NOW).is_err());
    }
}
