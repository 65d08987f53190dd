//! `tagboat policy test`: the surface that people and checks use before anything is deployed.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tagboat_testkit::DockerRegistry;

/// Exit code, standard output, standard error.
fn test(folder: &Path, policy: &str, tags: Option<&str>, more: &[&str]) -> (i32, String, String) {
    std::fs::write(folder.join("policy.yaml"), policy).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagboat"));
    command.current_dir(folder).args(["policy", "test", "--policy", "policy.yaml"]).env("DOCKER_CONFIG", folder);
    if tags.is_some() {
        command.args(["--tags", "-"]);
    }
    command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = tags.unwrap_or_default().to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json_of(folder: &Path, policy: &str, tags: Option<&str>, more: &[&str]) -> (i32, Value) {
    let (code, out, error) = test(folder, policy, tags, &[more, &["--output", "json"]].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}")))
}

const SEMVER: &str = "policy: { semver: { range: \"^1.4\" } }\n";

#[test]
fn selected_none_and_invalid_have_their_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let tags = "1.4.0\r\n1.10.0\n\n2.0.0\nlatest\n1.11.0-rc.1\n.dot\n1.4.0\n";
    let (code, answer) = json_of(folder.path(), SEMVER, Some(tags), &[]);
    assert_eq!((code, &answer["selected"]), (0, &json!({ "tag": "1.10.0" })));
    assert_eq!(
        answer["counts"],
        json!({ "selected": 1, "lowerThanSelected": 1, "outsideRange": 1, "notAVersion": 1, "prereleaseNotAdmitted": 1, "notATag": 1 })
    );
    let reasons = answer["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 6);
    assert_eq!(
        reasons[0],
        json!({ "tag": "1.4.0", "code": "lowerThanSelected", "text": "1.4.0 is lower than selected 1.10.0" })
    );

    let (code, answer) = json_of(folder.path(), SEMVER, Some("2.0.0\n"), &[]);
    assert_eq!((code, &answer["selected"]), (3, &Value::Null));
    let (code, answer) = json_of(folder.path(), SEMVER, Some(""), &[]);
    assert_eq!((code, answer), (3, json!({ "selected": null, "reasons": [], "counts": {} })));

    for (policy, more, expect) in [
        ("policy: { semver: { range: \"1x\" } }\n", &[][..], "policy.yaml:1:28: `1x` is not a version range"),
        (
            "policy: { semver: { range: \"*\" } }\nfilterTags: { pattern: \"(\" }\n",
            &[],
            "policy.yaml:2:24: `(` is not a regular expression",
        ),
        (
            "policy: { semver: { range: \"*\" } }\nfilterTags: { pattern: \"^v(.*)\", extract: \"$2\" }\n",
            &[],
            "policy.yaml:2:",
        ),
        ("policy: { newest: {} }\nmaximumJump: minor\n", &[], "policy.yaml:2:14: `maximumJump` compares versions"),
        ("filterTags: { pattern: x }\n", &[], "policy.yaml:1:1: the key `policy` is missing"),
        ("polcy: {}\n", &[], "did you mean `policy`?"),
        (SEMVER, &["--current", "not/a/tag"], "is not a tag"),
        (SEMVER, &["--image", "Acme/Web"], "is not an image name"),
        (SEMVER, &["--tags", "nowhere"], "cannot be used multiple times"),
    ] {
        let (code, out, error) = test(folder.path(), policy, Some("1.0.0\n"), more);
        assert_eq!((code, out.as_str()), (2, ""), "{policy}");
        assert!(error.contains(expect), "{policy}: {error}");
    }
    let (code, _, error) = test(folder.path(), SEMVER, None, &[]);
    assert!(code == 2 && error.contains("--tags <FILE>"), "{error}");
    let (code, _, error) = test(folder.path(), SEMVER, Some("1.0.0 yesterday\n"), &[]);
    assert!(code == 2 && error.contains("standard input:1: `yesterday` is not a point in time"), "{error}");
}

#[test]
fn what_runs_bounds_the_choice_and_people_read_it_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let (_, text, _) = test(
        folder.path(),
        "policy: { semver: { range: \"*\" } }\nmaximumJump: minor\nexclude: [\"-debug\"]\n",
        Some("1.3.0\n1.4.1\n1.5.0-debug\n2.0.0\n"),
        &["--current", "1.4.0"],
    );
    assert_eq!(
        text,
        "selected 1.4.1
  1.4.1 is the best tag that semver `*` admits
      1 belowCurrent
        1.3.0 is below 1.4.0, which runs now; Tagboat does not go down by itself (`allowDowngrade: true` permits it)
      1 excludedByPattern
        1.5.0-debug is excluded by pattern `-debug`
      1 beyondMaximumJump
        2.0.0 is too far from 1.4.0, which runs now (`maximumJump: minor`)
"
    );
    let newest = "policy: { newest: {} }\n";
    let (code, answer) =
        json_of(folder.path(), newest, Some("a 2024-01-01T00:00:00Z\nb 2024-01-02T00:00:00+01:00\nc\n"), &[]);
    assert_eq!((code, &answer["selected"]["tag"]), (0, &json!("b")));
    assert_eq!(answer["counts"]["buildTimeUnknown"], 1);
}

#[test]
fn a_hundred_thousand_tags_are_counted_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let mut tags: String = (0..99_998).map(|number| format!("0.{}.{}\n", number / 300, number % 300)).collect();
    tags += "1.5.0\nmain\n";
    let (code, answer) = json_of(folder.path(), SEMVER, Some(&tags), &["--show", "3"]);
    assert_eq!((code, &answer["counts"]), (0, &json!({ "selected": 1, "outsideRange": 99_998, "notAVersion": 1 })));
    assert_eq!(answer["reasons"].as_array().unwrap().len(), 5);
    let (_, answer) = json_of(folder.path(), SEMVER, Some(&tags), &[]);
    assert_eq!(answer["reasons"].as_array().unwrap().len(), 100_000);
}

#[tokio::test]
async fn the_registry_is_asked_for_tags_and_about_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(None);
    registry.push_image("acme/web", "1.4.0", "a").await;
    let digest = registry.push_index("acme/web", "1.5.0", "b").await;
    registry.push_chart("acme/web", "1.6.0").await;
    let image = format!("{}/acme/web", registry.host());
    let (code, answer) = json_of(folder.path(), SEMVER, None, &["--image", &image]);
    assert_eq!((code, &answer["selected"]), (0, &json!({ "tag": "1.5.0", "digest": digest })));
    assert_eq!(answer["counts"], json!({ "selected": 1, "lowerThanSelected": 1, "notAnImage": 1 }));

    let arm = format!("{SEMVER}platforms: [linux/amd64, linux/arm64]\n");
    registry.push_image("acme/web", "1.7.0", "c").await;
    let (_, answer) = json_of(folder.path(), &arm, None, &["--image", &image]);
    assert_eq!(answer["selected"]["tag"], "1.5.0");
    let text = answer["reasons"].to_string();
    assert!(text.contains("1.7.0 is missing linux/arm64"), "{text}");

    let follow = "policy: { digest: { tag: 1.5.0 } }\n";
    let (_, answer) = json_of(folder.path(), follow, None, &["--image", &image]);
    assert_eq!(answer["selected"], json!({ "tag": "1.5.0", "digest": digest }));
    assert_eq!(answer["counts"], json!({ "followed": 1, "notTheFollowedTag": 3 }));

    // Given tags are confirmed all the same.
    let (code, answer) = json_of(folder.path(), SEMVER, Some("1.4.0\n1.9.9\n"), &["--image", &image]);
    assert_eq!((code, &answer["selected"]["tag"]), (0, &json!("1.4.0")));
    assert_eq!(answer["counts"]["notAtRegistry"], 1);

    let nowhere = format!("{}/acme/nothing", registry.host());
    let (code, _, error) = test(folder.path(), SEMVER, None, &["--image", &nowhere]);
    assert!(code == 1 && error.contains("the registry knows no such repository"), "{error}");
}
