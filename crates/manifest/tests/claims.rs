//! Places that are named in words: paths in YAML, JSON and TOML, regular expressions, and keys that are missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_manifest::{Claim, NewVersion, Place, apply, find, rewrite};
use tagboat_model::{Edit, ExplicitPlace, Locator, Pin, PlacePart, Version};

const DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn claim(locator: Locator, part: PlacePart) -> Claim {
    let place = ExplicitPlace { file: String::new(), locator, part };
    Claim { place: Place::parse(&place).unwrap(), image: "ghcr.io/acme/web".parse().unwrap(), aliases: Vec::new() }
}

fn path(path: &str, part: PlacePart) -> Claim {
    claim(Locator::Path(path.to_owned()), part)
}

fn regex(pattern: &str) -> Claim {
    claim(Locator::Regex(pattern.to_owned()), PlacePart::Image)
}

/// The file after version 2.0.0 came to every claimed place, or why it did not.
fn update(file: &str, text: &str, claims: &[Claim]) -> String {
    let claims: Vec<&Claim> = claims.iter().collect();
    let found = match find(file, text.as_bytes(), &claims) {
        Ok(found) => found,
        Err(unreadable) => return format!("unreadable: {unreadable}"),
    };
    if let Some(place) = found.uneditable.first() {
        return format!("{}: {}", place.line, place.detail);
    }
    let version = Version { tag: "2.0.0".parse().unwrap(), digest: DIGEST.parse().unwrap() };
    let edits: Vec<Edit> = found
        .references
        .iter()
        .filter(|reference| reference.is_versioned(Pin::Keep) && reference.image == claims[0].image)
        .flat_map(|reference| rewrite(reference, NewVersion::from(&version), Pin::Keep).unwrap())
        .collect();
    match apply(file, text.as_bytes(), &edits, &claims) {
        Ok(bytes) => String::from_utf8(bytes).unwrap().replace(DIGEST, "sha256:NEW"),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

#[test]
fn paths_lead_to_values_in_yaml_json_and_toml() {
    let yaml = "web:\n  version: 1.4.0 # the tag\nlist:\n- {name: api, v: '1'}\n- {name: web, v: '1'}\n";
    assert_eq!(
        update("umbrella.yaml", yaml, &[path("web.version", PlacePart::Tag), path("list[name=web].v", PlacePart::Tag)]),
        yaml.replace("1.4.0", "2.0.0").replace("{name: web, v: '1'}", "{name: web, v: '2.0.0'}")
    );
    let chart = "apiVersion: v2\nname: web\nappVersion: \"1.4.0\"\nversion: 0.1.0\n";
    assert_eq!(update("Chart.yaml", chart, &[path("appVersion", PlacePart::Tag)]), chart.replace("1.4.0", "2.0.0"));
    let json = "{\n\t\"deploy\": {\"what\": \"ghcr.io/acme/web:1.4.0\"},\n\t\"digest\": \"sha256:1111111111111111111111111111111111111111111111111111111111111111\"\n}\n";
    assert_eq!(
        update("vars.json", json, &[path("deploy.what", PlacePart::Image), path("digest", PlacePart::Digest)]),
        "{\n\t\"deploy\": {\"what\": \"ghcr.io/acme/web:2.0.0\"},\n\t\"digest\": \"sha256:NEW\"\n}\n"
    );
    let toml = "# fly.io\r\napp = 'web'\r\n[build]\r\nimage = \"ghcr.io/acme/web:1.4.0\" # why\r\n[[http]]\r\nname = \"a\"\r\ntags = ['1.4.0']\r\n";
    assert_eq!(
        update(
            "fly.toml",
            toml,
            &[path("build.image", PlacePart::Image), path("http[name=a].tags[0]", PlacePart::Tag)]
        ),
        toml.replace("1.4.0", "2.0.0")
    );
}

#[test]
fn what_a_path_leads_to_must_be_what_it_was_named_for() {
    let image = |text: &str| update("a.yaml", text, &[path("x", PlacePart::Image)]);
    assert_eq!(image("x: ghcr.io/acme/other:1\n"), "1: it names ghcr.io/acme/other, not ghcr.io/acme/web");
    assert_eq!(image("x: two words\n"), "1: `two words` is no image");
    assert_eq!(image("x: [a]\n"), "1: `x` is no text");
    assert_eq!(image("x:\n"), "1: `x` is empty; write `\"\"`");
    assert_eq!(image("- a\n"), "1: there is no `x` in it");
    assert_eq!(image("x: a\n---\nx: b\n"), "1: several of its documents have `x`");
    assert_eq!(image("x: !!str ghcr.io/acme/web:1\n"), "x: !!str ghcr.io/acme/web:2.0.0\n");
    assert_eq!(update("a.yaml", "x: ${TAG}\n", &[path("x", PlacePart::Tag)]), "1: `${TAG}` is no tag");
    assert_eq!(update("a.toml", "x = 1\n", &[path("x", PlacePart::Tag)]), "1: `x` is no text");
    assert_eq!(update("a.toml", "x = \n", &[path("x", PlacePart::Tag)]).get(..11), Some("unreadable:"));
}

#[test]
fn a_missing_key_is_created_where_somebody_said_that_it_belongs() {
    let tag = |text: &str| update("values.yaml", text, &[path("web.image.tag", PlacePart::Tag)]);
    assert_eq!(
        tag("web:\n  image:\n    repository: r # here\n    # below\nother: 1\n"),
        "web:\n  image:\n    repository: r # here\n    tag: 2.0.0\n    # below\nother: 1\n"
    );
    assert_eq!(
        tag("web:\n  image:\n    repository: ghcr.io/acme/web\n"),
        "web:\n  image:\n    repository: ghcr.io/acme/web\n    tag: 2.0.0\n"
    );
    assert_eq!(tag("web:\r\n  replicas: 1\r\n"), "web:\r\n  replicas: 1\r\n  image:\r\n    tag: 2.0.0\r\n");
    assert_eq!(tag("web:\n  replicas: 1"), "web:\n  replicas: 1\n  image:\n    tag: 2.0.0");
    assert_eq!(tag("web:\n  args:\n  - a\n"), "web:\n  image:\n    tag: 2.0.0\n  args:\n  - a\n");
    assert_eq!(tag("web: {image: {repository: r}}\n"), "web: {image: {repository: r, tag: 2.0.0}}\n");
    assert_eq!(tag("web: {image: {}}\n"), "web: {image: {\"tag\": \"2.0.0\"}}\n");
    assert_eq!(tag("web: {a: 1}\n"), "web: {a: 1, image: {tag: 2.0.0}}\n");
    assert_eq!(tag("web: text\n"), "1: there is no `web.image.tag` in it");
    assert_eq!(
        update("values.json", "{\n  \"web\": {\n    \"a\": 1\n  }\n}", &[path("web.tag", PlacePart::Tag)]),
        "{\n  \"web\": {\n    \"a\": 1,\n    \"tag\": \"2.0.0\"\n  }\n}"
    );
    assert_eq!(
        update("values.yaml", "items:\n- name: web\n", &[path("items[name=web].image", PlacePart::Image)]),
        "items:\n- name: web\n  image: ghcr.io/acme/web:2.0.0\n"
    );
    // A key that is there and says nothing is filled.
    assert_eq!(update("values.yaml", "tag: \"\"\n", &[path("tag", PlacePart::Tag)]), "tag: \"2.0.0\"\n");
}

#[test]
fn regular_expressions_reach_text_of_any_kind() {
    let hcl = "image = \"ghcr.io/acme/web:1.4.0\" # web\nother = \"ghcr.io/acme/api:1.4.0\"\n";
    let pattern = "= \"(?P<image>[^\"]+)\"";
    assert_eq!(update("main.tf", hcl, &[regex(pattern)]), hcl.replace("web:1.4.0", "web:2.0.0"));
    let jsonnet = "local web = { repo: 'ghcr.io/acme/web', tag: '1.4.0' };\nlocal api = { repo: 'ghcr.io/acme/api', tag: '1.4.0' };\n";
    let pattern = r"repo: '(?P<repository>[^']+)', tag: '(?P<tag>[^']+)'";
    assert_eq!(
        update("main.jsonnet", jsonnet, &[regex(pattern)]),
        jsonnet.replace("web', tag: '1.4.0", "web', tag: '2.0.0")
    );
    let script = "#!/bin/sh\r\nVERSION=1.4.0\r\n# tagboat: ignore\r\nVERSION=1.3.0\r\n";
    assert_eq!(update("deploy.sh", script, &[regex("^VERSION=(?P<tag>[0-9.]+)")]), script.replace("1.4.0", "2.0.0"));
    // Comments of YAML are text too.
    let yaml = "# web 1.4.0\na: 1\n# end 1.4.0";
    assert_eq!(update("a.yaml", yaml, &[regex("^# (web|end) (?P<tag>[0-9.]+)")]), yaml.replace("1.4.0", "2.0.0"));
    // An edit after which the expression finds something else is refused.
    assert_eq!(
        update("a.sh", "v=1\n", &[regex("v=(?P<tag>[0-9])$")]),
        "refused: more than the intended value would change"
    );
    for (pattern, why) in [
        ("(", "`(` is not a regular expression: unclosed group"),
        ("v=(.*)", "`v=(.*)` has no group for a version; name one `(?P<image>…)`, `(?P<tag>…)` or `(?P<digest>…)`"),
    ] {
        let place =
            ExplicitPlace { file: String::new(), locator: Locator::Regex(pattern.to_owned()), part: PlacePart::Image };
        assert_eq!(Place::parse(&place).unwrap_err().to_string(), why);
    }
}

#[test]
fn a_claim_on_what_another_image_says_is_shared_and_what_is_found_anyway_is_not_repeated() {
    let text = "image: {repository: ghcr.io/acme/api, tag: 1.4.0}\n";
    let claim = path("image.tag", PlacePart::Tag);
    let found = find("values.yaml", text.as_bytes(), &[&claim]).unwrap();
    let shared: Vec<usize> = found.references.iter().map(|reference| reference.shared_with.len()).collect();
    assert_eq!(shared, [1, 1]);
    let text = text.replace("api", "web");
    assert_eq!(find("values.yaml", text.as_bytes(), &[&claim]).unwrap().references.len(), 1);
}
