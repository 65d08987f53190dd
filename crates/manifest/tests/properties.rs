//! What holds for every document: bytes outside of the edited scalars stay, an edit taken back gives the file that was, a
//! parser that has nothing in common with ours reads the same but for the version, and the cheap look hides nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::fmt::Write as _;

use proptest::prelude::*;
use tagboat_manifest::{NewVersion, apply, find, may_name_images, mentions, rewrite};
use tagboat_model::{Edit, Pin, Reference, ScalarStyle, Version};

mod second_parser;

const OLD_DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const NEW_DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// What stands in a generated document.
#[derive(Debug, Clone)]
enum Piece {
    Plain(String, String),
    Comment(String),
    Block(String),
    Image { key: &'static str, style: u8, digest: bool, comment: bool },
    Map { style: u8, flow: bool, registry: bool, digest: u8 },
    Nested(Vec<Self>),
    Items(Vec<Self>),
}

fn piece() -> impl Strategy<Value = Piece> {
    let key = "[a-z]{1,6}";
    let leaf = prop_oneof![
        (key, "[ -~äß]{0,12}").prop_map(|(key, text)| Piece::Plain(key, format!("'{}'", text.replace('\'', "''")))),
        (key, "[a-z0-9.]{1,8}").prop_map(|(key, text)| Piece::Plain(key, text)),
        "[ -~]{0,20}".prop_map(Piece::Comment),
        "[ -~]{1,20}".prop_map(Piece::Block),
        (prop_oneof![Just("image"), Just("proxyImage"), Just("initImage")], 0_u8..5, any::<bool>(), any::<bool>())
            .prop_map(|(key, style, digest, comment)| Piece::Image { key, style, digest, comment }),
        (0_u8..3, any::<bool>(), any::<bool>(), 0_u8..3).prop_map(|(style, flow, registry, digest)| Piece::Map {
            style,
            flow,
            registry,
            digest
        }),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..5).prop_map(Piece::Nested),
            prop::collection::vec(inner, 1..4).prop_map(Piece::Items),
        ]
    })
}

/// A document as text. Keys are numbered, so that none stands twice.
fn render(pieces: &[Piece], indent: usize, number: &mut u32, text: &mut String) {
    let pad = " ".repeat(indent);
    for piece in pieces {
        *number += 1;
        let n = *number;
        let _ = match piece {
            Piece::Plain(key, value) => writeln!(text, "{pad}{key}{n}: {value}"),
            Piece::Comment(comment) => writeln!(text, "{pad}# {comment}"),
            Piece::Block(line) => writeln!(text, "{pad}b{n}: |\n{pad}  x{line}\n"),
            Piece::Image { key, style, digest, comment } => {
                let digest = if *digest { format!("@{OLD_DIGEST}") } else { String::new() };
                let image = format!("ghcr.io/acme/web:1.4.0{digest}");
                let comment = if *comment { "   # \"tag: 1.4.0\"" } else { "" };
                let value = match style {
                    0 => format!("{image}{comment}"),
                    1 => format!("'{image}'{comment}"),
                    2 => format!("\"{image}\"{comment}"),
                    3 => format!("&a{n} {image}{comment}"),
                    _ => format!(">-{comment}\n{pad}    {image}"),
                };
                writeln!(text, "{pad}w{n}:\n{pad}  {key}: {value}")
            }
            Piece::Map { style, flow, registry, digest } => map(text, &pad, n, (*style, *flow, *registry, *digest)),
            Piece::Nested(inner) => {
                let _ = writeln!(text, "{pad}n{n}:");
                let _ = writeln!(text, "{pad}  first{n}: 1");
                render(inner, indent + 2, number, text);
                Ok(())
            }
            Piece::Items(inner) => {
                let _ = writeln!(text, "{pad}l{n}:");
                for item in inner {
                    *number += 1;
                    let _ = writeln!(text, "{pad}- i{}: 1", *number);
                    render(std::slice::from_ref(item), indent + 2, number, text);
                }
                Ok(())
            }
        };
    }
}

fn map(
    text: &mut String,
    pad: &str,
    n: u32,
    (style, flow, registry, digest): (u8, bool, bool, u8),
) -> std::fmt::Result {
    let tag = ["1.4.0", "'1.4.0'", "\"1.4.0\""][usize::from(style)];
    let name =
        if registry { vec!["registry: ghcr.io", "repository: acme/web"] } else { vec!["repository: ghcr.io/acme/web"] };
    let digest = match digest {
        0 => None,
        1 => Some("digest: \"\"".to_owned()),
        _ => Some(format!("digest: {OLD_DIGEST}")),
    };
    let mut keys: Vec<String> = name.into_iter().map(str::to_owned).collect();
    keys.push(format!("tag: {tag}"));
    keys.extend(digest);
    match flow {
        true => writeln!(text, "{pad}image{n}: {{{}}} # after", keys.join(", ")),
        false => writeln!(text, "{pad}image{n}:\n{pad}  {}", keys.join(&format!("\n{pad}  "))),
    }
}

fn document() -> impl Strategy<Value = String> {
    (prop::collection::vec(piece(), 1..8), any::<bool>(), any::<bool>()).prop_map(|(pieces, windows, bare_end)| {
        let mut text = String::from("head: 1\n");
        render(&pieces, 0, &mut 0, &mut text);
        if bare_end {
            text.truncate(text.trim_end().len());
        }
        if windows { text.replace('\n', "\r\n") } else { text }
    })
}

fn version(tag: &str, digest: &str) -> Version {
    Version { tag: tag.parse().unwrap(), digest: digest.parse().unwrap() }
}

fn edits(references: &[Reference], version: &Version) -> Vec<Edit> {
    let rewrite = |reference: &Reference| rewrite(reference, NewVersion::from(version), Pin::Keep).unwrap();
    references.iter().flat_map(rewrite).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn an_edit_changes_its_bytes_and_nothing_else(text in document(), tag in prop_oneof![Just("2.0.0"), Just("v3"), Just("2.10"), Just("20240101")]) {
        let found = find("values.yaml", text.as_bytes(), &[]).unwrap();
        let written = text.matches("acme/web").count();
        prop_assert_eq!(found.references.len(), written, "every image is found once: {:#?}", found);
        let web = "ghcr.io/acme/web".parse().unwrap();
        prop_assert!(written == 0 || (mentions("values.yaml", text.as_bytes(), &web) && may_name_images("values.yaml", text.as_bytes())));

        let new = version(tag, NEW_DIGEST);
        let wanted = edits(&found.references, &new);
        let after = apply("values.yaml", text.as_bytes(), &wanted, &[]).unwrap();
        // Outside of the scalars every byte is the same.
        let mut outside = (text.clone(), String::from_utf8(after.clone()).unwrap());
        let again = find("values.yaml", &after, &[]).unwrap().references;
        for (list, text) in [(&found.references, &mut outside.0), (&again, &mut outside.1)] {
            let mut spans: Vec<_> = list.iter().flat_map(|reference| reference.scalars()).map(|scalar| scalar.span.clone()).collect();
            spans.sort_by_key(|span| std::cmp::Reverse(span.start));
            spans.into_iter().for_each(|span| text.replace_range(span, ""));
        }
        prop_assert_eq!(outside.0, outside.1);
        prop_assert!(again.iter().all(|reference| reference.carries(&new, Pin::Keep)));

        // The other parser reads the same, but for the version, as text.
        let mut changed = Vec::new();
        let (old_values, new_values) = (second_parser::read(&text), second_parser::read(std::str::from_utf8(&after).unwrap()));
        prop_assert_eq!(old_values.len(), new_values.len());
        old_values.iter().zip(&new_values).for_each(|(old, new)| second_parser::differences(old, new, &mut changed));
        for (old, new) in &changed {
            prop_assert_eq!(&old.replace("1.4.0", tag).replace(OLD_DIGEST, NEW_DIGEST), new);
        }
        prop_assert_eq!(changed.len(), wanted.len());

        // And back again. What had to be quoted stays quoted, which reads the same.
        let back = apply("values.yaml", &after, &edits(&again, &version("1.4.0", OLD_DIGEST)), &[]).unwrap();
        let requoted = found.references.iter().any(|reference| {
            let plain = reference.scalars().iter().any(|scalar| scalar.style == ScalarStyle::Plain);
            plain && tag.parse::<f64>().is_ok()
        });
        let back = String::from_utf8(back).unwrap();
        prop_assert!(back == text || (requoted && second_parser::read(&back) == second_parser::read(&text)));
    }

    #[test]
    fn no_text_is_too_odd_and_what_is_found_can_be_edited_or_says_why(text in "(image|tag|repository|[ -~]|[:{}\\[\\]#&*!|>'\"\n\t-]|ghcr.io/acme/web:1|\\{\\{ x \\}\\}|ä){0,40}") {
        for file in ["a.yaml", "kustomization.yaml", "compose.yaml", ".argocd-source-a.yaml", "Dockerfile", "a.json"] {
            let Ok(found) = find(file, text.as_bytes(), &[]) else { continue };
            prop_assert!(found.references.is_empty() || may_name_images(file, text.as_bytes()), "{}", file);
            for reference in &found.references {
                prop_assert!(mentions(file, text.as_bytes(), &reference.image));
                let Ok(edits) = rewrite(reference, NewVersion::from(&version("2.0.0", NEW_DIGEST)), Pin::Keep) else { continue };
                if let Ok(after) = apply(file, text.as_bytes(), &edits, &[]) {
                    prop_assert_eq!(find(file, &after, &[]).unwrap().references.len(), found.references.len());
                }
            }
        }
        let _ = tagboat_manifest::markers(text.as_bytes());
    }
}
