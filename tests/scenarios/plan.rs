//! `tagboat plan` and `references`, and what `kubectl` makes of an update.

use std::{fs, path::Path, process::Command};

use serde_json::json;
use tagboat_testkit::DockerRegistry;

use crate::folder::{NEW_DIGEST, OLD_DIGEST, in_json, read, tagboat, write};

#[test]
fn references_lists_every_place_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let marked = "tag: 1.4.0 # {\"$imagepolicy\": \"ns:web:tag\"}\n";
    write(
        folder.path(),
        &[
            ("web/kustomization.yaml", "images:\n- {name: nginx, newTag: '1.25'}\n"),
            ("Dockerfile", "FROM ghcr.io/acme/base:1\n"),
            ("marked.yaml", marked),
            ("variable.yaml", "image: ghcr.io/acme/web:${TAG}\n"),
            ("notes.yaml", "a: b\n"),
        ],
    );
    let (code, answer) = in_json(folder.path(), &["references", "."]);
    assert_eq!(code, 0);
    let references = answer["references"].as_array().unwrap();
    assert_eq!(references.len(), 3);
    assert_eq!(
        references[2],
        json!({
            "file": "web/kustomization.yaml", "line": 2, "column": 25, "format": "kustomization",
            "location": "images[0].newTag", "name": "nginx", "repository": "docker.io/library/nginx", "tag": "1.25",
            "digest": null, "pinned": "tag", "markers": [], "followers": [], "sharedWith": [], "locked": null,
        })
    );
    assert_eq!((&references[1]["value"], &references[1]["markers"]), (&json!("1.4.0"), &json!(["ns:web:tag"])));
    assert_eq!(answer["notEdited"][0]["file"], "variable.yaml");
    let (code, text, _) = tagboat(folder.path(), &["references", "--image", "nginx"]);
    assert_eq!(
        (code, text.as_str()),
        (0, "web/kustomization.yaml\n  2:25     docker.io/library/nginx:1.25  kustomization images[0].newTag\n")
    );
    assert_eq!(tagboat(folder.path(), &["references", "notes.yaml"]).0, 3);
}

const POLICIES: &str = "images:
- name: web
  image: HOST/acme/web
  policy: { semver: { range: ^1 } }
- name: api
  image: HOST/acme/api
  policy: { semver: { range: ^1 } }
  references:
  - { file: 'umbrella/{environment}.yaml', path: '{name}.version', part: tag }
  - { file: deploy.sh, regex: '^API=(?P<tag>\\S+)' }
environments:
- { name: dev, paths: [dev], exclude: [dev/vendor], deliver: commit }
- { name: prod, paths: [prod], branch: release, deliver: commit }
";

#[tokio::test]
async fn plan_shows_what_the_server_would_do() {
    let registry = DockerRegistry::start(None);
    for (image, tags) in [("acme/web", ["1.4.0", "1.5.0"]), ("acme/api", ["1.0.0", "1.1.0"])] {
        for tag in tags {
            registry.push_image(image, tag, tag).await;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let host = registry.host();
    let here = |text: &str| text.replace("HOST", &host);
    let web = here("a: {image: HOST/acme/web:1.4.0}\nb: {image: 'HOST/acme/web:${TAG}'}\n");
    write(
        path,
        &[
            (".tagboat.yaml", &here(POLICIES)),
            ("dev/web.yaml", &web),
            ("dev/vendor/web.yaml", &web),
            ("prod/web.yaml", &web),
            ("umbrella/dev.yaml", "api:\n  replicas: 1\n"),
            ("deploy.sh", "API=1.0.0\n"),
        ],
    );
    let (code, text, error) = tagboat(path, &["plan"]);
    assert_eq!(code, 5, "{text}{error}");
    for expect in [
        "dev\n  web: 1.4.0 -> 1.5.0\n    1.5.0 is the best tag that semver `^1` admits\n",
        "  api: 1.0.0, no tag -> 1.1.0\n",
        "prod lives on branch release, not in this work tree\n",
        "--- a/deploy.sh\n+++ b/deploy.sh\n@@ -1 +1 @@\n-API=1.0.0\n+API=1.1.0\n",
        "+++ b/umbrella/dev.yaml\n@@ -1,2 +1,3 @@\n api:\n   replicas: 1\n+  version: 1.1.0\n",
        "not edited dev/web.yaml:2: ",
        "2 updates to make in 3 files\n",
    ] {
        assert!(text.contains(expect), "{expect}: {text}");
    }
    assert!(!text.contains("vendor"), "{text}");
    assert_eq!(read(path, "deploy.sh"), "API=1.0.0\n", "a plan writes nothing");
    let (code, answer) = in_json(path, &["plan", "--env", "dev"]);
    assert_eq!(
        (code, answer["decisions"].as_array().unwrap().len(), answer["changes"].as_array().unwrap().len()),
        (5, 2, 3)
    );
    assert_eq!(answer["decisions"][0]["version"]["tag"], "1.5.0");
    assert_eq!(answer["elsewhere"], json!([{ "environment": "prod", "branch": "release" }]));

    // `update --env` knows the places that the repository file names, and then nothing is left to do.
    let images = ["--image", &here("HOST/acme/api:1.1.0"), "--image", &here("HOST/acme/web:1.5.0")].map(str::to_owned);
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let (code, text, _) = tagboat(path, &[&["update", "--env", "dev"][..], &images].concat());
    assert_eq!(code, 0, "{text}");
    assert_eq!(read(path, "umbrella/dev.yaml"), "api:\n  replicas: 1\n  version: 1.1.0\n");
    assert_eq!(read(path, "prod/web.yaml"), web);
    assert_eq!(tagboat(path, &["plan"]).0, 0);

    // Unhappy ends.
    drop(registry);
    let (code, text, _) = tagboat(path, &["plan"]);
    assert!(code == 1 && text.contains("could not be asked"), "{code} {text}");
    write(path, &[(".tagboat.yaml", "images: []\nimgaes: []\n")]);
    let (code, _, error) = tagboat(path, &["plan"]);
    assert!(code == 2 && error.contains(".tagboat.yaml:2:1: unknown key `imgaes`; did you mean `images`?"), "{error}");
    fs::remove_file(path.join(".tagboat.yaml")).unwrap();
    let (code, _, error) = tagboat(path, &["plan"]);
    assert!(code == 2 && error.contains("there is no .tagboat.yaml"), "{error}");
}

/// What `kubectl kustomize` makes of a folder.
fn rendered(folder: &Path) -> Vec<String> {
    let output = Command::new("kubectl").arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn what_kubectl_renders_differs_only_in_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let deployment = |name: &str, image: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}} # kept\nspec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      containers:\n      - {{name: main, image: \"{image}\"}}\n      - name: side\n        image: ghcr.io/acme/web:1.4.0\n"
        )
    };
    write(
        path,
        &[
            ("base/kustomization.yaml", "resources: [web.yaml, json.json]\n"),
            ("base/web.yaml", &deployment("web", "web")),
            (
                "base/json.json",
                "{\n\t\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n\t\"metadata\": {\"name\": \"json\"},\n\t\"spec\": {\"containers\": [{\"name\": \"a\", \"image\": \"ghcr.io/acme/web:1.4.0\"}]}\n}\n",
            ),
            (
                "component/kustomization.yaml",
                &format!(
                    "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages: [{{name: pinned, newName: ghcr.io/acme/web, newTag: 1.4.0, digest: {OLD_DIGEST}}}]\n"
                ),
            ),
            (
                "dev/kustomization.yaml",
                "resources: [../base, pinned.yaml]\ncomponents: [../component]\nimages:\n- name: web # stands in for\n  newName: ghcr.io/acme/web\n  newTag: '1.4.0'\npatches:\n- target: {kind: Deployment, name: web}\n  patch: |-\n    - op: replace\n      path: /spec/template/spec/containers/1/image\n      value: ghcr.io/acme/web:1.4.0\n",
            ),
            ("dev/pinned.yaml", &deployment("pinned", "pinned")),
        ],
    );
    let before = rendered(&path.join("dev"));
    let new = format!("ghcr.io/acme/web:1.10@{NEW_DIGEST}");
    let (code, answer) = in_json(path, &["update", "--image", &new]);
    assert_eq!((code, answer["updated"].as_array().unwrap().len()), (0, 6), "{answer}");
    let after = rendered(&path.join("dev"));
    let changed: Vec<(&str, &str)> = before
        .iter()
        .zip(&after)
        .filter(|(old, new)| old != new)
        .map(|(old, new)| (old.trim_start_matches([' ', '-']), new.trim_start_matches([' ', '-'])))
        .collect();
    assert_eq!(before.len(), after.len());
    let (tag, digest) = (("image: ghcr.io/acme/web:1.4.0", "image: ghcr.io/acme/web:1.10"), OLD_DIGEST);
    let old = format!("image: ghcr.io/acme/web:1.4.0@{digest}");
    let pinned = (
        old.as_str(),
        "image: ghcr.io/acme/web:1.10@sha256:2222222222222222222222222222222222222222222222222222222222222222",
    );
    let count = |pair: (&str, &str)| changed.iter().filter(|found| **found == pair).count();
    assert_eq!((count(tag), count(pinned), changed.len()), (4, 1, 5), "{changed:?}");
}
