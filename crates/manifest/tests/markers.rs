//! Flux setter markers, case by case as image-automation-controller matches them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use tagboat_manifest::{MarkerPart, markers};

/// The marked values with policy and part, as `value=policy:part`.
fn found(text: &str) -> String {
    let describe = |marked: &tagboat_manifest::Marked| {
        let part = match marked.part {
            MarkerPart::Image => "image",
            MarkerPart::Name => "name",
            MarkerPart::Tag => "tag",
            MarkerPart::Digest => "digest",
        };
        let value = marked.scalar.as_ref().map_or_else(Clone::clone, |scalar| scalar.value.clone());
        format!("{value}={}:{part}", marked.policy)
    };
    markers(text.as_bytes()).unwrap().iter().map(describe).collect::<Vec<_>>().join(" ")
}

#[test]
fn markers_match_as_in_flux() {
    const M: &str = "# {\"$imagepolicy\": \"ns:web\"}";
    let cases: &[(&str, String, &str)] = &[
        ("beside a value", format!("a: x:1 {M}\n"), "x:1=ns:web:image"),
        ("without space", "a: x:1 #{\"$imagepolicy\":\"ns:web\"}\n".to_owned(), "x:1=ns:web:image"),
        ("two signs", format!("a: x:1 #{M}\n"), "x:1=ns:web:image"),
        ("more keys", "a: x # {\"$imagepolicy\": \"ns:web:tag\", \"why\": \"so\"}\n".to_owned(), "x=ns:web:tag"),
        (
            "name and digest",
            "a: x # {\"$imagepolicy\": \"ns:web:name\"}\nb: y # {\"$imagepolicy\": \"ns:web:digest\"}\n".to_owned(),
            "x=ns:web:name y=ns:web:digest",
        ),
        (
            "the last of two keys counts",
            "a: x # {\"$imagepolicy\": \"ns:one\", \"$imagepolicy\": \"ns:two\"}\n".to_owned(),
            "x=ns:two:image",
        ),
        ("text around it", format!("a: x # see {}\nb: y {M} here\n", &M[2..]), ""),
        ("two on one line", format!("a: x {M} {M}\n"), ""),
        ("single quotes", "a: x # {'$imagepolicy': 'ns:web'} \"$imagepolicy\"\n".to_owned(), ""),
        ("a key that is no string", "a: x # {\"$imagepolicy\": \"ns:web\", \"n\": 1}\n".to_owned(), ""),
        (
            "unknown part",
            "a: x # {\"$imagepolicy\": \"ns:web:Tag\"}\nb: y # {\"$imagepolicy\": \"ns/web\"}\n".to_owned(),
            "",
        ),
        ("above a key", format!("{M}\na: x\n"), ""),
        ("on the next line", format!("a: x\n{M}\nb: y\n"), ""),
        ("above an item", format!("l:\n{M}\n- x:1\n- y\n"), "x:1=ns:web:image"),
        ("above an item, indented", format!("l:\n  - a\n  {M}\n  - x:1\n"), "x:1=ns:web:image"),
        ("above an item with a line between", format!("l:\n{M}\n# other\n- x:1\n"), ""),
        ("between key and value", format!("a: {M}\n  x:1\n"), "x:1=ns:web:image"),
        ("inside of braces", format!("a: {{i: x:1, {M}\n  b: 1}}\n"), "x:1=ns:web:image"),
        ("after braces", format!("a: {{i: x}} {M}\n"), ""),
        ("a block's header", format!("a: >- {M}\n  x:1\n"), "x:1=ns:web:image"),
        ("inside of a block", format!("a: |\n  i: x {M}\n"), ""),
        ("an anchor", format!("a: &x v:1 {M}\nb: *x\n"), "v:1=ns:web:image"),
        ("an alias", format!("a: &x v:1\nb: *x {M}\n"), ""),
        ("a key", format!("a: {M}\n  b: 1\n"), ""),
        ("a comment", format!("# a: x {M}\nb: 1\n"), ""),
        ("nothing", format!("a: {M}\nb: 1\n"), ""),
        ("null", format!("a: ~ {M}\n"), "~=ns:web:image"),
        (
            "the long form",
            "a: x # {\"$ref\":\"#/definitions/io.k8s.cli.setters.ns:web:tag\"}\n# \"$imagepolicy\"\n".to_owned(),
            "x=ns:web:tag",
        ),
        ("the long form alone", "a: x # {\"$ref\":\"#/definitions/io.k8s.cli.setters.ns:web:tag\"}\n".to_owned(), ""),
        ("in a list of lists", format!("kind: List\nitems:\n- image: x:1 {M}\n"), "x:1=ns:web:image"),
        ("windows", format!("a: x:1 {M}\r\nb: y {M}\r\n"), "x:1=ns:web:image y=ns:web:image"),
        (
            "a template",
            format!("{{{{ if x }}}}\na: x:1 {M}\nb: {{{{ y }}}} {M}\n{{{{ end }}}}\n"),
            "x:1=ns:web:image a template fills it in=ns:web:image",
        ),
    ];
    for (what, text, expected) in cases {
        assert_eq!(found(text), *expected, "{what}: {text}");
    }
}
