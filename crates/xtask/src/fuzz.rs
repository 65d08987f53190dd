//! `cargo xtask fuzz`: LLVM's fuzzer over the targets in `tests/fuzz`, without further tools and on stable Rust.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use crate::run;

/// What cargo-fuzz sets too: the program tells which branches an input took, and what it was compared with.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// A program in `tests/fuzz` with the inputs that it begins with.
struct Target {
    name: &'static str,
    longest: u32,
    seeds: Seeds,
}

enum Seeds {
    Texts(&'static [&'static str]),
    /// Folders of `crates/manifest/tests/golden`.
    Golden(&'static [&'static str]),
    /// A folder of `crates/intake/tests/payloads`.
    Payloads(&'static str),
    /// Texts, and all folders of it.
    AllPayloads(&'static [&'static str]),
}

/// How long a target runs.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    Seconds(u64),
    Inputs(u32),
}

/// One input for each way to choose.
const POLICY: Target = Target {
    name: "policy",
    longest: 512,
    seeds: Seeds::Texts(&[
        "s^1.4 || >=2.0.0-rc.1 <3\n1.4.0\n1.10.0\nv2.0.0-rc.1\n01.5.0\nlatest\n",
        "s1.2 - 2.0, !=1.5.x\n1.5.3\n2.0.9\n",
        "n^main-[a-f0-9]+-(?P<ts>[0-9]+) $ts\nmain-0ab1-1700\nmain-ff-99999999999999999999\n",
        "f^v?(.*)$ ${1}\nv1.2.3\n1.2.3\n",
        "x-rc ^v?[0-9]\n1.0-rc\nv1\n",
        "g*-[a-z]?\n1.0-rc\n1.0\n",
        "k~1.26\n1.26\n1.26.3-0\n",
    ]),
};

const fn format(name: &'static str, golden: &'static [&'static str]) -> Target {
    Target { name, longest: 4096, seeds: Seeds::Golden(golden) }
}

/// One target for each format that is edited.
const FORMATS: [Target; 11] = [
    format("kubernetes", &["kubernetes-objects", "config-map", "json-patch", "k3s-chart", "yaml-hazards", "sops"]),
    format("json", &["kubernetes-json"]),
    format("kustomization", &["kustomization", "kustomize-component"]),
    format("helm_values", &["helm-values", "anchors", "anchors-shared"]),
    format("helm_template", &["helm-template"]),
    format("flux", &["flux", "flux-oci"]),
    format("argocd", &["argocd"]),
    format("argocd_source", &["argocd-source"]),
    format("compose", &["compose"]),
    format("dockerfile", &["dockerfile", "dockerfile-shared"]),
    Target {
        name: "claims",
        longest: 1024,
        seeds: Seeds::Texts(&[
            "pweb.image.tag\nweb:\n  image:\n    repository: r\n",
            "pa[name=x].b[0]\na:\n- {name: x, b: ['1.4.0']}\n",
            "p[\"a.b\"]\n{\"a.b\": ghcr.io/acme/web:1}\n",
            "jweb.tag\n{\"web\": {\"a\": [1]}}\n",
            "tbuild.image\n[build]\nimage = \"ghcr.io/acme/web:1.4.0\"\n",
            "r=(?P<image>\\S+)|v(?P<tag>[0-9.]+)\nx=ghcr.io/acme/web:1 v1.4\n",
        ]),
    },
];

const fn sender(name: &'static str, folder: &'static str) -> Target {
    Target { name, longest: 16_384, seeds: Seeds::Payloads(folder) }
}

/// One target for each kind of sender, and one for what all of them have to prove.
const SENDERS: [Target; 20] = [
    sender("sender_acr", "acr"),
    sender("sender_aliyun", "aliyun"),
    sender("sender_cdevents", "cdevents"),
    sender("sender_cloudevents", "cloudevents"),
    sender("sender_distribution", "distribution"),
    sender("sender_dockerhub", "dockerhub"),
    sender("sender_ecr", "ecr"),
    sender("sender_forgejo", "forgejo"),
    sender("sender_gar", "gar"),
    sender("sender_generic", "generic"),
    sender("sender_generic_oidc", "generic-oidc"),
    sender("sender_gitea", "gitea"),
    sender("sender_github", "github"),
    sender("sender_gitlab", "gitlab"),
    sender("sender_harbor", "harbor"),
    sender("sender_jfrog", "jfrog"),
    sender("sender_nexus", "nexus"),
    sender("sender_quay", "quay"),
    sender("sender_zot", "zot"),
    Target { name: "credentials", longest: 16_384, seeds: Seeds::AllPayloads(&CREDENTIALS) },
];

/// Requests for each way to prove oneself, with something wrong in each.
const CREDENTIALS: [&str; 18] = [
    "Authorization: Bearer a\nX-Api-Key: a\nX-Webhook-Secret: a\nX-Gitlab-Token: a\n\n{}",
    "address-token: 0123456789abcdef0123456789abcdef01234567\n\n{}",
    "X-Hub-Signature-256: sha256=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\n{}",
    "X-Gitea-Signature: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\n{}",
    "X-Forgejo-Signature: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\n{}",
    "X-Nexus-Webhook-Signature: 0123456789abcdef0123456789abcdef01234567\n\n{}",
    "X-JFrog-Event-Auth: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\n{}",
    "webhook-id: 1\nwebhook-timestamp: 1795662000\nwebhook-signature: v1,AAAA v1a,AAAA \
     v1,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n{}",
    r#"token-header: {"alg":"RS256","kid":"nobody"}
token-claims: {"iss":"https://issuer.example","aud":"tagboat","iat":1795661990,"nbf":1795661990,"exp":1795662300,"repository":"acme/web"}
token-signature: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8

{"image":"ghcr.io/acme/web","tag":"1.5.0"}"#,
    r#"token-header: {"alg":"RS256","typ":"JWT"}
token-claims: {"iss":"https://issuer.example","aud":["other","tagboat"],"iat":1795661990,"exp":1795662300.5,"repository":"acme/web"}
token-signature: mac modulus

{}"#,
    r#"token-header: {"alg":"RS256","kid":"newer"}
token-claims: {"iss":"https://issuer.example","aud":"tagboat","iat":1795661990,"exp":1795662300,"repository":"acme/web"}
token-signature: AAAA

{}"#,
    r#"token-header: {"alg":"ES256","kid":"nobody"}
token-claims: {"iss":"https://issuer.example","aud":"tagboat","iat":1795661990,"exp":1795662300,"repository":"acme/web"}
token-signature: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw

{}"#,
    r#"token-header: {"alg":"HS256","kid":"nobody"}
token-claims: {"iss":"https://issuer.example","aud":"tagboat","iat":1795661990,"exp":1795662300,"repository":"acme/web"}
token-signature: mac keys

{}"#,
    r#"token-header: {"alg":"HS256","kid":"nobody"}
token-claims: {"iss":"https://issuer.example","aud":"tagboat","iat":1795661990,"exp":1795662300,"repository":"acme/web"}
token-signature: mac certificate

{}"#,
    r#"token-header: {"alg":"none"}
token-claims: {"iss":"https://issuer.example","aud":"tagboat","iat":1795661990,"exp":1795662300,"repository":"acme/web"}

{}"#,
    r#"token-header: {"alg":"RS256","kid":"nobody","jku":"https://evil.example/keys","x5u":"https://evil.example/","jwk":{}}
token-claims: {"iss":"https://evil.example","iss":"https://issuer.example","aud":"tagboat","iat":1795661990,"exp":1795662300}
token-signature: AAAA

{}"#,
    r#"x-amz-sns-message-type: Notification

{"Type":"Notification","MessageId":"22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324","TopicArn":"arn:aws:sns:us-west-2:123456789012:ecr-pushes","Subject":"a","Message":"{}","Timestamp":"2026-11-26T02:59:00.655Z","SignatureVersion":"2","Signature":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","SigningCertURL":"https://sns.us-west-2.amazonaws.com/SimpleNotificationService-01d088a6f77103d0fe307c0069e40ed6.pem"}"#,
    r#"x-amz-sns-message-type: SubscriptionConfirmation

{"Type":"SubscriptionConfirmation","MessageId":"165545c9-2a5c-472c-8df2-7ff2be2b3b1b","Token":"2336412f37fb687f","TopicArn":"arn:aws:sns:us-west-2:123456789012:ecr-pushes","Message":"a","SubscribeURL":"https://evil.example/","Timestamp":"2026-11-26T02:59:00.655Z","SignatureVersion":"1","Signature":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","SigningCertURL":"https://sns.us-west-2.amazonaws.com/SimpleNotificationService-0.pem"}"#,
];

/// Fuzz a target, or with `formats` or `senders` one after the other, each for this long.
pub(crate) fn run_named(name: &str, length: Length) -> Result<(), String> {
    let several = || FORMATS.iter().chain(&SENDERS);
    match name {
        "policy" => run_target(&POLICY, length),
        "formats" => FORMATS.iter().try_for_each(|target| run_target(target, length)),
        "senders" => SENDERS.iter().try_for_each(|target| run_target(target, length)),
        name => {
            let names: Vec<&str> = several().map(|target| target.name).collect();
            let names = names.join(", ");
            let unknown = || format!("there is no target `{name}` (there are: policy, formats, senders, {names})");
            run_target(several().find(|target| target.name == name).ok_or_else(unknown)?, length)
        }
    }
}

const GOLDEN: &str = "crates/manifest/tests/golden";
const PAYLOADS: &str = "crates/intake/tests/payloads";

fn seeds(seeds: &Seeds) -> Result<Vec<Vec<u8>>, String> {
    let mut all = Vec::new();
    if let Seeds::Texts(texts) | Seeds::AllPayloads(texts) = seeds {
        all.extend(texts.iter().map(|text| text.as_bytes().to_vec()));
    }
    match seeds {
        Seeds::Texts(_) => {}
        Seeds::Golden(folders) => {
            for folder in *folders {
                let files = entries(&Path::new(GOLDEN).join(folder))?;
                for path in files.iter().filter(|path| !path.ends_with("expected.txt")) {
                    all.push(read(path)?);
                }
            }
        }
        Seeds::Payloads(folder) => all.extend(requests(&Path::new(PAYLOADS).join(folder))?),
        Seeds::AllPayloads(_) => {
            for folder in entries(Path::new(PAYLOADS))? {
                all.extend(requests(&folder)?);
            }
        }
    }
    Ok(all)
}

/// The requests that a folder keeps.
fn requests(folder: &Path) -> Result<Vec<Vec<u8>>, String> {
    let files = entries(folder)?;
    let bodies = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "body"));
    bodies.map(|path| Ok(request(&read(&path.with_extension("headers"))?, &read(path)?))).collect()
}

/// A request as the targets read it: a header a line, an empty line, the body.
fn request(headers: &[u8], body: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    for line in headers.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        request.extend_from_slice(line);
        request.push(b'\n');
    }
    request.push(b'\n');
    request.extend_from_slice(body);
    request
}

/// What is in a folder, by name, so that seeds have the same numbers every time.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut all = entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>, String>>()?;
    all.sort();
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Fuzz one target. New inputs and what fails stay below `target/fuzz`.
fn run_target(target: &Target, length: Length) -> Result<(), String> {
    let name = target.name;
    let folder = Path::new("target/fuzz");
    let corpus = folder.join("corpus").join(name);
    let write = |name: String, seed: &[u8]| std::fs::write(corpus.join(name), seed);
    std::fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    for (index, seed) in seeds(&target.seeds)?.iter().enumerate() {
        write(format!("seed-{index}"), seed).map_err(|error| format!("{}: {error}", corpus.display()))?;
    }
    // With a target named, the flags are for the program and not for build scripts and macros.
    let host = host()?;
    let mut command = Command::new("cargo");
    command.args([
        "run",
        "--target",
        &host,
        "--quiet",
        "--release",
        "--manifest-path",
        "tests/fuzz/Cargo.toml",
        "--bin",
        name,
    ]);
    command.arg("--target-dir").arg(folder).env("RUSTFLAGS", COVERAGE).arg("--").arg(&corpus);
    let artifacts = format!("-artifact_prefix={}/", folder.display());
    let length = match length {
        Length::Seconds(seconds) => format!("-max_total_time={seconds}"),
        Length::Inputs(inputs) => format!("-runs={inputs}"),
    };
    command.args([&length, &format!("-max_len={}", target.longest), "-timeout=5", "-rss_limit_mb=512", &artifacts]);
    // It tells of every input that takes a new branch, on standard error.
    let log = folder.join(format!("{name}.log"));
    let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let result = run(command.stderr(file));
    let told = std::fs::read_to_string(&log).unwrap_or_default();
    match &result {
        Ok(()) => told.lines().filter(|line| line.starts_with("Done ")).for_each(|line| eprintln!("{name}: {line}")),
        Err(_) => told.lines().rev().take(30).collect::<Vec<_>>().iter().rev().for_each(|line| eprintln!("{line}")),
    }
    result
}

/// The platform that this machine compiles for.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not name its host".to_owned())
}
