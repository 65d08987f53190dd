//! `tagboat update`: what pipelines use in place of `sed`.

use std::fs;

use serde_json::json;

use crate::folder::{NEW_DIGEST, OLD_DIGEST, git, in_json, read, tagboat, write};

#[test]
fn update_replaces_sed_and_says_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let deployment = "# keep\r\nimage:   'ghcr.io/acme/web:1.4.0'  # why\r\n";
    let values = "image: {repository: ghcr.io/acme/web, tag: 1.4.0}\napi: {image: \"ghcr.io/acme/api:1.4.0\"}";
    write(folder.path(), &[("a/deployment.yaml", deployment), ("b/values.yaml", values)]);
    let update = |more: &[&str]| tagboat(folder.path(), &[&["update", "."], more].concat());

    let (code, text, _) = update(&["--image", "ghcr.io/acme/web:1.5.0", "--dry-run"]);
    assert_eq!(code, 5);
    assert!(text.contains("-image:   'ghcr.io/acme/web:1.4.0'  # why\r\n+image:   'ghcr.io/acme/web:1.5.0'"), "{text}");
    assert!(text.ends_with("2 references in 2 files would be updated\n"), "{text}");
    assert_eq!(read(folder.path(), "a/deployment.yaml"), deployment, "nothing is written");

    let (code, text, _) = update(&["--image", "ghcr.io/acme/web:1.5.0"]);
    assert_eq!(
        (code, text.as_str()),
        (
            0,
            "a/deployment.yaml\n  2:10     ghcr.io/acme/web  1.4.0 -> 1.5.0\nb/values.yaml\n  1:44     ghcr.io/acme/web  1.4.0 -> 1.5.0\n2 references in 2 files updated\n"
        )
    );
    assert_eq!(read(folder.path(), "a/deployment.yaml"), deployment.replace("1.4.0", "1.5.0"));
    assert_eq!(read(folder.path(), "b/values.yaml"), values.replacen("1.4.0", "1.5.0", 1));

    // The same again changes nothing, and is no error; what nothing names is.
    let (code, answer) = in_json(folder.path(), &["update", "--image", "ghcr.io/acme/web:1.5.0"]);
    assert_eq!((code, &answer["updated"], &answer["current"]), (0, &json!([]), &json!(2)));
    assert_eq!(update(&["--image", "ghcr.io/acme/nobody:1.5.0"]).0, 3);
    // Several at once, and one file alone.
    let both = ["--image", "ghcr.io/acme/web:1.6.0", "--image", "ghcr.io/acme/api:1.6.0"];
    let (code, answer) = in_json(folder.path(), &[&["update", "b/values.yaml"][..], &both].concat());
    assert_eq!(code, 0);
    assert_eq!(
        answer["updated"][1],
        json!({
            "file": "values.yaml", "line": 2, "column": 14, "format": "helmValues", "location": "api.image",
            "image": "ghcr.io/acme/api", "from": "1.4.0", "to": "1.6.0", "followers": [],
        })
    );
    assert_eq!(read(folder.path(), "b/values.yaml"), values.replace("1.4.0", "1.6.0"));
    assert_eq!(read(folder.path(), "a/deployment.yaml"), deployment.replace("1.4.0", "1.5.0"), "only that file");
}

#[test]
fn what_is_given_wrongly_is_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("a.yaml", "image: ghcr.io/acme/web:1.4.0\n")]);
    for (arguments, expect) in [
        (&["--image", "ghcr.io/acme/web"][..], "has no tag; write REPOSITORY:TAG"),
        (&["--image", "Acme:1"], "is not an image name"),
        (&["--image", "a/b:1@sha256:12"], "is not a digest"),
        (&["--image", "a/b:1", "--image", "docker.io/a/b:2"], "names docker.io/a/b twice"),
        (&["--marker", "web=a/b:1"], "is not NAMESPACE:POLICY=REPOSITORY:TAG[@DIGEST]"),
        (&["--marker", "ns:web=a/b:1", "--marker", "ns:web=a/b:2"], "names ns:web twice"),
        (&[], "required arguments were not provided"),
        (&["--image", "a/b:1", "--env", "dev"], "`--env dev` needs .tagboat.yaml"),
        (&["--image", "a/b:1", "--dry-run", "--commit"], "cannot be used with"),
        (&["nowhere", "--image", "a/b:1"], "nowhere: there is no such folder or file"),
    ] {
        let (code, out, error) = tagboat(folder.path(), &[&["update"], arguments].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(error.contains(expect), "{arguments:?}: {error}");
    }
    assert_eq!(read(folder.path(), "a.yaml"), "image: ghcr.io/acme/web:1.4.0\n");
}

#[test]
fn what_cannot_be_edited_safely_is_refused_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let digest = format!("image: ghcr.io/acme/web:1.4.0@{OLD_DIGEST}\n");
    let twice = "image: ghcr.io/acme/web:1.4.0\nimage: ghcr.io/acme/web:1.4.0\n";
    let files = [
        ("good.yaml", "image: ghcr.io/acme/web:1.4.0\n"),
        ("digest.yaml", digest.as_str()),
        ("twice.yaml", twice),
        ("variable.yaml", "image: ghcr.io/acme/web:${TAG}\n"),
        ("ignored.yaml", "image: ghcr.io/acme/web:1.4.0 # tagboat: ignore\n"),
        ("other.txt", "image: ghcr.io/acme/web:1.4.0\n"),
        (".github/workflows/ci.yaml", "image: ghcr.io/acme/web:1.4.0\n"),
        (
            "shared.yaml",
            "a: {repository: ghcr.io/acme/web, tag: &t 1.4.0}\nb: {repository: ghcr.io/acme/api, tag: *t}\n",
        ),
    ];
    write(folder.path(), &files);
    fs::write(folder.path().join("binary.yaml"), b"image: ghcr.io/acme/web:1.4.0\n\xff\xfe").unwrap();
    let mut huge = "image: ghcr.io/acme/web:1.4.0\n".to_owned();
    huge.push_str(&"# filler\n".repeat(600_000));
    fs::write(folder.path().join("huge.yaml"), &huge).unwrap();

    let (code, answer) = in_json(folder.path(), &["update", "--image", "ghcr.io/acme/web:1.5.0"]);
    assert_eq!(code, 4);
    let refused: Vec<(&str, u64, &str)> = answer["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|place| {
            (place["file"].as_str().unwrap(), place["line"].as_u64().unwrap(), place["detail"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        refused,
        [
            ("binary.yaml", 1, "the file cannot be read: it is not UTF-8 text"),
            ("digest.yaml", 1, "it carries a digest, and that of the new version is not given"),
            ("huge.yaml", 1, "the file cannot be read: it is larger than 5 MiB"),
            ("shared.yaml", 1, "the same bytes say the version of ghcr.io/acme/api too; give each a value of its own"),
            ("twice.yaml", 1, "the key `image` stands in one mapping twice, again in line 2"),
            ("twice.yaml", 2, "the key `image` stands in one mapping twice, again in line 2"),
        ]
    );
    assert_eq!(answer["notEdited"][0]["detail"], "`ghcr.io/acme/web:${TAG}` is filled in by something else");
    assert_eq!(answer["updated"].as_array().unwrap().len(), 1);
    for (path, text) in &files[1..] {
        assert_eq!(read(folder.path(), path), *text, "{path}");
    }
    // With the digest, and with everybody who shares the bytes, it can be done.
    let web = format!("ghcr.io/acme/web:1.5.0@{NEW_DIGEST}");
    let api = format!("ghcr.io/acme/api:1.5.0@{NEW_DIGEST}");
    fs::remove_file(folder.path().join("huge.yaml")).unwrap();
    fs::remove_file(folder.path().join("binary.yaml")).unwrap();
    fs::remove_file(folder.path().join("twice.yaml")).unwrap();
    let (code, text, _) = tagboat(folder.path(), &["update", "--image", &web, "--image", &api]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("  1:43     ghcr.io/acme/web  1.4.0 -> 1.5.0  and with it lines 2"), "{text}");
    assert_eq!(read(folder.path(), "digest.yaml"), format!("image: {web}\n"));
    assert!(read(folder.path(), "shared.yaml").contains("&t 1.5.0"));
    // And the pin can be asked for.
    let (code, _, _) = tagboat(folder.path(), &["update", "good.yaml", "--image", &web, "--pin", "tagAndDigest"]);
    assert_eq!((code, read(folder.path(), "good.yaml")), (0, format!("image: {web}\n")));
}

#[test]
fn markers_are_set_as_flux_would_and_two_claims_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let text = "image: old/web:1 # {\"$imagepolicy\": \"flux-system:web\"}\nname: old/web # {\"$imagepolicy\": \"flux-system:web:name\"}\ntag: 1.4.0 # {\"$imagepolicy\": \"flux-system:web:tag\"}\nother: x # {\"$imagepolicy\": \"flux-system:api:tag\"}\n";
    write(folder.path(), &[("a.yaml", text)]);
    let marker = format!("flux-system:web=ghcr.io/acme/web:1.10@{NEW_DIGEST}");
    let (code, answer) = in_json(folder.path(), &["update", "--marker", &marker]);
    assert_eq!((code, answer["updated"].as_array().unwrap().len()), (0, 3));
    let expected = text
        .replace("image: old/web:1 ", &format!("image: ghcr.io/acme/web:1.10@{NEW_DIGEST} "))
        .replace("name: old/web ", "name: ghcr.io/acme/web ")
        .replace("tag: 1.4.0 ", "tag: \"1.10\" ");
    assert_eq!(read(folder.path(), "a.yaml"), expected);

    let claimed = format!(
        "image: ghcr.io/acme/web:1.4.0 # {{\"$imagepolicy\": \"flux-system:web\"}}\nimages:\n- name: x\n  newName: ghcr.io/acme/web\n  newTag: 1.4.0 # {{\"$imagepolicy\": \"flux-system:web:tag\"}}\n  digest: {OLD_DIGEST}\nd: {OLD_DIGEST} # {{\"$imagepolicy\": \"flux-system:web:digest\"}}\n"
    );
    write(folder.path(), &[("a.yaml", "x: 1\n"), ("kustomization.yaml", &claimed)]);
    let (code, answer) = in_json(
        folder.path(),
        &["update", "--marker", "flux-system:web=ghcr.io/acme/web:1.6.0", "--image", "ghcr.io/acme/web:1.5.0"],
    );
    assert_eq!(code, 4);
    let details: Vec<&str> =
        answer["refused"].as_array().unwrap().iter().map(|place| place["detail"].as_str().unwrap()).collect();
    assert!(details.contains(&"the marker sets a digest, and none is given"), "{details:?}");
    assert!(details.iter().any(|detail| detail.starts_with("a digest stands beside it")), "{details:?}");
    // Flux has one idea of the image, the command another.
    write(folder.path(), &[("kustomization.yaml", "x: 1\n"), ("b.yaml", claimed.lines().next().unwrap())]);
    let (code, answer) = in_json(
        folder.path(),
        &["update", "--marker", "flux-system:web=ghcr.io/acme/web:1.6.0", "--image", "ghcr.io/acme/web:1.5.0"],
    );
    assert_eq!((code, answer["refused"].as_array().unwrap().len()), (4, 2));
    assert_eq!(read(folder.path(), "b.yaml"), claimed.lines().next().unwrap());
}

#[cfg(unix)]
#[test]
fn links_submodules_and_what_git_ignores_are_left_alone() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let image = "image: ghcr.io/acme/web:1.4.0\n";
    let files = [
        "real.yaml",
        "Real.yaml",
        "sub/module/.git/config.yaml",
        "sub/module/a.yaml",
        "built/a.yaml",
        "kept/a.yaml",
        ".hidden/a.yaml",
    ];
    for file in files {
        write(folder.path(), &[(file, image)]);
    }
    write(outside.path(), &[("out.yaml", image), ("folder/out.yaml", image)]);
    symlink(outside.path().join("out.yaml"), folder.path().join("link.yaml")).unwrap();
    symlink(outside.path().join("folder"), folder.path().join("linked")).unwrap();
    symlink("nowhere", folder.path().join("dangling.yaml")).unwrap();
    write(folder.path(), &[(".gitignore", "built/\nkept/\n")]);
    git(folder.path(), &["init", "--quiet"]);
    git(folder.path(), &["add", "--force", "kept/a.yaml"]);
    fs::set_permissions(folder.path().join("real.yaml"), fs::Permissions::from_mode(0o640)).unwrap();

    let (code, answer) = in_json(folder.path(), &["update", "--image", "ghcr.io/acme/web:1.5.0"]);
    let updated: Vec<&str> =
        answer["updated"].as_array().unwrap().iter().map(|change| change["file"].as_str().unwrap()).collect();
    assert_eq!((code, updated), (0, vec![".hidden/a.yaml", "Real.yaml", "kept/a.yaml", "real.yaml"]));
    for path in ["out.yaml", "folder/out.yaml"] {
        assert_eq!(read(outside.path(), path), image);
    }
    assert!(folder.path().join("link.yaml").is_symlink());
    let mode = fs::metadata(folder.path().join("real.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "a file keeps its permissions");
    let (code, _, error) = tagboat(folder.path(), &["update", "link.yaml", "--image", "ghcr.io/acme/web:1.5.0"]);
    assert!(code == 1 && error.contains("no regular file"), "{error}");
}

#[test]
fn commit_makes_one_commit_for_each_image_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(
        path,
        &[
            ("dev/a.yaml", "web: {image: ghcr.io/acme/web:1.4.0}\napi: {image: ghcr.io/acme/api:1.4.0}\n"),
            ("prod/a.yaml", "image: ghcr.io/acme/web:1.3.0\n"),
            ("notes.txt", "one\n"),
            (
                ".tagboat.yaml",
                "images:\n- {name: web, image: ghcr.io/acme/web, policy: {semver: {range: '*'}}}\nenvironments:\n- {name: dev, paths: [dev], deliver: commit}\n- {name: prod, paths: [prod], deliver: commit}\n",
            ),
        ],
    );
    git(path, &["init", "--quiet", "--initial-branch=main"]);
    git(path, &["add", "."]);
    git(path, &["commit", "--quiet", "--message", "Start"]);
    // Somebody has staged something else meanwhile.
    write(path, &[("notes.txt", "two\n")]);
    git(path, &["add", "notes.txt"]);
    let web = format!("ghcr.io/acme/web:1.5.0@{NEW_DIGEST}");
    let run = |arguments: &[&str]| tagboat(path, &[&["update", "--commit"], arguments].concat());
    let (code, text, error) = run(&["--env", "dev", "--image", &web, "--image", "ghcr.io/acme/api:1.5.0"]);
    assert_eq!(code, 0, "{text}{error}");
    assert_eq!(git(path, &["log", "--format=%s"]), "Update api to 1.5.0 in dev\nUpdate web to 1.5.0 in dev\nStart");
    let body = git(path, &["log", "--max-count=1", "--skip=1", "--format=%b"]);
    let (words, decision) = body.rsplit_once("\nTagboat-Decision: d-").unwrap();
    assert_eq!(words, format!("ghcr.io/acme/web: 1.4.0 -> 1.5.0\n\nTagboat-Image: {web}\nTagboat-Environment: dev"));
    assert!(decision.len() == 16 && decision.bytes().all(|byte| byte.is_ascii_hexdigit()), "{body}");
    assert_eq!(git(path, &["show", "--name-only", "--format=", "HEAD~1"]), "dev/a.yaml");
    assert_eq!(
        git(path, &["status", "--porcelain"]),
        "M  notes.txt",
        "what was staged is staged, nothing else is open"
    );
    assert_eq!(read(path, "prod/a.yaml"), "image: ghcr.io/acme/web:1.3.0\n");
    // Again: nothing to commit.
    assert_eq!(run(&["--env", "dev", "--image", &web]).0, 0);
    assert_eq!(git(path, &["rev-list", "--count", "HEAD"]), "3");
    // Uncommitted work in the same file is nobody's to commit.
    write(path, &[("prod/a.yaml", "image: ghcr.io/acme/web:1.3.0\nmine: 1\n")]);
    let (code, _, error) = run(&["--image", "ghcr.io/acme/web:1.6.0"]);
    assert!(code == 4 && error.contains("have changes that are not committed: prod/a.yaml"), "{code} {error}");
    assert!(read(path, "dev/a.yaml").contains("web:1.5.0"), "nothing was written");
    // Outside of Git it says so.
    let plain = tempfile::tempdir().unwrap();
    write(plain.path(), &[("a.yaml", "image: ghcr.io/acme/web:1.4.0\n")]);
    let (code, _, error) = tagboat(plain.path(), &["update", "--commit", "--image", "ghcr.io/acme/web:1.5.0"]);
    assert!(code == 1 && error.contains("not a git repository"), "{error}");
    let (code, _, error) = run(&["--env", "staging", "--image", &web]);
    assert!(code == 2 && error.contains("has no environment `staging` (there are: dev, prod)"), "{error}");
    let elsewhere = read(path, ".tagboat.yaml").replace("paths: [prod],", "branch: release,");
    write(path, &[(".tagboat.yaml", &elsewhere)]);
    let (code, _, error) = run(&["--env", "prod", "--image", &web]);
    assert!(code == 2 && error.contains("`prod` lives on branch release, and this work tree is on main"), "{error}");
}

#[test]
fn changes_that_belong_together_are_made_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    // Two images share a tag, and a marker wants a third value.
    let shared = "a:\n  repository: ghcr.io/acme/web\n  tag: &t '1.0' # {\"$imagepolicy\": \"ns:p:tag\"}\nb:\n  repository: ghcr.io/acme/api\n  tag: *t\n";
    // A marker for name and tag, none for the digest.
    let half = format!(
        "images:\n- name: web\n  newName: ghcr.io/old/web # {{\"$imagepolicy\": \"ns:p:name\"}}\n  newTag: '1.0' # {{\"$imagepolicy\": \"ns:p:tag\"}}\n  digest: {OLD_DIGEST}\n"
    );
    write(folder.path(), &[("values.yaml", shared), ("kustomization.yaml", &half)]);
    let images = ["--image", "ghcr.io/acme/web:2.0", "--image", "ghcr.io/acme/api:2.0"];
    let (code, answer) =
        in_json(folder.path(), &[&["update", "--marker", "ns:p=ghcr.io/new/web:3.0"][..], &images].concat());
    assert_eq!((code, answer["refused"].as_array().unwrap().len(), &answer["updated"]), (4, 4, &json!([])), "{answer}");
    // One request is served already, another wants something else.
    write(folder.path(), &[("b.yaml", "image: ghcr.io/acme/web:1.5.0 # {\"$imagepolicy\": \"ns:p\"}\n")]);
    let both = ["update", "b.yaml", "--image", "ghcr.io/acme/web:1.5.0", "--marker", "ns:p=ghcr.io/acme/web:1.6.0"];
    let (code, answer) = in_json(folder.path(), &both);
    assert_eq!((code, &answer["updated"]), (4, &json!([])), "{answer}");
    // The same tag with another digest is another version.
    let marker = format!("ns:p=ghcr.io/old/web:1.0@{NEW_DIGEST}");
    let (code, _) = in_json(folder.path(), &["update", "kustomization.yaml", "--marker", &marker]);
    assert_eq!(code, 4);
    assert_eq!(read(folder.path(), "values.yaml"), shared);
    assert_eq!(read(folder.path(), "kustomization.yaml"), half);
}

#[test]
fn what_names_the_image_in_a_file_that_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "image:\n  repository: ghcr.io/acme/web\n<<<<<<< HEAD\n  tag: '1.0'\n=======\n  tag: '1.1'\n>>>>>>> topic\n";
    write(folder.path(), &[("values.yaml", text), ("other.yaml", "a: [\nimage: ghcr.io/acme/api:1\n")]);
    let (code, answer) = in_json(folder.path(), &["update", "--image", "ghcr.io/acme/web:2.0"]);
    assert_eq!((code, answer["refused"].as_array().unwrap().len()), (4, 1), "{answer}");
    assert_eq!((&answer["refused"][0]["file"], &answer["refused"][0]["line"]), (&json!("values.yaml"), &json!(3)));
}

#[test]
fn places_that_another_environment_names_in_a_file_are_its_own_affair() {
    let folder = tempfile::tempdir().unwrap();
    let shared = "dev: 1.0.0\nprod: 1.0.0\nodd: {image: {repository: ghcr.io/acme/web, tag: &a !!float 1.0}}\n";
    let settings = "images:\n- name: web\n  image: ghcr.io/acme/web\n  policy: {semver: {range: '*'}}\n  aliases: [mirror.example.org/acme/web]\n  references: [{file: shared/versions.yaml, path: '{environment}', part: tag}]\nenvironments:\n- {name: dev, paths: [dev], deliver: commit}\n- {name: prod, paths: [prod], deliver: commit}\n";
    write(
        folder.path(),
        &[
            (".tagboat.yaml", settings),
            ("shared/versions.yaml", shared),
            ("prod/a.yaml", "image: mirror.example.org/acme/web:1.0.0\n"),
            ("prod/b.yaml", "image: mirror.example.org/acme/web:${TAG}\n"),
        ],
    );
    let (code, answer) = in_json(folder.path(), &["update", "--env", "prod", "--image", "ghcr.io/acme/web:1.1.0"]);
    assert_eq!((code, &answer["refused"]), (0, &json!([])), "{answer}");
    assert_eq!(answer["notEdited"][0]["file"], "prod/b.yaml");
    assert_eq!(read(folder.path(), "shared/versions.yaml"), shared.replace("prod: 1.0.0", "prod: 1.1.0"));
    assert_eq!(read(folder.path(), "prod/a.yaml"), "image: mirror.example.org/acme/web:1.1.0\n");
}

#[cfg(unix)]
#[test]
fn a_commit_that_a_hook_stops_leaves_the_files_as_they_were() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (path, image) = (folder.path(), "image: ghcr.io/acme/web:1.4.0\n");
    write(path, &[("with space/ümlaut.yaml", image)]);
    git(path, &["init", "--quiet"]);
    git(path, &["add", "."]);
    git(path, &["commit", "--quiet", "--message", "Start"]);
    let run = || tagboat(&path.join("with space"), &["update", "--commit", "--image", "ghcr.io/acme/web:1.5.0"]);
    write(path, &[(".git/hooks/pre-commit", "#!/bin/sh\nexit 1\n")]);
    let hook = path.join(".git/hooks/pre-commit");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, _, error) = run();
    assert!(code == 1 && error.contains("`git commit` in the work tree: it ended with exit status: 1"), "{error}");
    assert_eq!(read(path, "with space/ümlaut.yaml"), image);
    fs::remove_file(&hook).unwrap();
    assert_eq!(run().0, 0);
    assert_eq!(git(path, &["status", "--porcelain"]), "");
}
