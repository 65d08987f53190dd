//! A small but lifelike config repository: a plain Deployment, Helm values, a kustomize overlay.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::exit::Failure;

const REPOSITORY_FILE: &str = r#"# What runs where. Tagboat reads this file from the branch it writes to.
images:
  - name: web
    image: HOST/acme/web
    policy: { semver: { range: "^1.4" } }
environments:
  - name: dev
    paths: [apps/dev]
    deliver: commit
  - name: prod
    paths: [apps/prod]
    deliver: commit
    images:
      web: { policy: { semver: { range: "~1.4" } } } # patches only
"#;

const DEPLOYMENT: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}   # used by the Service
spec:
  replicas: 1
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: web
          image: "HOST/acme/web:1.4.0" # moved by Tagboat
          ports:
            - containerPort: 8080
"#;

const HELM_VALUES: &str = r#"# Values of the chart that runs the nightly jobs.
jobs:
  image:
    registry: HOST
    repository: acme/web
    tag: 1.4.0
  schedule: "15 3 * * *"
"#;

const KUSTOMIZATION: &str = r#"apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../base
replicas:
  - name: web
    count: 3
images:
  - name: web
    newName: HOST/acme/web
    newTag: 1.4.0
"#;

const BASE: &str =
    "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - deployment.yaml\n";

/// Make a bare repository with one commit on `main`. Returns its folder.
pub(super) fn create(folder: &Path, host: &str) -> Result<PathBuf, Failure> {
    let (bare, work) = (folder.join("config.git"), folder.join("work"));
    let base_deployment = DEPLOYMENT.replace("\"HOST/acme/web:1.4.0\" # moved by Tagboat", "web");
    let files = [
        (".tagboat.yaml", REPOSITORY_FILE),
        ("apps/base/deployment.yaml", &base_deployment),
        ("apps/base/kustomization.yaml", BASE),
        ("apps/dev/deployment.yaml", DEPLOYMENT),
        ("apps/dev/jobs-values.yaml", HELM_VALUES),
        ("apps/prod/kustomization.yaml", KUSTOMIZATION),
    ];
    for (path, text) in files {
        let path = work.join(path);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written = written.and_then(|()| std::fs::write(&path, text.replace("HOST", host)));
        written.map_err(|error| Failure::failed(&format!("{} cannot be written", path.display()), &error))?;
    }
    git(folder, &["init", "--quiet", "--bare", "--initial-branch=main", "config.git"])?;
    git(&work, &["init", "--quiet", "--initial-branch=main"])?;
    git(&work, &["add", "--all"])?;
    git(&work, &["commit", "--quiet", "--message", "Run web 1.4.0 in dev and prod"])?;
    git(&work, &["push", "--quiet", "../config.git", "main"])?;
    Ok(bare)
}

/// Git, untouched by the configuration of the machine.
fn git(folder: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let output = Command::new("git")
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env_remove("GIT_DIR")
        .args(["-c", "user.name=Platform team", "-c", "user.email=platform@example.org"])
        .args(arguments)
        .output()
        .map_err(|error| Failure::failed("git could not be started; is it installed?", &error))?;
    if output.status.success() {
        return Ok(());
    }
    let message = format!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    Err(Failure { code: crate::exit::Code::Failed, message })
}
