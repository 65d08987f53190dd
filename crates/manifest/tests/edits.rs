//! Files as people write them, what is found in them, and the exact bytes that change.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_manifest::{NewVersion, apply, find, mentions, rewrite};
use tagboat_model::{Edit, ImageName, Pin, Version};

const OLD_DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const NEW_DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn web() -> ImageName {
    "ghcr.io/acme/web".parse().unwrap()
}

/// Update every reference to acme/web and return only the lines that changed, or why nothing did.
fn update(path: &str, text: &str, tag: &str, pin: Pin) -> String {
    let version = Version { tag: tag.parse().unwrap(), digest: NEW_DIGEST.parse().unwrap() };
    let references = match find(path, text.as_bytes(), &[]) {
        Ok(found) => found.references,
        Err(unreadable) => return format!("unreadable: {unreadable}"),
    };
    let mut edits: Vec<Edit> = Vec::new();
    for reference in references.iter().filter(|reference| reference.image == web()) {
        match rewrite(reference, NewVersion::from(&version), pin) {
            Ok(more) => edits.extend(more),
            Err(refusal) => return format!("line {} {}: refused: {refusal}", reference.line, reference.location),
        }
    }
    match apply(path, text.as_bytes(), &edits, &[]) {
        Err(refusal) => format!("refused: {refusal}"),
        Ok(bytes) => difference(text, &String::from_utf8(bytes).unwrap()),
    }
}

fn difference(before: &str, after: &str) -> String {
    assert_eq!(before.split_inclusive('\n').count(), after.split_inclusive('\n').count(), "no line comes or goes");
    let pairs = before.split_inclusive('\n').zip(after.split_inclusive('\n')).filter(|(old, new)| old != new);
    let lines: Vec<String> =
        pairs.map(|(old, new)| format!("- {}\n+ {}", old.escape_debug(), new.escape_debug())).collect();
    if lines.is_empty() { "no change".to_owned() } else { lines.join("\n") }
}

#[test]
fn only_the_tag_changes_and_comments_quotes_and_order_stay() {
    let text = "apiVersion: apps/v1\nkind: Deployment\n# a comment\nspec:\n    containers:\n    - image:   \"ghcr.io/acme/web:1.4.0\"   # why\n      name: web\n    - {name: side, image: ghcr.io/acme/web:1.4.0}\n    - image: ghcr.io/acme/other:1.4.0\n";
    insta::assert_snapshot!(update("deployment.yaml", text, "1.5.0", Pin::Keep), @r#"
    -     - image:   \"ghcr.io/acme/web:1.4.0\"   # why\n
    +     - image:   \"ghcr.io/acme/web:1.5.0\"   # why\n
    -     - {name: side, image: ghcr.io/acme/web:1.4.0}\n
    +     - {name: side, image: ghcr.io/acme/web:1.5.0}\n
    "#);
}

#[test]
fn a_digest_beside_the_tag_is_never_left_stale() {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nspec: {{containers: [{{image: 'ghcr.io/acme/web:1.4.0@{OLD_DIGEST}'}}]}}\n"
    );
    insta::assert_snapshot!(update("pod.yaml", &text, "1.5.0", Pin::Keep), @r#"
    - spec: {containers: [{image: \'ghcr.io/acme/web:1.4.0@sha256:1111111111111111111111111111111111111111111111111111111111111111\'}]}\n
    + spec: {containers: [{image: \'ghcr.io/acme/web:1.5.0@sha256:2222222222222222222222222222222222222222222222222222222222222222\'}]}\n
    "#);
    insta::assert_snapshot!(update("pod.yaml", &text, "1.5.0", Pin::Tag), @r#"
    - spec: {containers: [{image: \'ghcr.io/acme/web:1.4.0@sha256:1111111111111111111111111111111111111111111111111111111111111111\'}]}\n
    + spec: {containers: [{image: \'ghcr.io/acme/web:1.5.0\'}]}\n
    "#);
    insta::assert_snapshot!(update("pod.yaml", &text, "1.5.0", Pin::Digest), @r#"
    - spec: {containers: [{image: \'ghcr.io/acme/web:1.4.0@sha256:1111111111111111111111111111111111111111111111111111111111111111\'}]}\n
    + spec: {containers: [{image: \'ghcr.io/acme/web@sha256:2222222222222222222222222222222222222222222222222222222222222222\'}]}\n
    "#);
}

#[test]
fn line_ends_byte_order_mark_and_a_missing_last_line_end_stay() {
    insta::assert_snapshot!(update("a.yaml", "\u{feff}image: ghcr.io/acme/web:1.4.0\r\nb: 1\r\n", "1.5.0", Pin::Keep), @r#"
    - \u{feff}image: ghcr.io/acme/web:1.4.0\r\n
    + \u{feff}image: ghcr.io/acme/web:1.5.0\r\n
    "#);
    insta::assert_snapshot!(update("a.yaml", "b: 1\nimage: ghcr.io/acme/web:1.4.0", "1.5.0", Pin::Keep), @r#"
    - image: ghcr.io/acme/web:1.4.0
    + image: ghcr.io/acme/web:1.5.0
    "#);
}

#[test]
fn a_kustomization_changes_new_tag_and_digest() {
    let text = format!(
        "resources: [../base]\nimages:\n  - name: web\n    newName: ghcr.io/acme/web\n    newTag: 1.4.0 # here\n  - name: ghcr.io/acme/web\n    newTag: \"1.4.0\"\n    digest: {OLD_DIGEST}\n  - name: other\n    newTag: 1.4.0\n"
    );
    insta::assert_snapshot!(update("overlays/dev/kustomization.yaml", &text, "1.5.0", Pin::Keep), @r#"
    -     newTag: 1.4.0 # here\n
    +     newTag: 1.5.0 # here\n
    -     newTag: \"1.4.0\"\n
    +     newTag: \"1.5.0\"\n
    -     digest: sha256:1111111111111111111111111111111111111111111111111111111111111111\n
    +     digest: sha256:2222222222222222222222222222222222222222222222222222222222222222\n
    "#);
    let text = "images:\n  - name: ghcr.io/acme/web\n";
    insta::assert_snapshot!(update("kustomization.yaml", text, "1.5.0", Pin::Keep), @"line 2 images[0].newTag: refused: it has neither tag nor digest; write one, or set `pin`");
    insta::assert_snapshot!(update("kustomization.yaml", text, "1.5.0", Pin::Tag), @"line 2 images[0].newTag: refused: there is no key for the tag; add it with the value that runs now");
}

#[test]
fn helm_values_change_in_map_form_and_in_string_form() {
    let text = "replicas: 2\nimage:\n  registry: ghcr.io\n  repository: acme/web\n  tag: '1.4.0'\n  digest: \"\"\nsidecar:\n  image: ghcr.io/acme/web:1.4.0\nother:\n  image: {repository: ghcr.io/acme/web, tag: 1.4.0}\n";
    insta::assert_snapshot!(update("values.yaml", text, "1.5.0", Pin::Keep), @r#"
    -   tag: \'1.4.0\'\n
    +   tag: \'1.5.0\'\n
    -   image: ghcr.io/acme/web:1.4.0\n
    +   image: ghcr.io/acme/web:1.5.0\n
    -   image: {repository: ghcr.io/acme/web, tag: 1.4.0}\n
    +   image: {repository: ghcr.io/acme/web, tag: 1.5.0}\n
    "#);
}

#[test]
fn a_tag_that_reads_as_a_number_is_quoted() {
    let text = "images:\n  - name: ghcr.io/acme/web\n    newTag: 1.4.0\n";
    insta::assert_snapshot!(update("kustomization.yaml", text, "1.10", Pin::Keep), @r#"
    -     newTag: 1.4.0\n
    +     newTag: \"1.10\"\n
    "#);
    let text = "images:\n  - name: ghcr.io/acme/web\n    newTag: 1.9\n";
    insta::assert_snapshot!(update("kustomization.yaml", text, "1.10", Pin::Keep), @r#"
    -     newTag: 1.9\n
    +     newTag: \"1.10\"\n
    "#);
}

#[test]
fn anchors_and_blocks_are_edited_and_what_has_no_version_is_refused_with_the_reason() {
    insta::assert_snapshot!(update("a.yaml", "image: &i ghcr.io/acme/web:1.4.0\nother: *i\n", "1.5.0", Pin::Keep), @r"
    - image: &i ghcr.io/acme/web:1.4.0\n
    + image: &i ghcr.io/acme/web:1.5.0\n
    ");
    insta::assert_snapshot!(update("a.yaml", "image: >-\n  ghcr.io/acme/web:1.4.0\n", "1.5.0", Pin::Keep), @r"
    -   ghcr.io/acme/web:1.4.0\n
    +   ghcr.io/acme/web:1.5.0\n
    ");
    insta::assert_snapshot!(update("a.yaml", "image: ghcr.io/acme/web\n", "1.5.0", Pin::Keep), @"line 1 image: refused: it has neither tag nor digest; write one, or set `pin`");
    insta::assert_snapshot!(update("t.yaml", "a: {{ .Values.x }}\nimage: ghcr.io/acme/web:{{ .Values.tag }}\n", "1.5.0", Pin::Keep), @"no change");
}

#[test]
fn null_is_nothing_and_placeholders_are_left_alone() {
    let text = "image:\n  repository: ghcr.io/acme/web\n  tag: 1.4.0\n  digest:\n";
    insta::assert_snapshot!(update("values.yaml", text, "1.5.0", Pin::Keep), @r#"
    -   tag: 1.4.0\n
    +   tag: 1.5.0\n
    "#);
    let text = "image:\n  repository: ghcr.io/acme/web\n  tag: null\n";
    insta::assert_snapshot!(update("values.yaml", text, "1.5.0", Pin::Keep), @"line 3 image.tag: refused: it has neither tag nor digest; write one, or set `pin`");
    insta::assert_snapshot!(update("values.yaml", text, "1.5.0", Pin::Tag), @r#"
    -   tag: null\n
    +   tag: 1.5.0\n
    "#);
    let text =
        "images:\n  - name: ghcr.io/acme/web\n    newTag: ${WEB_TAG}\n  - name: web\n    newName:\n    newTag: 1.4.0\n";
    insta::assert_snapshot!(update("kustomization.yaml", text, "1.5.0", Pin::TagAndDigest), @"no change");
}

#[test]
fn what_stands_below_a_key_that_stands_twice_is_locked_and_the_rest_is_not() {
    let text = "web:\n  image: ghcr.io/acme/web:1.4.0\n  image: ghcr.io/acme/web:1.4.0\n";
    insta::assert_snapshot!(update("a.yaml", text, "1.5.0", Pin::Keep), @"line 2 web.image: refused: the key `image` stands in one mapping twice, again in line 3");
    let text = "web:\n  image: ghcr.io/acme/web:1.4.0\nreplicas: 1\nreplicas: 2\n";
    insta::assert_snapshot!(update("a.yaml", text, "1.5.0", Pin::Keep), @r"
    -   image: ghcr.io/acme/web:1.4.0\n
    +   image: ghcr.io/acme/web:1.5.0\n
    ");
}

#[test]
fn files_of_git_the_forge_and_tagboat_are_not_searched() {
    for path in [".gitlab-ci.yml", ".github/workflows/x.yaml", "a/.gitea/x.yaml", "teams/a/.tagboat.yaml", "values.txt"]
    {
        assert!(!tagboat_manifest::is_candidate(path), "{path}");
    }
    assert!(tagboat_manifest::is_candidate("apps/gitea/values.yaml"));
}

#[test]
fn ignore_comments_take_a_line_or_a_file_out() {
    let text = "a: {image: 'ghcr.io/acme/web:1.4.0'} # tagboat: ignore\nb: {image: 'ghcr.io/acme/web:1.4.0'}\n";
    insta::assert_snapshot!(update("a.yaml", text, "1.5.0", Pin::Keep), @r#"
    - b: {image: \'ghcr.io/acme/web:1.4.0\'}\n
    + b: {image: \'ghcr.io/acme/web:1.5.0\'}\n
    "#);
    let text = "# tagboat: ignore-file\nimage: ghcr.io/acme/web:1.4.0\n";
    insta::assert_snapshot!(update("a.yaml", text, "1.5.0", Pin::Keep), @"no change");
}

#[test]
fn every_document_of_a_file_is_searched() {
    let text = "---\nimage: ghcr.io/acme/web:1.4.0\n--- # two\nimage: ghcr.io/acme/web:1.4.0\n...\n";
    insta::assert_snapshot!(update("a.yml", text, "1.5.0", Pin::Keep), @r#"
    - image: ghcr.io/acme/web:1.4.0\n
    + image: ghcr.io/acme/web:1.5.0\n
    - image: ghcr.io/acme/web:1.4.0\n
    + image: ghcr.io/acme/web:1.5.0\n
    "#);
}

#[test]
fn the_cheap_look_finds_short_and_split_names() {
    let nginx: ImageName = "nginx".parse().unwrap();
    let mentions = |bytes: &[u8], image: &ImageName| mentions("a.yaml", bytes, image);
    assert!(mentions(b"image: nginx:1", &nginx) && mentions(b"repository: acme/web", &web()));
    assert!(!mentions(b"image: ghcr.io/acme/api:1", &web()));
    // Put together of parts, or spelt otherwise.
    assert!(mentions(b"{\"image\": \"ghcr.io/acme/\\u0077eb:1\"}", &web()));
    assert!(tagboat_manifest::mentions("Dockerfile", b"ARG X=eb\nFROM ghcr.io/acme/w$X:1", &web()));
}

#[test]
fn an_edit_that_would_change_more_than_its_value_is_refused() {
    let text = "a: one\nb: two # three\nc: [four, five]\n";
    let edit = |span: std::ops::Range<usize>, new: &str| Edit { span, text: new.to_owned() };
    let refused = |edits: &[Edit]| apply("a.yaml", text.as_bytes(), edits, &[]).is_err();
    assert_eq!(
        apply("a.yaml", text.as_bytes(), &[edit(3..6, "1.2.3")], &[]).unwrap(),
        text.replace("one", "1.2.3").as_bytes()
    );
    for (what, wrong) in [
        ("a new key", edit(3..6, "one\nz: 1")),
        ("a part of a scalar with what is behind it", edit(5..7, "x")),
        ("an insertion that is no key with its value", edit(6..6, "\nz")),
        ("an insertion of two keys", edit(6..6, "\ny: 1\nz: 2")),
        ("a scalar that becomes a mapping", edit(3..6, "x: y")),
        ("a scalar that becomes a comment", edit(3..6, "# x")),
        ("one item that becomes two", edit(26..30, "x, y")),
        ("an anchor", edit(3..6, "&x one")),
        ("a tag of YAML", edit(3..6, "!!int 1")),
        ("a quote that swallows the next line", edit(3..6, "\"one")),
    ] {
        assert!(refused(std::slice::from_ref(&wrong)), "{what}: {wrong:?}");
    }
    assert!(refused(&[edit(3..6, "x"), edit(4..6, "y")]), "edits that overlap");
}

#[test]
fn json_stays_json_and_tags_of_applications_stay() {
    let json = |text: &str| update("n.json", text, "v13", Pin::Tag);
    insta::assert_snapshot!(json("{\"image\": {\"repository\": \"ghcr.io/acme/web\", \"tag\": 12}}\n"), @r#"
    - {\"image\": {\"repository\": \"ghcr.io/acme/web\", \"tag\": 12}}\n
    + {\"image\": {\"repository\": \"ghcr.io/acme/web\", \"tag\": \"v13\"}}\n
    "#);
    insta::assert_snapshot!(json("{\"image\": {\"repository\": \"ghcr.io/acme/web\", \"tag\": null}}\n"), @r#"
    - {\"image\": {\"repository\": \"ghcr.io/acme/web\", \"tag\": null}}\n
    + {\"image\": {\"repository\": \"ghcr.io/acme/web\", \"tag\": \"v13\"}}\n
    "#);
    insta::assert_snapshot!(update("compose.yaml", "services:\n  web:\n    image: !override ghcr.io/acme/web:1.4.0\n", "1.5.0", Pin::Keep), @r"
    -     image: !override ghcr.io/acme/web:1.4.0\n
    +     image: !override ghcr.io/acme/web:1.5.0\n
    ");
}

#[test]
fn a_name_with_escapes_on_the_left_of_an_image_stays() {
    let with = |image: &str| {
        let text = format!("spec: {{source: {{kustomize: {{images: [\"{image}\"]}}}}}}\n");
        update("app.yaml", &format!("apiVersion: argoproj.io/v1alpha1\nkind: Application\n{text}"), "1.5.0", Pin::Keep)
    };
    insta::assert_snapshot!(with(r"old\x2dweb=ghcr.io/acme/web:1.4.0"), @r#"
    - spec: {source: {kustomize: {images: [\"old\\x2dweb=ghcr.io/acme/web:1.4.0\"]}}}\n
    + spec: {source: {kustomize: {images: [\"old\\x2dweb=ghcr.io/acme/web:1.5.0\"]}}}\n
    "#);
    // Which of the two texts the bytes are cannot be proved.
    insta::assert_snapshot!(with(r"\x67hcr.io/acme/web:1.4.0=ghcr.io/acme/web:1.4.0"), @"refused: more than the intended value would change");
}

#[test]
fn hostile_files_are_refused_and_do_not_stop_the_process() {
    let deep = "[".repeat(100_000);
    let bomb = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nimage: ghcr.io/acme/web:1.4.0\n";
    assert!(find("a.yaml", deep.as_bytes(), &[]).is_err());
    // Variables that double one another, and merges of merges, come to an end.
    let doubled = |n: usize| format!("ARG A{n}={}\n", format!("${{A{}}}", n - 1).repeat(50));
    let bomb_of_variables: String = (1..9).map(doubled).collect();
    let bomb_of_variables = format!("ARG A0=x\n{bomb_of_variables}FROM ghcr.io/acme/web:${{A8}}\n");
    assert!(find("Dockerfile", bomb_of_variables.as_bytes(), &[]).unwrap().references.is_empty());
    let merged = |n: usize| format!("a{n}: &a{n} {{<<: [{}], repository: x/y}}\n", format!("*a{}, ", n - 1).repeat(50));
    let bomb_of_merges: String = (1..9).map(merged).collect();
    assert!(find("a.yaml", format!("a0: &a0 {{q: 1}}\n{bomb_of_merges}").as_bytes(), &[]).is_ok());
    assert!(find("a.yaml", &[0xff, 0xfe, 0x00], &[]).is_err());
    assert_eq!(find("a.yaml", bomb.as_bytes(), &[]).unwrap().references.len(), 1);
}

proptest::proptest! {
    /// Whatever stands around it, an edit changes the bytes of the one scalar and nothing else.
    #[test]
    fn bytes_outside_the_scalar_never_change(before in "([a-z]{1,5}: [ -~]{0,20}\n){0,5}", after in "(\n[a-z]{1,5}: [ -~]{0,20}){0,5}") {
        let text = format!("{before}web:\n  image: ghcr.io/acme/web:1.4.0{after}");
        if let Ok(found) = find("a.yaml", text.as_bytes(), &[]) {
            let version = Version { tag: "1.5.0".parse().unwrap(), digest: NEW_DIGEST.parse().unwrap() };
            for reference in found.references.iter().filter(|reference| reference.image == web()) {
                if let Ok(bytes) = rewrite(reference, NewVersion::from(&version), Pin::Keep).and_then(|edits| apply("a.yaml", text.as_bytes(), &edits, &[])) {
                    proptest::prop_assert_eq!(String::from_utf8(bytes).unwrap(), text.replace("acme/web:1.4.0", "acme/web:1.5.0"));
                }
            }
        }
    }
}
